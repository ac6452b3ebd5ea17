#include "compiler/codegen/compile.h"
#include "compiler/driver/code.h"
#include "compiler/driver/commands.h"
#include "compiler/driver/exit_code.h"
#include "compiler/driver/pipeline.h"
#include "compiler/support/assert.h"

#include <cstdio>

namespace dnn::driver {

namespace {

Pipeline::Stage pipelineStage(EmitStage stage) {
  switch (stage) {
  case EmitStage::Ast: return Pipeline::Stage::Parse;
  case EmitStage::Program: return Pipeline::Stage::Analyze;
  case EmitStage::Graph: return Pipeline::Stage::Build;
  case EmitStage::Backward: return Pipeline::Stage::Differentiate;
  case EmitStage::Optimized: return Pipeline::Stage::Optimize;
  case EmitStage::Fused:
  case EmitStage::Memory:
  case EmitStage::Schedule:
  case EmitStage::Halide:
  case EmitStage::Llvm:
  case EmitStage::Asm: return Pipeline::Stage::Fuse;
  }
  DNN_UNREACHABLE("every stage is a stage of the pipeline or behind it");
}

Result<std::string> textOf(EmitStage stage, Pipeline& pipeline, const Options& options) {
  switch (stage) {
  case EmitStage::Ast: return ast::print(pipeline.userFile());
  case EmitStage::Program: return sema::print(pipeline.program());
  case EmitStage::Graph:
  case EmitStage::Backward:
  case EmitStage::Optimized:
  case EmitStage::Fused: return graph::print(pipeline.module());
  case EmitStage::Memory: return codegen::emitMemory(pipeline.module(), pipeline.program().plan);
  case EmitStage::Schedule:
    return codegen::emitSchedules(pipeline.module(), pipeline.program().plan, compileOptions(options));
  case EmitStage::Halide:
    return codegen::emitLoopNests(pipeline.module(), pipeline.program().plan, compileOptions(options));
  case EmitStage::Llvm: return codegen::emitLlvm(pipeline.module(), pipeline.program().plan, compileOptions(options));
  case EmitStage::Asm:
    return codegen::emitAssembly(pipeline.module(), pipeline.program().plan, compileOptions(options));
  }
  DNN_UNREACHABLE("every stage has a text");
}

} // namespace

int emitCommand(const Options& options) {
  Pipeline pipeline(options);
  if (int code = pipeline.runTo(pipelineStage(options.stage)); code != kSuccess) {
    return code;
  }
  Result<std::string> text = textOf(options.stage, pipeline, options);
  if (!text) {
    return failToCompile(text.error());
  }
  bool written = std::fwrite(text->data(), 1, text->size(), stdout) == text->size() && std::fflush(stdout) == 0;
  if (!written) {
    std::perror("dnnc: cannot write the output");
    return kIoError;
  }
  return kSuccess;
}

} // namespace dnn::driver
