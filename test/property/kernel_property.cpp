// Compiles random kernels, checked and as released, and compares what they compute with the f64 interpreter, for
// several batch sizes, with one and with two threads. `kernel_property --count 300 --seed 1`; a failure prints the seed
// that repeats it alone and the kernel.
#include "compiler/codegen/compile_kernel.h"
#include "compiler/schedule/contraction.h"
#include "compiler/schedule/window.h"
#include "compiler/schedule/window_lanes.h"
#include "compiler/schedule/winograd.h"
#include "test/property/kernel_cases.h"
#include "test/property/kernel_runner.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>
#include <unistd.h>

namespace dnn::test {

namespace {

std::string running; // what a fault is blamed on

void onFault(int) {
  static const char text[] = "\nmemory fault in ";
  [[maybe_unused]] ssize_t n = write(2, text, sizeof text - 1);
  n = write(2, running.data(), running.size());
  _exit(1);
}

struct Job {
  uint64_t seed = 0;
  KernelCase what;
  std::string text;
  std::unique_ptr<graph::Module> module;
  schedule::Kernel kernel;
  std::string schedule;
  bool fastSums = false; // not term by term, with larger rounding errors
  schedule::KernelObject release, checked;
  std::string error;
};

std::string nameOf(const Job& job, const char* variant) { return "k" + std::to_string(job.seed) + variant; }

/// Half of the contractions and sums over windows by any plan that there is, so that all of them are tested, not only
/// what the model chooses.
schedule::Schedule scheduleOf(const Job& job, const schedule::Machine& machine, std::mt19937_64& random) {
  schedule::Analysis analysis(job.kernel);
  schedule::LongSums longSums = random() % 3 != 0 ? schedule::LongSums::All : schedule::LongSums::Worthwhile;
  std::optional<schedule::WindowShape> window = schedule::windowShape(analysis, machine, longSums);
  std::optional<schedule::WinogradShape> winograd = window ? winogradShape(*window, analysis) : std::nullopt;
  if (winograd && random() % 4 != 0) {
    std::vector<schedule::WinogradPlan> plans = winogradPlans(*window, *winograd, analysis, machine);
    if (!plans.empty()) {
      const schedule::WinogradPlan& plan = plans[random() % plans.size()];
      if (std::optional<schedule::Schedule> schedule = scheduleWinograd(analysis, machine, *window, *winograd, plan)) {
        return std::move(*schedule);
      }
    }
  }
  std::vector<schedule::WinogradSumsPlan> sums;
  if (window) {
    sums = winogradSumsPlans(*window, analysis, machine);
  }
  if (!sums.empty() && random() % 4 != 0) {
    const schedule::WinogradSumsPlan& plan = sums[random() % sums.size()];
    if (std::optional<schedule::Schedule> schedule = scheduleWinogradSums(analysis, machine, *window, plan)) {
      return std::move(*schedule);
    }
  }
  std::vector<schedule::WindowLanesPlan> lanes;
  if (window) {
    lanes = windowLanesPlans(*window, analysis, machine);
  }
  if (!lanes.empty() && random() % 2 == 0) {
    const schedule::WindowLanesPlan& plan = lanes[random() % lanes.size()];
    if (std::optional<schedule::Schedule> schedule = scheduleWindowLanes(analysis, machine, *window, plan)) {
      return std::move(*schedule);
    }
  }
  if (window && random() % 2 == 0) {
    std::vector<schedule::WindowPlan> plans = schedule::windowPlans(*window, analysis, machine);
    if (!plans.empty()) {
      const schedule::WindowPlan& plan = plans[random() % plans.size()];
      if (std::optional<schedule::Schedule> schedule = scheduleWindow(analysis, machine, *window, plan)) {
        return std::move(*schedule);
      }
    }
  }
  std::vector<schedule::ContractionPlan> plans = schedule::contractionPlans(analysis, machine);
  if (!plans.empty() && random() % 2 == 0) {
    auto others = std::ranges::stable_partition(
        plans, [](const schedule::ContractionPlan& p) { return p.packing == schedule::Packing::Panel; });
    size_t panels = plans.size() - others.size(); // the first tile of a panel may copy it
    size_t among = panels > 0 && random() % 3 == 0 ? panels : plans.size();
    const schedule::ContractionPlan& plan = plans[random() % among];
    if (std::optional<schedule::Schedule> schedule = scheduleContraction(analysis, machine, plan)) {
      return std::move(*schedule);
    }
  }
  return schedule::chooseSchedule(job.kernel, machine);
}

/// In one kernel of four, values that may begin at any element, as the slices and results of scans do. Drawn from
/// numbers of its own, so that the kernel of a seed does not depend on it.
void misalign(schedule::Kernel& kernel, uint64_t seed) {
  std::mt19937_64 random(seed ^ 0x5ca95ca9);
  if (random() % 4 != 0) {
    return;
  }
  auto inputs = static_cast<size_t>(std::ranges::count(kernel.function->body.ops, graph::OpKind::Input,
                                                       [](const graph::Op* op) { return op->kind; }));
  for (size_t i = 0; i < inputs; ++i) {
    kernel.unalignedInputs.push_back(random() % 2 == 0);
  }
  for (size_t r = 0; r < kernel.function->returns.size(); ++r) {
    std::optional<uint32_t> overwritten = r < kernel.inPlace.size() ? kernel.inPlace[r] : std::nullopt;
    kernel.unalignedReturns.push_back(overwritten ? kernel.unalignedInputs.at(*overwritten) : random() % 2 == 0);
  }
}

void compile(Job& job, const schedule::Machine& machine) {
  std::mt19937_64 random(job.seed);
  job.what = randomKernel(random);
  job.text = job.what.text;
  job.text.replace(job.text.find("@NAME"), 5, "@" + nameOf(job, ""));
  auto module = graph::parseModule(job.text, "case");
  if (!module) {
    job.error = "the test's kernel does not parse: " + module.error().where + ": " + module.error().message;
    return;
  }
  job.module = std::move(*module);
  if (Status status = graph::verify(*job.module); !status) {
    job.error = "the test's kernel does not verify: " + status.error().message;
    return;
  }
  job.kernel = {job.module->functions[0].get(), job.what.inPlace};
  misalign(job.kernel, job.seed);
  schedule::Schedule schedule = scheduleOf(job, machine, random);
  job.schedule = schedule::print(schedule);
  for (const schedule::OpSchedule& op : schedule.ops) {
    job.fastSums |= (op.winograd && op.winograd->outputs == 4) || op.winogradSums;
  }
  for (bool checked : {false, true}) {
    auto object = codegen::compileKernel(codegen::lowerKernels, job.kernel, schedule, machine, {checked},
                                         nameOf(job, checked ? "c" : "r"));
    if (!object) {
      job.error = object.error().message;
      return;
    }
    (checked ? job.checked : job.release) = std::move(*object);
  }
}

graph::Tensor randomTensor(std::mt19937_64& random, const TensorType& type, const std::vector<int64_t>& symbols,
                           bool positive) {
  std::vector<int64_t> dims;
  for (const Dim& dim : type.dims) {
    dims.push_back(dim.evaluate(symbols));
  }
  graph::Tensor tensor = graph::Tensor::zeros(type.dtype, dims);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    // Eighths: sums and products of a few are exact in f32, so comparisons come out as in f64.
    int64_t eighths = static_cast<int64_t>(random() % (positive ? 16 : 33));
    double value = static_cast<double>(positive ? eighths + 1 : eighths - 16) / 8;
    if (!isFloat(type.dtype)) {
      value = static_cast<double>(random() % static_cast<uint64_t>(type.bound ? type.bound->evaluate(symbols) : 2));
    }
    tensor.set(i, value);
  }
  return tensor;
}

/// The largest number of terms that flow into one element through reductions.
double termsOf(const graph::Function& function) {
  double terms = 1;
  for (const graph::Op* op : function.body.ops) {
    double points = 1;
    for (const graph::IndexVar& index : op->kind == graph::OpKind::Scatter ? op->dims : op->reduced) {
      points *= static_cast<double>(index.extent.max(function.symbols));
    }
    terms = std::max(terms, points);
  }
  return terms;
}

std::string compare(const graph::Tensor& got, const graph::Tensor& expected, double terms, bool fastSums) {
  double scale = 1;
  for (int64_t i = 0; i < expected.size(); ++i) {
    scale = std::max(scale, std::abs(expected.get(i)));
  }
  // Rounding errors of a sum grow with its number of terms, of which the values here are up to 4 each.
  double tolerance = isFloat(expected.dtype) ? 0x1p-23 * scale * (16 + 2 * std::sqrt(terms) * 4) : 0;
  if (fastSums) { // beside the largest sum, which an activation may have made small since
    tolerance = std::max(tolerance, 0x1p-17 * std::max(scale, 4 * std::sqrt(terms)));
  }
  if (isStorageOnly(expected.dtype)) {
    tolerance += scale * (expected.dtype == DType::BF16 ? 0x1p-7 : 0x1p-10); // near a half it may go the other way
  }
  // What overflows in 32 bits (the interpreter computes in 64) is not compared: kernels assume that nothing does.
  auto overflows = [&](double x) {
    return computedAs(expected.dtype) == DType::F32 && std::isinf(static_cast<float>(x));
  };
  for (int64_t i = 0; i < expected.size(); ++i) {
    if (!overflows(expected.get(i)) && !(std::abs(got.get(i) - expected.get(i)) <= tolerance)) {
      char text[160];
      std::snprintf(text, sizeof text, "element %lld is %.9g, expected %.9g (tolerance %.3g)",
                    static_cast<long long>(i), got.get(i), expected.get(i), tolerance);
      return text;
    }
  }
  return {};
}

std::string check(Job& job, const LoadedKernels& library) {
  const graph::Function& function = *job.kernel.function;
  std::mt19937_64 random(job.seed ^ 0x9e3779b97f4a7c15);
  std::vector<int64_t> batches = {1};
  if (!function.symbols.empty()) {
    int64_t max = function.symbols[0].max;
    batches = {max, 1, 1 + static_cast<int64_t>(random() % static_cast<uint64_t>(max))};
  }
  double terms = termsOf(function);
  graph::Interpreter interpreter(function);
  for (int64_t batch : batches) {
    graph::Environment environment;
    environment.seed = random();
    environment.step = static_cast<uint32_t>(random() % 1000);
    environment.epoch = 3;
    std::vector<int64_t> symbols;
    for (const Symbol& symbol : function.symbols) {
      environment.symbols[symbol.name] = batch;
      symbols.push_back(batch);
    }
    uint32_t number = 0;
    for (const graph::Op* op : function.body.ops) {
      if (op->kind == graph::OpKind::Input) {
        bool positive = std::ranges::find(job.what.positiveInputs, number) != job.what.positiveInputs.end();
        environment.inputs[op->symbol] = randomTensor(random, op->results[0]->type, symbols, positive);
        ++number;
      }
    }
    auto expected = interpreter.run(environment);
    if (!expected) {
      return "interpreter: " + expected.error().message;
    }
    std::vector<std::vector<uint8_t>> first;
    for (const auto& [object, variant, threads] :
         {std::tuple{&job.release, "release", 1}, {&job.release, "release", 2}, {&job.checked, "checked", 1}}) {
      std::string where =
          std::string(variant) + ", " + std::to_string(threads) + " threads, N = " + std::to_string(batch) + ": ";
      running = nameOf(job, "") + " " + where + "\n" + job.text + job.schedule;
      void* code = library.find(object->name);
      if (code == nullptr) {
        return "no code";
      }
      KernelRun run = runKernel(code, *object, job.kernel, environment, threads);
      if (!run.error.empty()) {
        return where + run.error;
      }
      for (size_t r = 0; r < run.returns.size(); ++r) {
        std::string difference = compare(run.returns[r], expected->returns[r], terms, job.fastSums);
        if (!difference.empty()) {
          return where + "return " + std::to_string(r) + ": " + difference;
        }
      }
      if (threads == 1 && object == &job.release) {
        first = run.bytes;
      } else if (object == &job.release && run.bytes != first) {
        return where + "not the same bits as with one thread";
      }
    }
  }
  return {};
}

bool isOf(const std::set<std::string>& families, uint64_t seed) {
  std::mt19937_64 random(seed);
  return families.contains(randomKernel(random).family);
}

/// Prints the assembly of every function of a file by the model's plan and by the best of each other kind.
int printAssembly(const std::string& path, const schedule::Machine& machine) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  auto module = graph::parseModule(text.str(), path);
  if (!module) {
    std::fprintf(stderr, "kernel_property: %s: %s\n", path.c_str(), module.error().message.c_str());
    return 1;
  }
  for (const auto& function : (*module)->functions) {
    schedule::Kernel kernel{function.get(), {}};
    schedule::Analysis analysis(kernel);
    std::set<std::tuple<schedule::Accumulate, schedule::Packing, bool, bool, bool>> kinds;
    for (const schedule::ContractionPlan& plan : contractionPlans(analysis, machine)) {
      if (!kinds.emplace(plan.accumulate, plan.packing, plan.packRows, plan.columnsInner, plan.turned).second) {
        continue;
      }
      std::optional<schedule::Schedule> how = scheduleContraction(analysis, machine, plan);
      auto code = codegen::assembleKernel(codegen::lowerKernels, kernel, *how, machine, function->name);
      std::printf("# plan @%s %s\n%s\n", function->name.c_str(), print(plan).c_str(),
                  code ? code->c_str() : code.error().message.c_str());
    }
  }
  return 0;
}

int mainProgram(int argc, char** argv) {
  uint64_t count = 300, seed = 1;
  std::string target = "host", assembly;
  std::set<std::string> wanted;
  bool verbose = false, execute = true;
  for (int i = 1; i < argc; ++i) {
    std::string flag = argv[i];
    if (flag == "--verbose") {
      verbose = true;
    } else if (flag == "--compile-only") {
      execute = false; // for targets that this machine cannot run
    } else if (i + 1 < argc && flag == "--count") {
      count = std::stoull(argv[++i]);
    } else if (i + 1 < argc && flag == "--seed") {
      seed = std::stoull(argv[++i]);
    } else if (i + 1 < argc && flag == "--assembly") {
      assembly = argv[++i];
    } else if (i + 1 < argc && flag == "--target") {
      target = argv[++i];
    } else if (i + 1 < argc && flag == "--family") {
      wanted.insert(argv[++i]); // seeds that make other kernels are passed over
    } else {
      std::fprintf(stderr, "usage: kernel_property [--count N] [--seed S] [--family NAME]... [--target T] "
                           "[--compile-only] [--verbose]\n");
      return 2;
    }
  }
  std::signal(SIGSEGV, onFault);
  std::signal(SIGBUS, onFault);
  std::signal(SIGILL, onFault);
  auto machine = schedule::machineFor(target);
  if (!machine) {
    std::fprintf(stderr, "%s\n", machine.error().message.c_str());
    return 2;
  }
  if (!assembly.empty()) {
    return printAssembly(assembly, *machine);
  }
  std::set<std::string> known;
  constexpr uint64_t enough = 2000; // seeds, among which is every family
  for (uint64_t other = 0; !std::ranges::includes(known, wanted) && other < enough; ++other) {
    std::mt19937_64 random(other);
    known.insert(randomKernel(random).family);
  }
  for (const std::string& family : wanted) {
    if (!known.contains(family)) {
      std::fprintf(stderr, "kernel_property: there is no family `%s`; there are:", family.c_str());
      for (const std::string& name : known) {
        std::fprintf(stderr, " %s%s", name.c_str(), name == *known.rbegin() ? "\n" : ",");
      }
      return 2;
    }
  }
  std::map<std::string, int> families;
  int failures = 0;
  uint64_t nextSeed = seed;
  auto start = std::chrono::steady_clock::now();
  double compileSeconds = 0;
  constexpr uint64_t together = 32; // kernels in one shared library
  for (uint64_t done = 0; done < count; done += together) {
    std::vector<Job> jobs(std::min(together, count - done));
    for (Job& job : jobs) {
      while (!wanted.empty() && !isOf(wanted, nextSeed)) {
        ++nextSeed;
      }
      job.seed = nextSeed++;
    }
    auto compileStart = std::chrono::steady_clock::now();
    {
      std::atomic<size_t> next{0};
      auto work = [&] {
        for (size_t i = next++; i < jobs.size(); i = next++) {
          compile(jobs[i], *machine);
        }
      };
      std::jthread other(work);
      work();
    }
    compileSeconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - compileStart).count();
    std::vector<schedule::KernelObject> objects;
    for (const Job& job : jobs) {
      if (job.error.empty()) {
        objects.push_back(job.release);
        objects.push_back(job.checked);
      }
    }
    LoadedKernels library(objects);
    if (!objects.empty() && !library.error().empty()) {
      std::fprintf(stderr, "%s\n", library.error().c_str());
      return 1;
    }
    for (Job& job : jobs) {
      std::string error = job.error.empty() && execute ? check(job, library) : job.error;
      ++families[job.what.family];
      if (!error.empty()) {
        ++failures;
        std::printf("FAILED --seed %llu --count 1 (%s): %s\n", static_cast<unsigned long long>(job.seed),
                    job.what.family.c_str(), error.c_str());
        if (verbose || count == 1) {
          std::printf("%s%s", job.text.c_str(), job.schedule.c_str());
        }
      } else if (count == 1) {
        std::printf("%s%s", job.text.c_str(), job.schedule.c_str());
      }
      std::fflush(stdout);
    }
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (const auto& [family, number] : families) {
    std::printf("%-16s %d\n", family.c_str(), number);
  }
  std::printf("%llu kernels, %d failed, seed %llu, %.1f s (%.1f s compiling)\n", static_cast<unsigned long long>(count),
              failures, static_cast<unsigned long long>(seed), seconds, compileSeconds);
  return failures == 0 ? 0 : 1;
}

} // namespace

} // namespace dnn::test

int main(int argc, char** argv) { return dnn::test::mainProgram(argc, argv); }
