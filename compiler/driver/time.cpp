// dnnc time: runs the step on its data, once as one native call and once with the time of each kernel, in turns.
#include "compiler/codegen/jit.h"
#include "compiler/driver/code.h"
#include "compiler/driver/commands.h"
#include "compiler/driver/exit_code.h"
#include "compiler/driver/time_report.h"
#include "compiler/driver/time_work.h"
#include "compiler/support/assert.h"
#include "runtime/data/gather.h"
#include "runtime/data/statistics.h"
#include "runtime/support/resources.h"
#include "runtime/train/clock.h"
#include "runtime/train/watch.h"

#include <algorithm>
#include <cstdio>
#include <x86intrin.h>

namespace dnn::driver {

namespace {

using runtime::secondsNow;

constexpr double kSeconds = 0.8; // of measuring, unless the number of steps is given
constexpr int64_t kMinSteps = 3;
constexpr int64_t kMaxSteps = 20000; // more make no median better
constexpr int64_t kWarmUpSteps = 2;

uint64_t ticksNow() {
  unsigned core = 0;
  return __rdtscp(&core);
}

Duration summarize(std::vector<double>& samples) {
  auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return {*std::min_element(samples.begin(), samples.end()), *middle};
}

class StepTimer {
public:
  StepTimer(const DnnModule& plain, const DnnModule& timed, std::vector<uint64_t>& ticks)
      : plain_(plain), timed_(timed), ticks_(ticks) {}

  /// Parameters start as `init` leaves them, and the data is loaded. The number of steps 0 = enough for a second.
  runtime::Status run(int64_t steps, TimeReport& report) {
    runtime::Status status = prepare();
    if (!status.ok()) {
      return status;
    }
    report.batch = static_cast<int64_t>(rows_);
    double start = 0;
    double ticksStart = 0;
    for (int64_t i = -kWarmUpSteps; more(i, steps, start); ++i) {
      if (i == 0) {
        forgetSamples();
        start = secondsNow();
        ticksStart = static_cast<double>(ticksNow());
      }
      status = stepTwice();
      if (!status.ok()) {
        return status;
      }
    }
    double seconds = secondsNow() - start; // the steps, so that the clock's rate is that of the time measured
    tick_ = seconds / (static_cast<double>(ticksNow()) - ticksStart);
    report.steps = static_cast<int64_t>(whole_.size());
    report.step = summarize(whole_);
    report.fetch = fetch_.empty() ? Duration{} : summarize(fetch_);
    report.watch = summarize(watch_);
    return status;
  }

  int64_t rows() const { return static_cast<int64_t>(rows_); }

  /// The time of each call in each measured step: samples[call][step], and behind the calls that of the copies.
  /// Seconds.
  std::vector<std::vector<double>> callSamples() const {
    std::vector<std::vector<double>> samples(ticks_.size());
    for (size_t i = 0; i < calls_.size(); ++i) {
      uint64_t ticks = calls_[i] - std::min(calls_[i], clockTicks_);
      samples[i % ticks_.size()].push_back(static_cast<double>(ticks) * tick_);
    }
    return samples;
  }

private:
  const DnnModule& plain_;
  const DnnModule& timed_;
  std::vector<uint64_t>& ticks_; // what the timed step adds to
  runtime::Machine machine_;
  std::unique_ptr<runtime::DataStore> store_;
  std::vector<const runtime::Dataset*> data_; // of each source that the step reads
  uint32_t entry_ = 0;
  uint64_t rows_ = 0;
  uint64_t step_ = 0;
  double tick_ = 0; // seconds
  uint64_t clockTicks_ = ticksOfReading();
  std::vector<double> whole_, fetch_, watch_;
  std::vector<uint64_t> calls_; // ticks_ after each step

  static bool more(int64_t done, int64_t steps, double start) {
    if (steps > 0) {
      return done < steps;
    }
    return done < kMinSteps || (done < kMaxSteps && secondsNow() - start < kSeconds);
  }

  /// What reading the time stamp adds to what is measured.
  static uint64_t ticksOfReading() {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 1000; ++i) {
      uint64_t before = ticksNow();
      least = std::min(least, ticksNow() - before);
    }
    return least;
  }

  const plan::Entry& entry() const { return machine_.plan().entries[entry_]; }

  runtime::Status prepare() {
    if (runtime::Status status = machine_.load(plain_); !status.ok()) {
      return status;
    }
    timed_.bind(machine_.persistents(), machine_.arena(0));
    entry_ = static_cast<uint32_t>(machine_.findEntry(plan::Entry::Kind::Step)); // the command found it in the graph
    if (!entry().sources.empty()) {
      store_ = std::make_unique<runtime::DataStore>(machine_, runtime::DataOverrides{}); // --data is in the plan
      for (const std::string& source : entry().sources) {
        if (runtime::Status status = store_->load(source, data_.emplace_back()); !status.ok()) {
          return status;
        }
        uint64_t rows = std::min(static_cast<uint64_t>(entry().batch), data_.back()->rows);
        rows_ = data_.size() == 1 ? rows : std::min(rows_, rows);
      }
    }
    int init = machine_.findEntry(plan::Entry::Kind::Init);
    runtime::Status status = init < 0 ? runtime::success() : machine_.call(static_cast<uint32_t>(init), 0, moment());
    return status.ok() && store_ ? runtime::fillStatistics(machine_, *store_) : status;
  }

  runtime::Moment moment() const { return {machine_.plan().seed, step_, 0}; }

  void forgetSamples() {
    for (std::vector<double>* samples : {&whole_, &fetch_, &watch_}) {
      samples->clear();
    }
    calls_.clear();
  }

  /// Whole batches only, so that every step is the same work.
  runtime::Status fetch() {
    if (data_.empty()) {
      return runtime::success();
    }
    double start = secondsNow();
    size_t input = 0;
    runtime::Status status;
    for (const runtime::Dataset* data : data_) {
      uint64_t batches = std::max<uint64_t>(data->rows / rows_, 1);
      runtime::BatchPlace place{input, 0, step_ / batches};
      status = runtime::gatherBatch(machine_, entry(), *data, nullptr, step_ % batches * rows_, rows_, place);
      if (!status.ok()) {
        return status;
      }
      input += data->fields.size();
    }
    fetch_.push_back(secondsNow() - start);
    return status;
  }

  runtime::Status stepTwice() {
    runtime::Status status = fetch();
    if (!status.ok()) {
      return status;
    }
    double start = secondsNow();
    status = machine_.call(entry_, rows(), moment());
    double end = secondsNow();
    whole_.push_back(end - start);
    if (!status.ok()) {
      return status;
    }
    ++step_;
    start = secondsNow();
    status = runtime::checkFinite(machine_, entry(), step_, 1);
    watch_.push_back(secondsNow() - start);
    if (!status.ok()) {
      return status;
    }
    if (status = fetch(); !status.ok()) {
      return status;
    }
    std::ranges::fill(ticks_, 0);
    DnnCall call{rows(), machine_.plan().seed, static_cast<uint32_t>(step_), 0, machine_.lengths().data()};
    runtime::Pool::global().setAlone(machine_.isAlone(entry_));
    int32_t code = timed_.entries[entry_](&call);
    runtime::Pool::global().setAlone(false);
    DNN_ASSERT(code == 0, "the same kernels did not fail in the step before");
    ++step_;
    calls_.insert(calls_.end(), ticks_.begin(), ticks_.end());
    return runtime::success();
  }
};

/// Calls of one kernel become one row.
std::vector<TimedKernel> joinCalls(const std::vector<KernelWork>& works,
                                   const std::vector<std::vector<double>>& samples) {
  std::vector<TimedKernel> kernels;
  std::vector<std::vector<double>> sums; // by kernel and step
  for (size_t call = 0; call < works.size(); ++call) {
    auto found = std::ranges::find_if(kernels, [&](const TimedKernel& k) {
      return k.work.kernel == works[call].kernel && k.work.what == works[call].what;
    });
    auto index = static_cast<size_t>(found - kernels.begin());
    if (found == kernels.end()) {
      kernels.push_back({works[call], 0, {}});
      sums.emplace_back(samples[call].size(), 0.0);
    }
    TimedKernel& kernel = kernels[index];
    kernel.calls += works[call].calls;
    for (const std::string& source : works[call].sources) {
      if (std::ranges::find(kernel.work.sources, source) == kernel.work.sources.end()) {
        kernel.work.sources.push_back(source);
      }
    }
    for (size_t step = 0; step < samples[call].size(); ++step) {
      sums[index][step] += samples[call][step];
    }
  }
  for (size_t i = 0; i < kernels.size(); ++i) {
    Duration all = summarize(sums[i]);
    auto calls = static_cast<double>(std::max<int64_t>(kernels[i].calls, 1));
    kernels[i].time = {all.shortest / calls, all.median / calls};
  }
  return kernels;
}

Result<std::unique_ptr<codegen::JitProgram>> load(const std::vector<std::vector<uint8_t>>& objects,
                                                  std::vector<uint64_t>& ticks) {
  std::vector<codegen::HostSymbol> symbols = hostSymbols();
  symbols.push_back({"dnn_ticks", ticks.data()});
  return codegen::JitProgram::load(objects, symbols);
}

} // namespace

int timeCommand(const Options& options) {
  Pipeline pipeline(options);
  codegen::CompiledProgram compiled;
  if (int code = compile(pipeline, options, compiled); code != kSuccess) {
    return code;
  }
  const graph::Function* step = nullptr;
  size_t calls = 0; // of the entry with the most, all of which count ticks
  for (const auto& function : pipeline.module().functions) {
    if (function->kind != graph::FunctionKind::Helper) {
      size_t groups = 0;
      graph::forEachOp(function->body,
                       [&](const graph::Op* op) { groups += op->kind == graph::OpKind::Group ? 1 : 0; });
      calls = std::max(calls, groups);
    }
    if (function->kind == graph::FunctionKind::Step && step == nullptr) {
      step = function.get();
    }
  }
  if (step == nullptr) {
    std::fprintf(stderr, "dnnc: %s has no training step, so there is nothing to time\n", options.file.c_str());
    return kInputError;
  }

  std::vector<uint64_t> ticks(calls + 1);
  auto plain = load(compiled.objects, ticks);
  if (!plain) {
    return failToCompile(plain.error());
  }
  compiled.objects[compiled.kernels] = std::move(compiled.timedSteps); // of a sweep, the first combination is timed
  auto timed = load(compiled.objects, ticks);
  if (!timed) {
    return failToCompile(timed.error());
  }

  runtime::Pool& pool = runtime::Pool::global();
  pool.setThreads(options.threads > 0 ? options.threads : runtime::availableCpus());
  TimeReport report{.file = options.file, .program = compiled.plan.program};
  StepTimer timer((*plain)->module(), (*timed)->module(), ticks);
  runtime::Status status = timer.run(options.steps, report);
  if (!status.ok()) {
    std::fprintf(stderr, "dnnc: %s\n", status.message.c_str());
    return static_cast<int>(status.code);
  }
  report.machine = measureMachine(pool, SpeedDetail::Bounds);

  // The batch as it was, sequences at their longest.
  std::vector<int64_t> symbols;
  for (const Symbol& symbol : step->symbols) {
    symbols.push_back(symbols.empty() ? timer.rows() : symbol.max);
  }
  std::vector<std::vector<double>> samples = timer.callSamples();
  std::vector<KernelWork> works = kernelWorks(*step, symbols);
  report.copies = summarize(samples[works.size()]);
  report.kernels = joinCalls(works, samples);
  std::fputs((options.jsonReport ? renderJson(report) : renderText(report)).c_str(), stdout);
  return kSuccess;
}

} // namespace dnn::driver
