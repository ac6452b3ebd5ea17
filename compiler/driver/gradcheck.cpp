#include "compiler/autodiff/gradcheck.h"
#include "compiler/driver/commands.h"
#include "compiler/driver/data_files.h"
#include "compiler/driver/exit_code.h"
#include "compiler/driver/interpreted_program.h"
#include "compiler/driver/pipeline.h"
#include "compiler/transform/pass_manager.h"
#include "runtime/data/gather.h"
#include "runtime/data/statistics.h"
#include "runtime/machine/machine.h"
#include "runtime/random/philox.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace dnn::driver {

namespace {

/// Every finite difference computes the loss on all of them, in f64: more rows cost time and find nothing else.
constexpr int64_t kMaxRows = 8;

/// Standard normal numbers; integers below their bound.
void fillRandomly(graph::Tensor& tensor, int64_t bound, uint64_t seed, uint32_t site) {
  for (int64_t i = 0; i < tensor.size(); ++i) {
    auto position = static_cast<uint32_t>(i);
    if (isFloat(tensor.dtype)) {
      tensor.set(i, runtime::drawNormal(seed, 0, site, position, 0));
    } else {
      int64_t below = bound > 0 ? bound : tensor.dtype == DType::Bool ? 2 : 256;
      tensor.set(i, std::floor(runtime::drawUniform(seed, 0, site, position, 0) * static_cast<double>(below)));
    }
  }
}

class GradCheck {
public:
  GradCheck(const Options& options, Pipeline& pipeline) : options_(options), pipeline_(pipeline) {}

  int run() {
    auto program = InterpretedProgram::make(pipeline_.module(), pipeline_.program().plan);
    if (!program) {
      std::fprintf(stderr, "dnnc: %s\n", program.error().message.c_str());
      return kInputError;
    }
    program_ = std::move(*program);
    runtime::Status status = machine_.load(program_->module());
    if (status.ok()) {
      status = machine_.call(0, 0, {machine_.plan().seed, 0, 0}); // the plan's first entry is init
    }
    if (status.ok() && !options_.randomInputs) {
      runtime::DataStore store(machine_, {}); // --data was taken into the plan
      status = runtime::fillStatistics(machine_, store);
    }
    bool ok = true;
    for (size_t i = 0; status.ok() && i < machine_.plan().entries.size(); ++i) {
      if (machine_.plan().entries[i].kind == plan::Entry::Kind::Step) {
        status = checkStep(i, ok);
      }
    }
    if (!status.ok()) {
      std::fprintf(stderr, "dnnc: %s\n", status.message.c_str());
      return static_cast<int>(status.code);
    }
    return ok ? kSuccess : kDiverged;
  }

private:
  runtime::Status checkStep(size_t index, bool& ok) {
    const plan::Entry& entry = machine_.plan().entries[index];
    int64_t rows = std::min(entry.batch, kMaxRows);
    runtime::DataStore store(machine_, {}); // --data was taken into the plan
    std::vector<const runtime::Dataset*> data;
    for (size_t i = 0; !options_.randomInputs && i < entry.sources.size(); ++i) {
      if (runtime::Status status = store.load(entry.sources[i], data.emplace_back()); !status.ok()) {
        return status;
      }
      rows = std::min(rows, static_cast<int64_t>(data.back()->rows));
    }
    size_t input = 0;
    for (const runtime::Dataset* source : data) {
      runtime::Status status =
          runtime::gatherBatch(machine_, entry, *source, nullptr, 0, static_cast<uint64_t>(rows), {input, 0});
      if (!status.ok()) {
        return status;
      }
      input += source->fields.size();
    }
    if (options_.randomInputs) {
      machine_.setLengths(entry.lengths);
    }
    graph::Environment environment =
        program_->environment(index, {rows, machine_.plan().seed, 0, 0, machine_.lengths().data()});
    if (options_.randomInputs) {
      uint32_t site = 0;
      for (const plan::Port& port : entry.inputs) {
        fillRandomly(environment.inputs.at(port.name), port.bound, machine_.plan().seed, site++);
      }
    }
    autodiff::GradcheckOptions check;
    check.prepare = [](graph::Module& module) { return transform::optimize(module); };
    auto report =
        autodiff::gradcheck(pipeline_.module(), pipeline_.module().functions[index]->name, environment, check);
    if (!report) {
      return runtime::failure(runtime::ExitCode::BadInput, "%s: %s", report.error().where.c_str(),
                              report.error().message.c_str());
    }
    std::fputs(autodiff::print(*report).c_str(), stdout);
    ok = ok && report->ok();
    return runtime::success();
  }

  const Options& options_;
  Pipeline& pipeline_;
  std::unique_ptr<InterpretedProgram> program_;
  runtime::Machine machine_;
};

} // namespace

int gradCheckCommand(const Options& options) {
  Pipeline pipeline(options);
  if (int code = pipeline.runTo(Pipeline::Stage::Build); code != kSuccess) {
    return code;
  }
  return GradCheck(options, pipeline).run();
}

} // namespace dnn::driver
