// Runs compiled objects in this process: the same bytes that the linker would put into an executable.
#pragma once

#include "compiler/support/result.h"
#include "runtime/include/dnn/abi.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dnn::codegen {

/// A function of this process that the objects may call.
struct HostSymbol {
  std::string name;
  void* address = nullptr;
};

/// Loaded code; it stays until the object is destroyed. Calls of its entries must not overlap.
class JitProgram {
public:
  /// Links the objects with each other, the host's symbols, and the shared libraries of this process (libc, libm). They
  /// must define `dnn_module`. Fails where a symbol is missing or there twice, where memory is exhausted, and where the
  /// objects are not what our code generator makes for x86-64 (see elf_object.h).
  static Result<std::unique_ptr<JitProgram>> load(std::span<const std::vector<uint8_t>> objects,
                                                  std::span<const HostSymbol> hostSymbols);
  ~JitProgram();
  JitProgram(const JitProgram&) = delete;
  JitProgram& operator=(const JitProgram&) = delete;

  const DnnModule& module() const { return *module_; }

private:
  JitProgram() = default;

  uint8_t* memory_ = nullptr; // mapped
  size_t bytes_ = 0;
  const DnnModule* module_ = nullptr;
};

} // namespace dnn::codegen
