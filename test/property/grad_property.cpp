// Random programs of the tensor form: their gradients against finite differences, and all values of the optimised
// program, the gradients among them, against those of the plain one; besides, expressions at extreme inputs, where
// optimisation must not turn a finite value into an infinity or NaN. Every failure prints the seed that makes the
// program again: `grad_property --seed S --count 1`.
#include "compiler/autodiff/gradcheck.h"
#include "compiler/transform/pass_manager.h"
#include "test/property/random_program.h"

#include <array>
#include <cfenv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>

namespace {

using dnn::Result;
using dnn::Status;
using dnn::autodiff::GradcheckReport;
using dnn::graph::Module;
using dnn::graph::Tensor;
using dnn::test::RandomProgram;

struct Tally {
  long programs = 0;
  long derivatives = 0;
  long notSmooth = 0;
  long ofElements = 0;
  long failures = 0;
};

void fail(Tally& tally, uint64_t seed, const char* what, const std::string& detail, const Module* module) {
  ++tally.failures;
  std::printf("FAIL seed %llu: %s\n%s\n", static_cast<unsigned long long>(seed), what, detail.c_str());
  if (module != nullptr) {
    std::printf("%s\n", dnn::graph::print(*module).c_str());
  }
}

Status optimizeVerified(Module& module) {
  dnn::transform::PassOptions options;
  options.verifyEach = true;
  return dnn::transform::optimize(module, options);
}

/// |a - b| relative to the larger one. Constants of f32 programs are folded in f32, and some programs amplify that;
/// those in f64 differ by the order of sums.
bool close(double a, double b, bool wide) {
  if (std::isnan(a) || std::isnan(b)) {
    return std::isnan(a) && std::isnan(b);
  }
  double tolerance = wide ? 1e-8 : 1e-4;
  return std::fabs(a - b) <= tolerance * std::fmax(1.0, std::fmax(std::fabs(a), std::fabs(b)));
}

void checkGradients(Tally& tally, uint64_t seed, const RandomProgram& program) {
  dnn::autodiff::GradcheckOptions options;
  options.seed = seed;
  options.maxElements = 6;
  options.prepare = [](Module& module) { return dnn::graph::verify(module); };
  Result<GradcheckReport> report = dnn::autodiff::gradcheck(*program.module, "f", program.environment, options);
  if (!report) {
    fail(tally, seed, "gradient", report.error().message, program.module.get());
    return;
  }
  for (const auto& entry : report->entries) {
    tally.derivatives += entry.checked;
    tally.notSmooth += entry.skipped;
  }
  if (!report->ok()) {
    fail(tally, seed, "gradient", dnn::autodiff::print(*report), program.module.get());
  }
}

/// The program as it is and optimised, both differentiated.
struct Pair {
  std::unique_ptr<Module> plain;
  std::unique_ptr<Module> optimized;
};

Result<Pair> makePair(const RandomProgram& program) {
  std::string text = dnn::graph::print(*program.module);
  Pair pair;
  for (std::unique_ptr<Module>* module : {&pair.plain, &pair.optimized}) {
    auto parsed = dnn::graph::parseModule(text, "program");
    if (!parsed) {
      return parsed.error();
    }
    *module = std::move(*parsed);
    if (Status status = dnn::transform::differentiateAll(**module); !status) {
      return status.error();
    }
  }
  if (Status status = optimizeVerified(*pair.optimized); !status) {
    return status.error();
  }
  return pair;
}

/// Calls check(name, i, before, after) for each element of the outputs; false ends it.
template <class F>
Status compareOutputs(const Pair& pair, const dnn::graph::Environment& environment, F&& check,
                      dnn::graph::InterpreterOptions options = {}) {
  dnn::graph::Environment first = environment;
  dnn::graph::Environment second = environment;
  Result<dnn::graph::Outputs> before = dnn::graph::run(*pair.plain->findFunction("f"), first, options);
  Result<dnn::graph::Outputs> after = dnn::graph::run(*pair.optimized->findFunction("f"), second, options);
  if (!before || !after) {
    return (!before ? before : after).error();
  }
  for (const auto& [name, tensor] : before->outputs) {
    for (int64_t i = 0; i < tensor.size(); ++i) {
      check(name, i, tensor.get(i), after->outputs.at(name).get(i));
    }
  }
  return dnn::success();
}

std::string describe(const std::string& name, int64_t i, double before, double after) {
  char detail[160];
  std::snprintf(detail, sizeof detail, "output %s element %lld: %.12g before, %.12g after", name.c_str(),
                static_cast<long long>(i), before, after);
  return detail;
}

/// The outputs, gradients among them, are the same with and without optimisation.
void checkValues(Tally& tally, uint64_t seed, const RandomProgram& program, bool wide) {
  Result<Pair> pair = makePair(program);
  if (!pair) {
    fail(tally, seed, "differentiation or optimisation", pair.error().message, program.module.get());
    return;
  }
  std::string wrong;
  Status status =
      compareOutputs(*pair, program.environment, [&](const std::string& name, int64_t i, double before, double after) {
        // A NaN may become a number.
        if (wrong.empty() && std::isfinite(before) && !close(before, after, wide)) {
          wrong = describe(name, i, before, after);
        }
      });
  if (!status || !wrong.empty()) {
    fail(tally, seed, "optimisation changed a value", status ? wrong : status.error().message, program.module.get());
  }
}

/// Gradients of elements, computed all at once, are those that a loop computes one after the other, optimised or not.
void checkElementGrads(Tally& tally, uint64_t seed) {
  RandomProgram program = dnn::test::makeRandomProgram(seed, {.wide = true, .ofElements = true});
  Result<Pair> pair = makePair(program);
  std::string wrong = pair ? "" : pair.error().message;
  for (Module* module : {pair ? pair->plain.get() : nullptr, pair ? pair->optimized.get() : nullptr}) {
    dnn::graph::Environment environment = program.environment;
    auto outputs =
        module ? dnn::graph::run(*module->findFunction("f"), environment) : Result<dnn::graph::Outputs>(dnn::Error{});
    if (!outputs) {
      wrong = wrong.empty() ? outputs.error().message : wrong;
      continue;
    }
    for (const auto& [name, tensor] : outputs->outputs) {
      if (!name.starts_with("spread")) {
        continue;
      }
      ++tally.ofElements;
      const auto& loop = outputs->outputs.at("loop" + name.substr(std::strlen("spread")));
      for (int64_t i = 0; i < tensor.size(); ++i) {
        if (wrong.empty() && std::isfinite(loop.get(i)) && !close(loop.get(i), tensor.get(i), true)) {
          wrong = describe(name, i, loop.get(i), tensor.get(i));
        }
      }
    }
  }
  if (!wrong.empty()) {
    fail(tally, seed, "gradients of elements", wrong, program.module.get());
  }
}

/// The rounding of floating point operations as long as it exists.
class Rounding {
public:
  explicit Rounding(int mode) { std::fesetround(mode); }
  ~Rounding() { std::fesetround(FE_TONEAREST); }
  Rounding(const Rounding&) = delete;
  Rounding& operator=(const Rounding&) = delete;
};

/// What is finite stays finite. Only where it is finite around the point too: at 0 = 1 - 1 rounding decides on which
/// side of a pole or a root an expression is.
void checkExtremes(Tally& tally, uint64_t seed) {
  RandomProgram program = dnn::test::makeExtremeProgram(seed);
  Result<Pair> pair = makePair(program);
  if (!pair) {
    // Some have no derivative: a step, or none of the inputs.
    return;
  }
  std::map<std::pair<std::string, int64_t>, double> finite;
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> nudge(-1e-7, 1e-7);
  // x - x is -0 if rounded downwards, a / (1 + a) with a large a less than 1 if rounded upwards: neither the sign of a
  // zero nor what is lost beside a larger number must decide, at the point itself too.
  constexpr std::array modes = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD};
  constexpr size_t neighbours = 2 * modes.size();
  for (size_t round = 0; round < neighbours; ++round) {
    Rounding rounding(modes[round % modes.size()]);
    double scale = round < modes.size() ? 0 : 1;
    dnn::graph::Environment near = program.environment;
    // Constants that have been folded are rounded: tanh(-14) is -1.
    dnn::graph::InterpreterOptions options{.roundToF32 = round == 0};
    for (auto& [name, tensor] : near.inputs) {
      for (double& x : tensor.floats) {
        x += scale * nudge(random) * std::fmax(1.0, std::fabs(x));
      }
    }
    auto note = [&](const std::string& name, int64_t i, double before, double) {
      auto [entry, first] = finite.try_emplace({name, i}, before);
      bool steady = std::isfinite(before) && std::fabs(before - entry->second) <= 1e-2 * (1 + std::fabs(before));
      entry->second = steady && (first || std::isfinite(entry->second)) ? entry->second : HUGE_VAL;
    };
    if (Status status = compareOutputs(*pair, near, note, options); !status) {
      fail(tally, seed, "running", status.error().message, program.module.get());
      return;
    }
  }
  std::string wrong;
  Status status =
      compareOutputs(*pair, program.environment, [&](const std::string& name, int64_t i, double before, double after) {
        bool defined = std::isfinite(before) && std::isfinite(finite[{name, i}]);
        if (wrong.empty() && defined && !std::isfinite(after)) {
          wrong = describe(name, i, before, after);
        }
      });
  if (!status || !wrong.empty()) {
    fail(tally, seed, "optimisation lost a finite value", status ? wrong : status.error().message,
         program.module.get());
  }
}

void checkProgram(Tally& tally, uint64_t seed) {
  ++tally.programs;
  dnn::test::RandomProgramOptions options;
  options.wide = seed % 2 == 0;
  options.secondOrder = seed % 4 == 0; // in f64: second derivatives amplify rounded constants
  RandomProgram program = dnn::test::makeRandomProgram(seed, options);
  if (Status status = dnn::graph::verify(*program.module); !status) {
    fail(tally, seed, "the generator made a program that does not verify", status.error().message,
         program.module.get());
    return;
  }
  checkGradients(tally, seed, program);
  checkValues(tally, seed, program, options.wide);
  checkElementGrads(tally, seed);
  checkExtremes(tally, seed);
}

} // namespace

int main(int argc, char** argv) {
  uint64_t seed = 1;
  long count = 500;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--seed") == 0) {
      seed = std::strtoull(argv[i + 1], nullptr, 10);
    } else if (std::strcmp(argv[i], "--count") == 0) {
      count = std::strtol(argv[i + 1], nullptr, 10);
    } else {
      std::fprintf(stderr, "usage: grad_property [--count C] [--seed S]\n");
      return 2;
    }
  }
  Tally tally;
  std::printf("programs from seed %llu\n", static_cast<unsigned long long>(seed));
  constexpr long enough = 10;
  for (long i = 0; i < count && tally.failures < enough; ++i) {
    checkProgram(tally, seed + static_cast<uint64_t>(i));
  }
  std::printf("%ld programs, %ld derivatives compared, %ld of them at points that are not smooth, "
              "%ld tensors of gradients of elements, %ld failures\n",
              tally.programs, tally.derivatives, tally.notSmooth, tally.ofElements, tally.failures);
  return tally.failures == 0 ? 0 : 1;
}
