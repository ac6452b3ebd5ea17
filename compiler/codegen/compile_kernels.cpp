#include "compiler/codegen/compile_kernels.h"

#include "compiler/codegen/halide_backend.h"
#include "compiler/codegen/kernel_cache.h"
#include "compiler/codegen/kernel_codec.h"
#include "compiler/codegen/llvm/emit_kernel.h"
#include "compiler/codegen/worker.h"
#include "runtime/plan/bytes.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace dnn::codegen {

namespace {

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

/// What the threads of the process that compiles share.
class KernelWorkshop {
public:
  /// `kernels`: numbers of tasks, in the order in which they are begun.
  KernelWorkshop(std::span<const KernelTask> tasks, std::vector<size_t> kernels, size_t threads,
                 const schedule::Machine& machine, const CompileOptions& options)
      : tasks_(tasks), kernels_(std::move(kernels)), machine_(machine), options_(options), lowered_(kernels_.size()),
        lowering_(threads) {}

  /// Told of each kernel that is done.
  std::function<void(size_t task, const schedule::KernelObject&)> store;

  /// The part of one thread; each calls it once. How many kernels it made, and of each the number of its task, the
  /// seconds that it took, the number of its bytes and these.
  Result<std::vector<uint8_t>> work() {
    auto mine = lower();
    offer(mine ? *mine : std::vector<size_t>(), !mine);
    if (!mine) {
      return mine.error();
    }
    KernelEmitter emitter;
    std::vector<uint8_t> made;
    runtime::ByteWriter out(made);
    uint64_t count = 0;
    for (; std::optional<size_t> at = nextLowered(); ++count) {
      auto begin = std::chrono::steady_clock::now();
      LoweredKernel& kernel = lowered_[*at];
      auto code = emitter.object(*kernel.bitcode, kernel.name);
      if (!code) {
        return code.error();
      }
      schedule::KernelObject object{kernel.name, std::move(kernel.args), std::move(*code)};
      std::vector<uint8_t> encoded = encode(object);
      out.number(static_cast<uint64_t>(kernels_[*at]));
      out.number(kernel.seconds + secondsSince(begin));
      out.number(static_cast<uint64_t>(encoded.size()));
      out.raw(encoded.data(), encoded.size());
      if (store) {
        store(kernels_[*at], object);
      }
    }
    std::vector<uint8_t> bytes;
    runtime::ByteWriter(bytes).number(count);
    bytes.insert(bytes.end(), made.begin(), made.end());
    return bytes;
  }

private:
  std::span<const KernelTask> tasks_;
  std::vector<size_t> kernels_;
  const schedule::Machine& machine_;
  const CompileOptions& options_;
  std::vector<LoweredKernel> lowered_; ///< in the order of kernels_
  std::atomic<size_t> next_ = 0;       ///< to be lowered
  std::atomic<bool> failed_ = false;
  std::mutex mutex_; ///< for what is below
  std::condition_variable changed_;
  std::vector<size_t> offered_; ///< lowered, not yet taken; the one that took longest last
  size_t lowering_;             ///< threads that have kernels to offer

  /// Gives what a thread has lowered to all.
  void offer(const std::vector<size_t>& kernels, bool failed) {
    std::lock_guard lock(mutex_);
    failed_ = failed_ || failed;
    --lowering_;
    offered_.insert(offered_.end(), kernels.begin(), kernels.end());
    std::ranges::sort(offered_, {}, [&](size_t at) { return lowered_[at].seconds; });
    changed_.notify_all();
  }

  /// The kernel that comes next; nothing when all are done, or one has failed. Those that took long to lower come
  /// first, so that the threads end together.
  std::optional<size_t> nextLowered() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failed_ || !offered_.empty() || lowering_ == 0; });
    if (failed_ || offered_.empty()) {
      return std::nullopt;
    }
    size_t at = offered_.back();
    offered_.pop_back();
    return at;
  }

  /// Lowers kernels until none is left, and returns which. Those of one thread share modules of Halide.
  Result<std::vector<size_t>> lower() {
    std::vector<size_t> mine;
    auto next = [&]() -> std::optional<KernelRequest> {
      size_t at = next_++;
      if (failed_ || at >= kernels_.size()) {
        return std::nullopt;
      }
      mine.push_back(at);
      const KernelTask& task = tasks_[kernels_[at]];
      return KernelRequest{task.kernel, &task.schedule, task.name};
    };
    auto lowered = (*halideBackend())->lowerKernels(next, machine_, {.checked = options_.checked});
    if (!lowered) {
      return lowered.error();
    }
    std::map<std::shared_ptr<const std::vector<uint8_t>>, std::vector<size_t>> modules;
    for (size_t k = 0; k < mine.size(); ++k) {
      modules[(*lowered)[k].bitcode].push_back(k);
    }
    for (const auto& [bitcode, members] : modules) {
      std::vector<std::string> names;
      for (size_t k : members) {
        names.push_back((*lowered)[k].name);
      }
      auto reached = reachedBitcode(*bitcode, names);
      if (!reached) {
        return reached.error();
      }
      auto shared = std::make_shared<const std::vector<uint8_t>>(std::move(*reached));
      for (size_t k : members) {
        LoweredKernel& kernel = lowered_[mine[k]];
        kernel = std::move((*lowered)[k]);
        kernel.bitcode = shared;
      }
    }
    return mine;
  }
};

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
      cache_ = KernelCache(CacheFolder(options_.cacheFolder, cacheProblem_));
      std::string identity = kernelCompilerIdentity();
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

  /// The missing kernels, the longest first, so that the threads end together.
  std::vector<size_t> longestFirst() const {
    std::vector<std::pair<size_t, size_t>> order;
    for (size_t i : missing_) {
      order.emplace_back(schedule::print(tasks_[i].schedule).size(), i);
    }
    std::ranges::stable_sort(order, std::ranges::greater{}, [](const auto& entry) { return entry.first; });
    std::vector<size_t> longest;
    for (auto [_, i] : order) {
      longest.push_back(i);
    }
    return longest;
  }

  Status compileMissing() {
    if (missing_.empty()) {
      return success();
    }
    auto begin = std::chrono::steady_clock::now();
    // A process for itself, which loads Halide. Its threads take kernels one by one, first all to lower them, then all
    // to make code of them.
    size_t threads = std::min(static_cast<size_t>(std::max(options_.threads, 1)), missing_.size());
    KernelWorkshop workshop(tasks_, longestFirst(), threads, machine_, options_);
    if (!keys_.empty()) {
      workshop.store = [&](size_t i, const schedule::KernelObject& object) { cache_.store(keys_[i], object); };
    }
    WorkerOptions worker{.threads = static_cast<int>(threads), .prepare = [] {
                           auto loaded = halideBackend();
                           return loaded ? success() : Status(loaded.error());
                         }};
    auto results = runInWorker(threads, [&](size_t) { return workshop.work(); }, worker);
    if (!results) {
      return results.error();
    }
    for (const std::vector<uint8_t>& result : *results) {
      runtime::ByteReader r(result.data(), result.size());
      for (auto count = r.number<uint64_t>(); count > 0; --count) {
        auto i = static_cast<size_t>(r.number<uint64_t>());
        auto seconds = r.number<double>();
        auto size = r.number<uint64_t>();
        const uint8_t* bytes = r.raw(size);
        auto object = bytes != nullptr ? decodeKernel({bytes, size}) : std::nullopt;
        if (!object || i >= tasks_.size()) {
          return Error{"a kernel came back damaged from the process that compiles", ""};
        }
        objects_[i] = std::move(object);
        seconds_[i] = seconds;
      }
    }
    for (size_t i : missing_) {
      if (!objects_[i]) {
        return Error{"the kernel " + tasks_[i].name + " did not come back from the process that compiles", ""};
      }
      observe("kernel " + tasks_[i].name, seconds_[i]);
    }
    observe("all kernels that were not cached", secondsSince(begin));
    cache_.trim();
    return success();
  }
};

} // namespace

std::string kernelCompilerIdentity() {
  return "dnnc " DNNC_VERSION ", " + halideBackendIdentity() + ", " + kernelPassesIdentity();
}

Result<CompiledKernels> compileKernels(std::span<const KernelTask> tasks, const schedule::Machine& machine,
                                       const CompileOptions& options) {
  return KernelCompiler(tasks, machine, options).run();
}

} // namespace dnn::codegen
