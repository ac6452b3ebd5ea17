// Random programs of the tensor form: their gradients against finite differences, as differentiated and as optimised,
// and the values of the optimised program against those of the plain one. Every failure prints the seed that makes the
// program again: `grad_property --seed S --count 1`.
#include "compiler/autodiff/gradcheck.h"
#include "compiler/transform/pass_manager.h"
#include "test/property/random_program.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

/// |a - b| relative to the larger one, with rounding of f32 constants and of differently ordered sums allowed for.
bool close(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) {
    return std::isnan(a) && std::isnan(b);
  }
  return std::fabs(a - b) <= 1e-6 * std::fmax(1.0, std::fmax(std::fabs(a), std::fabs(b)));
}

void checkGradients(Tally& tally, uint64_t seed, const RandomProgram& program, bool optimized) {
  dnn::autodiff::GradcheckOptions options;
  options.seed = seed;
  options.maxElements = 6;
  if (optimized) {
    options.prepare = optimizeVerified;
  } else {
    options.prepare = [](Module& module) { return dnn::graph::verify(module); };
  }
  Result<GradcheckReport> report = dnn::autodiff::gradcheck(*program.module, "f", program.environment, options);
  const char* what = optimized ? "gradient of the optimised program" : "gradient";
  if (!report) {
    fail(tally, seed, what, report.error().message, program.module.get());
    return;
  }
  for (const auto& entry : report->entries) {
    tally.derivatives += entry.checked;
    tally.notSmooth += entry.skipped;
  }
  if (!report->ok()) {
    fail(tally, seed, what, dnn::autodiff::print(*report), program.module.get());
  }
}

void checkValues(Tally& tally, uint64_t seed, const RandomProgram& program) {
  std::string text = dnn::graph::print(*program.module);
  auto plain = dnn::graph::parseModule(text, "plain");
  auto optimized = dnn::graph::parseModule(text, "optimized");
  if (!plain || !optimized) {
    fail(tally, seed, "the text form", (!plain ? plain : optimized).error().message, program.module.get());
    return;
  }
  for (Module* module : {plain->get(), optimized->get()}) {
    if (Status status = dnn::transform::differentiateAll(*module); !status) {
      fail(tally, seed, "differentiation", status.error().message, program.module.get());
      return;
    }
  }
  if (Status status = optimizeVerified(**optimized); !status) {
    fail(tally, seed, "optimisation", status.error().message, program.module.get());
    return;
  }
  dnn::graph::Environment environment = program.environment;
  Result<dnn::graph::Outputs> expected = dnn::graph::run(*(*plain)->findFunction("f"), environment);
  environment = program.environment;
  Result<dnn::graph::Outputs> got = dnn::graph::run(*(*optimized)->findFunction("f"), environment);
  if (!expected || !got) {
    fail(tally, seed, "running", (!expected ? expected : got).error().message, program.module.get());
    return;
  }
  for (const auto& [name, tensor] : expected->outputs) {
    const Tensor& other = got->outputs.at(name);
    for (int64_t i = 0; i < tensor.size(); ++i) {
      bool improved = !std::isfinite(tensor.get(i)); // a NaN may become a number
      if (!improved && !close(tensor.get(i), other.get(i))) {
        char detail[160];
        std::snprintf(detail, sizeof detail, "output %s element %lld: %.12g before, %.12g after", name.c_str(),
                      static_cast<long long>(i), tensor.get(i), other.get(i));
        fail(tally, seed, "optimisation changed a value", detail, program.module.get());
        return;
      }
    }
  }
}

void checkProgram(Tally& tally, uint64_t seed) {
  ++tally.programs;
  dnn::test::RandomProgramOptions options;
  options.secondOrder = seed % 8 == 0;
  RandomProgram program = dnn::test::makeRandomProgram(seed, options);
  if (Status status = dnn::graph::verify(*program.module); !status) {
    fail(tally, seed, "the generator made a program that does not verify", status.error().message,
         program.module.get());
    return;
  }
  checkGradients(tally, seed, program, false);
  checkGradients(tally, seed, program, true);
  checkValues(tally, seed, program);
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
  std::printf("%ld programs, %ld derivatives compared, %ld of them at points that are not smooth, %ld failures\n",
              tally.programs, tally.derivatives, tally.notSmooth, tally.failures);
  return tally.failures == 0 ? 0 : 1;
}
