// Runs a module twice, compiled and in the reference interpreter, and compares.
#pragma once

#include "compiler/codegen/compile.h"
#include "compiler/codegen/jit.h"
#include "compiler/graph/interpreter.h"

#include <memory>
#include <random>
#include <string>

namespace dnn::codegen {

std::unique_ptr<graph::Module> parseProgram(const std::string& text);

/// What a program's plan says about a module: its persistent tensors and entries with their ports.
plan::Plan planOf(const graph::Module& module);

/// What the JIT needs from this process.
std::vector<HostSymbol> runtimeSymbols();

class SideBySide {
public:
  /// Fuses and compiles the module.
  SideBySide(const std::string& text, const CompileOptions& options);

  /// Runs the entry in both, on the same inputs: floats from N(0, 1), integers uniform below their bound. Then compares
  /// every output and every persistent tensor.
  void run(const std::string& entry, int64_t rows, double tolerance);

  /// Bytes of all persistent tensors as the compiled code left them.
  const std::vector<uint8_t>& persistentBytes() const { return persistent_; }
  const CompiledProgram& compiled() const { return compiled_; }

private:
  std::unique_ptr<graph::Module> module_;
  CompiledProgram compiled_;
  std::unique_ptr<JitProgram> jit_;
  std::vector<uint8_t> persistent_;
  std::vector<uint8_t> arena_;
  graph::Environment environment_;
  std::mt19937 random_{1};

  graph::Tensor randomInput(const plan::Port& port, int64_t rows);
};

} // namespace dnn::codegen
