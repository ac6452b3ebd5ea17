// How fast products of matrices run, as a fraction of what the multiply-add units can do, and whether the cost model
// chose well.
//
//   schedule_bench [--threads 2] [--plans 6] [--seconds 5] [--relu | --sgd | --adam] [--dynamic] 512x512x512:nn
//   64x1024x1024:nt …
//
// M×N×K and the operands (nn: A·B, tn: Aᵀ·B, nt: A·Bᵀ). The model's choice and, with --plans, the best plans of each
// kind are compiled and run in turns. Each sample is set against the peak of multiply-adds in registers just before and
// after it, because clocks change; where another machine shares the core's execution units, samples fall into two
// groups, so the 90th percentile stands for the undisturbed core, beside the median.
#include "bench/schedules/product.h"
#include "runtime/pool/kernel_abi.h"
#include "runtime/pool/pool.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace {

using dnn::bench::Epilogue;
using dnn::bench::Product;
using dnn::bench::Shape;

// Kernels are loaded as libraries and find these here.
[[gnu::used]] void* const imported[] = {reinterpret_cast<void*>(&halide_do_par_for),
                                        reinterpret_cast<void*>(&halide_malloc), reinterpret_cast<void*>(&halide_free)};

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Floating-point operations a second of one core that does nothing but fused multiply-adds in registers.
template <int bytes> double peak() {
  constexpr long rounds = 1500;
  double best = 0;
  for (int repetition = 0; repetition < 3; ++repetition) {
    double start = seconds();
    long left = rounds;
    if constexpr (bytes == 64) {
      asm volatile("1:\n"
                   "vfmadd231ps %%zmm12, %%zmm13, %%zmm0\nvfmadd231ps %%zmm12, %%zmm13, %%zmm1\n"
                   "vfmadd231ps %%zmm12, %%zmm13, %%zmm2\nvfmadd231ps %%zmm12, %%zmm13, %%zmm3\n"
                   "vfmadd231ps %%zmm12, %%zmm13, %%zmm4\nvfmadd231ps %%zmm12, %%zmm13, %%zmm5\n"
                   "vfmadd231ps %%zmm12, %%zmm13, %%zmm6\nvfmadd231ps %%zmm12, %%zmm13, %%zmm7\n"
                   "vfmadd231ps %%zmm12, %%zmm13, %%zmm8\nvfmadd231ps %%zmm12, %%zmm13, %%zmm9\n"
                   "vfmadd231ps %%zmm12, %%zmm13, %%zmm10\nvfmadd231ps %%zmm12, %%zmm13, %%zmm11\n"
                   "dec %0\njnz 1b\n"
                   : "+r"(left)::"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                     "xmm10", "xmm11", "cc");
    } else {
      asm volatile("1:\n"
                   "vfmadd231ps %%ymm12, %%ymm13, %%ymm0\nvfmadd231ps %%ymm12, %%ymm13, %%ymm1\n"
                   "vfmadd231ps %%ymm12, %%ymm13, %%ymm2\nvfmadd231ps %%ymm12, %%ymm13, %%ymm3\n"
                   "vfmadd231ps %%ymm12, %%ymm13, %%ymm4\nvfmadd231ps %%ymm12, %%ymm13, %%ymm5\n"
                   "vfmadd231ps %%ymm12, %%ymm13, %%ymm6\nvfmadd231ps %%ymm12, %%ymm13, %%ymm7\n"
                   "vfmadd231ps %%ymm12, %%ymm13, %%ymm8\nvfmadd231ps %%ymm12, %%ymm13, %%ymm9\n"
                   "vfmadd231ps %%ymm12, %%ymm13, %%ymm10\nvfmadd231ps %%ymm12, %%ymm13, %%ymm11\n"
                   "dec %0\njnz 1b\n"
                   : "+r"(left)::"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                     "xmm10", "xmm11", "cc");
    }
    best = std::max(best, rounds * 12.0 * 2 * (bytes / 4) / (seconds() - start));
  }
  return best;
}

struct Options {
  int threads = 1;
  size_t plans = 1;
  double seconds = 2; ///< of measuring, for each shape
  Epilogue epilogue = Epilogue::None;
  bool dynamic = false, text = false;
  std::vector<Shape> shapes;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    long m = 0, n = 0, k = 0;
    char left = 'n', right = 'n';
    if (i + 1 < argc && word == "--threads") {
      options.threads = std::atoi(argv[++i]);
    } else if (i + 1 < argc && word == "--plans") {
      options.plans = static_cast<size_t>(std::atoi(argv[++i]));
    } else if (i + 1 < argc && word == "--seconds") {
      options.seconds = std::atof(argv[++i]);
    } else if (word == "--relu" || word == "--sgd") {
      options.epilogue = word == "--sgd" ? Epilogue::Sgd : Epilogue::Relu;
    } else if (word == "--adam") {
      options.epilogue = Epilogue::Adam;
    } else if (word == "--text") {
      options.text = true;
    } else if (word == "--dynamic") {
      options.dynamic = true;
    } else if (std::sscanf(argv[i], "%ldx%ldx%ld:%c%c", &m, &n, &k, &left, &right) == 5 && m > 0 && n > 0 && k > 0) {
      options.shapes.push_back({m, n, k, {left, right}, options.epilogue, options.dynamic});
    } else {
      std::fprintf(stderr, "schedule_bench: cannot read `%s`; shapes look like 64x128x784:nn\n", argv[i]);
      std::exit(1);
    }
  }
  return options;
}

struct Measured {
  double median = 0, undisturbed = 0; ///< fractions of the peak
  double least = 1e9;                 ///< seconds
};

/// Runs the kernels of a product in turns.
std::vector<Measured> measure(Product& product, const Options& options, double (*peakOf)()) {
  std::vector<std::vector<double>> fractions(product.kernels());
  std::vector<Measured> results(product.kernels());
  double operations = product.shape().operations();
  int repetitions = std::max(1, static_cast<int>(200e-6 / (operations / peakOf() / options.threads + 1e-7)));
  for (double end = seconds() + options.seconds; seconds() < end || fractions.back().size() < 5;) {
    for (size_t kernel = 0; kernel < product.kernels(); ++kernel) {
      product.run(kernel);
      double before = peakOf(), start = seconds();
      for (int i = 0; i < repetitions; ++i) {
        product.run(kernel);
      }
      double took = (seconds() - start) / repetitions;
      double limit = (before + peakOf()) / 2 * options.threads;
      results[kernel].least = std::min(results[kernel].least, took);
      fractions[kernel].push_back(operations / took / limit);
    }
  }
  for (size_t kernel = 0; kernel < product.kernels(); ++kernel) {
    std::ranges::sort(fractions[kernel]);
    results[kernel].median = fractions[kernel][fractions[kernel].size() / 2];
    results[kernel].undisturbed = fractions[kernel][fractions[kernel].size() * 9 / 10];
  }
  return results;
}

} // namespace

int main(int argc, char** argv) {
  Options options = parse(argc, argv);
  dnn::runtime::Pool::global().setThreads(options.threads);
  dnn::schedule::Machine machine = dnn::schedule::hostMachine();
  double (*peakOf)() = machine.vectorBits == 512 ? peak<64> : peak<32>;
  std::printf("peak %.1f GFLOP/s a core, %d threads\n\n", peakOf() / 1e9, options.threads);
  std::printf("| M×N×K | operands | plan | µs | of the peak | median | model |\n|---|---|---|---|---|---|---|\n");
  double worst = 1;
  for (const Shape& shape : options.shapes) {
    Product product(shape);
    std::vector<dnn::schedule::ContractionPlan> chosen;
    std::set<std::tuple<int, int, int>> kinds; // the best plan of each kind, in the model's order
    for (const dnn::schedule::ContractionPlan& plan : product.plans(machine)) {
      if (options.text && chosen.empty()) {
        std::fputs(product.text(machine, plan).c_str(), stdout);
      }
      bool another =
          chosen.size() < options.plans / 2 ||
          kinds
              .emplace(static_cast<int>(plan.accumulate) + 2 * plan.packRows + 4 * plan.columnsInner + 8 * plan.turned,
                       static_cast<int>(plan.packing), static_cast<int>(plan.tasks))
              .second;
      if (another && chosen.size() < options.plans) {
        std::string problem = product.compile(machine, plan);
        double error = problem.empty() ? product.error(product.kernels() - 1) : 0;
        if (!problem.empty() || error > 1e-3) {
          std::printf("%s: %s, error %g\n", print(plan).c_str(), problem.c_str(), error);
          return 1;
        }
        chosen.push_back(plan);
      }
    }
    std::string name =
        std::to_string(shape.rows) + "×" + std::to_string(shape.columns) + "×" + std::to_string(shape.reduction);
    if (chosen.empty()) {
      std::printf("| %s | %s | no contraction | | | | |\n", name.c_str(), shape.operands.c_str());
      continue;
    }
    std::vector<Measured> results = measure(product, options, peakOf);
    double best = 0;
    for (size_t i = 0; i < chosen.size(); ++i) {
      best = std::max(best, results[i].undisturbed);
    }
    for (size_t i = 0; i < chosen.size(); ++i) {
      std::printf("| %s | %s | %s | %.1f | %.0f%% | %.0f%% | %.1f |\n", name.c_str(), shape.operands.c_str(),
                  print(chosen[i]).c_str(), results[i].least * 1e6, 100 * results[i].undisturbed,
                  100 * results[i].median, chosen[i].cycles / 1000);
    }
    worst = std::min(worst, results[0].undisturbed / best);
    if (chosen.size() > 1) {
      std::printf("| | | choice / best | | %.2f | | |\n", results[0].undisturbed / best);
    }
    std::fflush(stdout);
  }
  if (options.plans > 1) {
    std::printf("\nThe model's choice reaches at least %.2f of the best plan that was tried.\n", worst);
  }
  return 0;
}
