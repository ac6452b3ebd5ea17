#include "compiler/codegen/compile_kernels.h"

#include "compiler/codegen/compile_kernel.h"
#include "compiler/codegen/halide_backend.h"
#include "compiler/codegen/kernel_cache.h"
#include "compiler/codegen/kernel_codec.h"
#include "compiler/codegen/worker.h"
#include "runtime/plan/bytes.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>

namespace dnn::codegen {

namespace {

constexpr uint64_t cacheLimit = 256ULL << 20; // bytes

/// The schedule's text holds what else the machine decided.
std::string keyOf(const KernelTask& task, const schedule::Machine& machine, bool checked, const std::string& identity) {
  std::string key = identity + "\n" + machine.target + (checked ? ", checked\n" : "\n");
  key += graph::print(*task.kernel->function);
  for (const std::optional<uint32_t>& input : task.kernel->inPlace) {
    key += input ? "over " + std::to_string(*input) + "\n" : "fresh\n";
  }
  for (const std::vector<bool>* marks : {&task.kernel->unalignedInputs, &task.kernel->unalignedReturns}) {
    for (bool unaligned : *marks) {
      key += unaligned ? "anywhere " : "aligned ";
    }
    key += "\n";
  }
  return key + schedule::print(task.schedule);
}

double secondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

class KernelCompiler {
public:
  KernelCompiler(std::span<const KernelTask> tasks, const schedule::Machine& machine, const CompileOptions& options)
      : tasks_(tasks), machine_(machine), options_(options), objects_(tasks.size()), seconds_(tasks.size()) {}

  Result<CompiledKernels> run() {
    findCached();
    size_t cached = tasks_.size() - missing_.size();
    if (Status status = compileMissing(); !status) {
      return status.error();
    }
    CompiledKernels compiled;
    compiled.cached = cached;
    compiled.cacheProblem = std::move(cacheProblem_);
    for (std::optional<schedule::KernelObject>& object : objects_) {
      compiled.objects.push_back(std::move(*object));
    }
    return compiled;
  }

private:
  std::span<const KernelTask> tasks_;
  const schedule::Machine& machine_;
  const CompileOptions& options_;
  KernelCache cache_;
  std::string cacheProblem_;
  std::vector<std::string> keys_;
  std::vector<size_t> missing_;
  std::vector<std::optional<schedule::KernelObject>> objects_;
  std::vector<double> seconds_; // that the compilation of each took

  void observe(const std::string& what, double seconds) const {
    if (options_.observe) {
      options_.observe(what, seconds);
    }
  }

  void findCached() {
    auto begin = std::chrono::steady_clock::now();
    if (!options_.cacheFolder.empty()) {
      cache_ = KernelCache(options_.cacheFolder, cacheProblem_);
      std::string identity = "dnnc " DNNC_VERSION ", " + halideBackendIdentity() + ", " + kernelPassesIdentity();
      for (const KernelTask& task : tasks_) {
        keys_.push_back(keyOf(task, machine_, options_.checked, identity));
      }
    }
    for (size_t i = 0; i < tasks_.size(); ++i) {
      if (!keys_.empty()) {
        objects_[i] = cache_.find(keys_[i]);
      }
      if (!objects_[i]) {
        missing_.push_back(i);
      }
    }
    observe("kernels from the cache", secondsSince(begin));
  }

  /// In the process that runs Halide: kernel i as bytes, its time in front.
  Result<std::vector<uint8_t>> compileOne(size_t i) const {
    const HalideFunctions* halide = *halideBackend();
    auto begin = std::chrono::steady_clock::now();
    const KernelTask& task = tasks_[i];
    auto object = compileKernel(halide->lowerKernel, *task.kernel, task.schedule, machine_,
                                {.checked = options_.checked}, task.name);
    if (!object) {
      return object.error();
    }
    std::vector<uint8_t> bytes;
    runtime::ByteWriter(bytes).number(secondsSince(begin));
    std::vector<uint8_t> encoded = encode(*object);
    bytes.insert(bytes.end(), encoded.begin(), encoded.end());
    if (!keys_.empty()) {
      cache_.store(keys_[i], *object);
    }
    return bytes;
  }

  Status compileMissing() {
    if (missing_.empty()) {
      return success();
    }
    auto begin = std::chrono::steady_clock::now();
    // A process for itself, which loads Halide; the longest kernels first, so that the threads end together.
    std::vector<size_t> order = missing_;
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](size_t i) { return schedule::print(tasks_[i].schedule).size(); });
    WorkerOptions worker{.threads = options_.threads, .prepare = [] {
                           auto loaded = halideBackend();
                           return loaded ? success() : Status(loaded.error());
                         }};
    auto results = runInWorker(order.size(), [&](size_t at) { return compileOne(order[at]); }, worker);
    if (!results) {
      return results.error();
    }
    for (size_t at = 0; at < order.size(); ++at) {
      std::span<const uint8_t> bytes = (*results)[at];
      runtime::ByteReader r(bytes.data(), bytes.size());
      seconds_[order[at]] = r.number<double>();
      objects_[order[at]] = decodeKernel(bytes.subspan(std::min<size_t>(r.at(), bytes.size())));
      if (!objects_[order[at]]) {
        return Error{"the kernel " + tasks_[order[at]].name + " came back damaged from the process that compiles", ""};
      }
    }
    for (size_t i : missing_) {
      observe("kernel " + tasks_[i].name, seconds_[i]);
    }
    observe("all kernels that were not cached", secondsSince(begin));
    cache_.trim(cacheLimit);
    return success();
  }
};

} // namespace

Result<CompiledKernels> compileKernels(std::span<const KernelTask> tasks, const schedule::Machine& machine,
                                       const CompileOptions& options) {
  return KernelCompiler(tasks, machine, options).run();
}

} // namespace dnn::codegen
