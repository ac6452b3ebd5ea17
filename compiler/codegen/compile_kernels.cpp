#include "compiler/codegen/compile_kernels.h"

#include "compiler/codegen/halide_backend.h"
#include "compiler/codegen/kernel_cache.h"
#include "compiler/codegen/kernel_codec.h"
#include "compiler/codegen/llvm/emit_kernel.h"
#include "compiler/codegen/worker.h"
#include "runtime/plan/bytes.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

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

  /// In the process that runs Halide: for each of these kernels the time that it took, the number of its bytes, and
  /// these.
  Result<std::vector<uint8_t>> compileBatch(std::span<const size_t> batch) const {
    auto begin = std::chrono::steady_clock::now();
    std::vector<KernelRequest> requests;
    for (size_t i : batch) {
      requests.push_back({tasks_[i].kernel, &tasks_[i].schedule, tasks_[i].name});
    }
    auto lowered = (*halideBackend())->lowerKernels(requests, machine_, {.checked = options_.checked});
    if (!lowered) {
      return lowered.error();
    }
    double lowering = secondsSince(begin) / static_cast<double>(batch.size());
    std::vector<uint8_t> bytes;
    runtime::ByteWriter out(bytes);
    for (size_t k = 0; k < batch.size(); ++k) {
      LoweredKernel& kernel = (*lowered)[k];
      auto emitting = std::chrono::steady_clock::now();
      auto code = kernelObject(*kernel.bitcode, kernel.name);
      if (!code) {
        return code.error();
      }
      schedule::KernelObject object{kernel.name, std::move(kernel.args), std::move(*code)};
      std::vector<uint8_t> encoded = encode(object);
      out.number(lowering + secondsSince(emitting));
      out.number(static_cast<uint64_t>(encoded.size()));
      out.raw(encoded.data(), encoded.size());
      if (!keys_.empty()) {
        cache_.store(keys_[batch[k]], object);
      }
    }
    return bytes;
  }

  /// What is missing in jobs of about equal length, the longest kernels first, so that the threads end together. Small
  /// kernels share a job.
  std::vector<std::vector<size_t>> batches() const {
    constexpr size_t mostKernels = 8, jobsForEachThread = 5;
    auto length = [&](size_t i) { return schedule::print(tasks_[i].schedule).size(); };
    std::vector<std::pair<size_t, size_t>> order;
    size_t total = 0;
    for (size_t i : missing_) {
      order.emplace_back(length(i), i);
      total += order.back().first;
    }
    std::ranges::stable_sort(order, std::ranges::greater{}, [](const auto& entry) { return entry.first; });
    size_t limit = total / (jobsForEachThread * static_cast<size_t>(std::max(options_.threads, 1)));
    std::vector<std::vector<size_t>> jobs;
    size_t filled = 0;
    for (auto [size, i] : order) {
      if (jobs.empty() || filled + size > limit || jobs.back().size() == mostKernels) {
        jobs.emplace_back();
        filled = 0;
      }
      jobs.back().push_back(i);
      filled += size;
    }
    return jobs;
  }

  Status compileMissing() {
    if (missing_.empty()) {
      return success();
    }
    auto begin = std::chrono::steady_clock::now();
    // A process for itself, which loads Halide.
    std::vector<std::vector<size_t>> jobs = batches();
    WorkerOptions worker{.threads = options_.threads, .prepare = [] {
                           auto loaded = halideBackend();
                           return loaded ? success() : Status(loaded.error());
                         }};
    auto results = runInWorker(jobs.size(), [&](size_t at) { return compileBatch(jobs[at]); }, worker);
    if (!results) {
      return results.error();
    }
    for (size_t at = 0; at < jobs.size(); ++at) {
      runtime::ByteReader r((*results)[at].data(), (*results)[at].size());
      for (size_t i : jobs[at]) {
        seconds_[i] = r.number<double>();
        auto size = r.number<uint64_t>();
        const uint8_t* bytes = r.raw(size);
        objects_[i] = bytes != nullptr ? decodeKernel({bytes, size}) : std::nullopt;
        if (!objects_[i]) {
          return Error{"the kernel " + tasks_[i].name + " came back damaged from the process that compiles", ""};
        }
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
