// How fast products of matrices and sums over windows run, as a fraction of what the multiply-add units can do, and
// whether the cost model chose well.
//
//   schedule_bench [--threads 2] [--plans 6] [--seconds 5] [--keep FOLDER] [--relu | --sgd | --adam] [--dynamic]
//   [--strict] [--text] 512x512x512:nn 64x1024x1024:nt … 8x56x56x64:64k3:fiw …
//
// M×N×K and the operands (nn: A·B, tn: Aᵀ·B, nt: A·Bᵀ), or images × height × width × channels, the result's channels,
// kernel k, stride s, padding p (without: `same`), groups g, and the directions (f: forward, i: the images' gradient,
// w: that of the weights). The model's choice and, with --plans, others (the best of each kind, and the next best ones)
// are compiled and run in turns. Each sample is set against the peak of multiply-adds in registers just before and
// after it, because clocks change; where another machine shares the core's execution units, samples fall into two
// groups, so the 90th percentile stands for the undisturbed core, beside the median. With --keep code is compiled once
// and found in the folder later;
// --seconds 0 compiles without measuring; --strict leaves out sums that are not made term by term.
#include "bench/schedules/peak.h"
#include "bench/schedules/product.h"
#include "bench/schedules/windows.h"
#include "runtime/pool/kernel_abi.h"
#include "runtime/pool/pool.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

namespace {

using dnn::bench::Epilogue;
using dnn::bench::KernelSet;
using dnn::bench::Product;
using dnn::bench::Windows;
using dnn::schedule::Candidates;

// Kernels are loaded as libraries and find these here.
[[gnu::used]] void* const imported[] = {reinterpret_cast<void*>(&halide_do_par_for),
                                        reinterpret_cast<void*>(&halide_malloc), reinterpret_cast<void*>(&halide_free)};

struct Options {
  int threads = 1;
  size_t plans = 1;
  double seconds = 2; ///< of measuring, for each kernel
  std::string folder;
  Epilogue epilogue = Epilogue::None;
  bool dynamic = false, text = false, strict = false;
  std::vector<std::string> shapes;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (i + 1 < argc && word == "--threads") {
      options.threads = std::atoi(argv[++i]);
    } else if (i + 1 < argc && word == "--plans") {
      options.plans = static_cast<size_t>(std::atoi(argv[++i]));
    } else if (i + 1 < argc && word == "--seconds") {
      options.seconds = std::atof(argv[++i]);
    } else if (i + 1 < argc && word == "--keep") {
      options.folder = argv[++i];
    } else if (word == "--relu" || word == "--sgd") {
      options.epilogue = word == "--sgd" ? Epilogue::Sgd : Epilogue::Relu;
    } else if (word == "--adam") {
      options.epilogue = Epilogue::Adam;
    } else if (word == "--text") {
      options.text = true;
    } else if (word == "--strict") {
      options.strict = true;
    } else if (word == "--dynamic") {
      options.dynamic = true;
    } else if (dnn::bench::parseProduct(word) || dnn::bench::parseWindows(word)) {
      options.shapes.push_back(word);
    } else {
      std::fprintf(stderr,
                   "schedule_bench: cannot read `%s`; shapes look like 64x128x784:nn or 8x56x56x64:64k3s1p1g1:fiw\n",
                   argv[i]);
      std::exit(1);
    }
  }
  return options;
}

struct Measured {
  double median = 0, undisturbed = 0; ///< fractions of the peak
  double least = 1e9;                 ///< seconds
};

/// The 90th percentile of what was measured.
double undisturbed(std::vector<double> fractions) {
  std::ranges::sort(fractions);
  return fractions[fractions.size() * 9 / 10];
}

/// Runs the plans of a kernel in turns. Those that are behind after two rounds run no more; the others have eight
/// samples at least.
std::vector<Measured> measure(const KernelSet& kernels, double operations, const Options& options, double (*peakOf)()) {
  constexpr double behind = 0.85;
  constexpr size_t first = 2, least = 8;
  std::vector<std::vector<double>> fractions(kernels.size());
  std::vector<Measured> results(kernels.size());
  std::vector<bool> runs(kernels.size(), true);
  int repetitions = std::max(1, static_cast<int>(200e-6 / (operations / peakOf() / options.threads + 1e-7)));
  double end = dnn::bench::seconds() + options.seconds;
  for (size_t round = 0; round < least || dnn::bench::seconds() < end; ++round) {
    for (size_t kernel = 0; kernel < kernels.size(); ++kernel) {
      if (!runs[kernel]) {
        continue;
      }
      if (repetitions > 1) { // else what it reads does not stay in the caches anyway
        kernels.run(kernel);
      }
      double before = peakOf(), start = dnn::bench::seconds();
      for (int i = 0; i < repetitions; ++i) {
        kernels.run(kernel);
      }
      double took = (dnn::bench::seconds() - start) / repetitions;
      double limit = (before + peakOf()) / 2 * options.threads;
      results[kernel].least = std::min(results[kernel].least, took);
      fractions[kernel].push_back(operations / took / limit);
    }
    if (round + 1 == first) {
      double best = undisturbed(*std::ranges::max_element(fractions, {}, undisturbed));
      for (size_t kernel = 1; kernel < kernels.size(); ++kernel) { // the choice runs on
        runs[kernel] = undisturbed(fractions[kernel]) >= behind * best;
      }
    }
  }
  for (size_t kernel = 0; kernel < kernels.size(); ++kernel) {
    results[kernel].undisturbed = undisturbed(fractions[kernel]);
    std::ranges::sort(fractions[kernel]);
    results[kernel].median = fractions[kernel][fractions[kernel].size() / 2];
  }
  return results;
}

bool isFast(const Candidates& candidates, size_t number) {
  const dnn::schedule::Plan& plan = candidates.plan(number);
  return std::holds_alternative<dnn::schedule::WinogradPlan>(plan) ||
         std::holds_alternative<dnn::schedule::WinogradSumsPlan>(plan);
}

/// The choice, that without products of transformed blocks, the best plan of each template, and in turns the best plan
/// of another kind and the next best plan of all.
std::vector<size_t> choose(const Candidates& candidates, size_t most) {
  std::vector<size_t> chosen;
  std::set<std::string> kinds;
  std::set<size_t> templates;
  auto add = [&](size_t number) {
    if (chosen.size() < most && number < candidates.size() && std::ranges::find(chosen, number) == chosen.end()) {
      chosen.push_back(number);
      kinds.insert(candidates.kind(number));
      templates.insert(candidates.plan(number).index());
    }
  };
  add(0);
  size_t direct = 0;
  while (direct < candidates.size() && isFast(candidates, direct)) {
    ++direct;
  }
  add(direct);
  for (size_t number = 0; number < candidates.size(); ++number) {
    if (!templates.contains(candidates.plan(number).index())) {
      add(number);
    }
  }
  for (size_t kind = 0, next = 0; kind < candidates.size() && chosen.size() < most; ++kind) {
    if (!kinds.contains(candidates.kind(kind))) {
      add(kind);
      while (std::ranges::find(chosen, next) != chosen.end()) {
        ++next;
      }
      add(next);
    }
  }
  for (size_t next = 0; next < candidates.size(); ++next) {
    add(next);
  }
  return chosen;
}

class Sweep {
public:
  explicit Sweep(const Options& options) : options_(options), machine_(dnn::schedule::hostMachine()) {
    peakOf_ = machine_.vectorBits == 512 ? dnn::bench::peak<64> : dnn::bench::peak<32>;
    std::printf("peak %.1f GFLOP/s a core, %d threads\n\n", peakOf_() / 1e9, options.threads);
    std::printf("| sum | plan | µs | of the peak | median | model |\n|---|---|---|---|---|---|\n");
  }

  void run() {
    for (const std::string& word : options_.shapes) {
      if (std::optional<Product> product = dnn::bench::parseProduct(word)) {
        product->epilogue = options_.epilogue;
        product->dynamic = options_.dynamic;
        std::unique_ptr<dnn::graph::Module> module = dnn::bench::moduleOf(*product);
        one(word, dnn::bench::kernelOf(*module, *product), &*product);
        continue;
      }
      Windows windows = *dnn::bench::parseWindows(word);
      for (char direction : windows.directions) {
        dnn::bench::WindowKernels made = dnn::bench::kernelsOf(windows, direction);
        for (size_t i = 0; i < made.kernels.size(); ++i) {
          std::string name = word.substr(0, word.rfind(':')) + ":" + direction;
          one(name + (made.kernels.size() > 1 ? std::to_string(i) : ""), made.kernels[i], nullptr);
        }
      }
    }
    if (options_.plans > 1 && options_.seconds > 0) {
      std::printf("\nThe model's choice reaches at least %.2f of the best plan that was tried.\n", worst_);
    }
  }

private:
  const Options& options_;
  dnn::schedule::Machine machine_;
  double (*peakOf_)() = nullptr;
  double worst_ = 1;

  [[noreturn]] static void fail(const std::string& plan, const std::string& problem) {
    std::printf("%s: %s\n", plan.c_str(), problem.c_str());
    std::exit(1);
  }

  void one(const std::string& name, const dnn::schedule::Kernel& kernel, const Product* product) {
    using namespace dnn::schedule;
    Analysis analysis(kernel);
    Candidates candidates(analysis, machine_, options_.strict ? Sums::Direct : Sums::Fast, LongSums::All);
    KernelSet kernels(kernel);
    std::vector<size_t> chosen;
    for (size_t number : choose(candidates, options_.plans)) {
      std::optional<Schedule> schedule = candidates.schedule(number);
      if (!schedule) {
        continue;
      }
      if (options_.text && chosen.empty()) {
        std::fputs(dnn::bench::textOf(kernel, machine_, *schedule).c_str(), stdout);
      }
      std::string problem = kernels.compile(machine_, *schedule, options_.folder);
      if (!problem.empty()) {
        fail(candidates.text(number), problem);
      }
      chosen.push_back(number);
    }
    if (chosen.empty()) {
      std::printf("| %s | no plan | | | | |\n", name.c_str());
      return;
    }
    if (kernels.isNew()) {
      check(kernels, candidates, chosen, product);
    }
    double operations = 0;
    for (const dnn::graph::Op* op : analysis.function.body.ops) {
      if (op->kind == dnn::graph::OpKind::Comp && op->reduction != dnn::Reduction::None) {
        operations = 2 * analysis.points(*op);
      }
    }
    bool timed = options_.seconds > 0;
    std::vector<Measured> results =
        timed ? measure(kernels, operations, options_, peakOf_) : std::vector<Measured>(chosen.size());
    for (size_t i = 0; i < chosen.size(); ++i) {
      std::printf("| %s | %s |", name.c_str(), candidates.text(chosen[i]).c_str());
      if (timed) {
        std::printf(" %.1f | %.0f%% | %.0f%% |", results[i].least * 1e6, 100 * results[i].undisturbed,
                    100 * results[i].median);
      }
      std::printf(" %.1f |\n", candidates.cycles(chosen[i]) / 1000);
    }
    if (timed && chosen.size() > 1) {
      worst_ = std::min(worst_, compare("choice / best", candidates, chosen, results, true));
      if (isFast(candidates, chosen[0])) {
        compare("choice / best of direct sums", candidates, chosen, results, false);
      }
    }
    std::fflush(stdout);
  }

  /// How fast the first plan is beside the fastest of all that were measured, or of the direct ones.
  static double compare(const char* what, const Candidates& candidates, const std::vector<size_t>& chosen,
                        const std::vector<Measured>& results, bool fast) {
    double first = 0, best = 0;
    for (size_t i = 0; i < chosen.size(); ++i) {
      if (fast || !isFast(candidates, chosen[i])) {
        first = first == 0 ? results[i].undisturbed : first;
        best = std::max(best, results[i].undisturbed);
      }
    }
    std::printf("| | %s | | %.2f | | |\n", what, first / best);
    return first / best;
  }

  /// Products have the right values; sums over windows are the same by every plan.
  static void check(const KernelSet& kernels, const Candidates& candidates, const std::vector<size_t>& chosen,
                    const Product* product) {
    std::vector<float> expected;
    bool exact = false; // `expected` comes from a direct sum
    double largest = 0;
    for (size_t i = 0; i < chosen.size(); ++i) {
      kernels.run(i);
      if (product != nullptr) {
        if (double error = errorOf(kernels, *product); error > 1e-3) {
          fail(candidates.text(chosen[i]), "error " + std::to_string(error));
        }
        continue;
      }
      std::span<const float> result = kernels.result(0);
      if (expected.empty()) {
        expected.assign(result.begin(), result.end());
        exact = !isFast(candidates, chosen[i]);
        for (float v : expected) {
          largest = std::max(largest, std::abs(static_cast<double>(v)));
        }
      }
      double worst = 0;
      for (size_t e = 0; e < expected.size(); ++e) {
        worst = std::max(worst, std::abs(static_cast<double>(result[e]) - static_cast<double>(expected[e])));
      }
      if (bool both = exact && !isFast(candidates, chosen[i]); worst > (both ? 0 : 1e-4 * largest) || largest == 0) {
        fail(candidates.text(chosen[i]), "differs by " + std::to_string(worst) + " of " + std::to_string(largest));
      }
    }
  }
};

} // namespace

int main(int argc, char** argv) {
  Options options = parse(argc, argv);
  dnn::runtime::Pool::global().setThreads(options.threads);
  Sweep(options).run();
  return 0;
}
