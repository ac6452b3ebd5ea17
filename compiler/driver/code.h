// Driver's side of code generation: its options, and what its failures mean.
#pragma once

#include "compiler/codegen/compile.h"
#include "compiler/codegen/jit.h"
#include "compiler/driver/options.h"
#include "compiler/driver/pipeline.h"

namespace dnn::driver {

codegen::CompileOptions compileOptions(const Options& options);

/// What compiled code imports, but for libc and libm.
std::vector<codegen::HostSymbol> hostSymbols();

/// A checked program is compiled or the compiler is wrong: prints that and returns the exit code.
int failToCompile(const Error& error);

/// The whole way to machine code; warns where the kernel cache cannot be used. kSuccess or an exit code. `inputs`: what
/// was read for it, of all combinations of a sweep. `checked` is called when nothing can be wrong any more, before kernels
/// are compiled.
int compile(Pipeline& pipeline, const Options& options, codegen::CompiledProgram& compiled, ProgramInputs& inputs,
            const std::function<void()>& checked = nullptr);
/// For who does not ask what was read.
int compile(Pipeline& pipeline, const Options& options, codegen::CompiledProgram& compiled);

} // namespace dnn::driver
