// How exact the scalar functions of compiled kernels are: the largest error in units in the last place over a dense
// sample of each function's range, against libm in f64, and what they give at the ends. Prints a table; exits 1 where a
// bound does not hold.
#include "compiler/codegen/compile_kernel.h"
#include "test/property/kernel_runner.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>

namespace dnn::test {

namespace {

struct Function {
  const char* name;
  double from, to;
  double bound;    ///< ulps
  double absolute; ///< or this error, near roots that f32 arguments cannot resolve
  std::function<double(double)> exact;
};

double digamma(double x) {
  double result = 0;
  if (x < 0.5) {
    return digamma(1 - x) - 3.14159265358979323846 / std::tan(3.14159265358979323846 * x);
  }
  for (; x < 20; x += 1) {
    result -= 1 / x;
  }
  double f = 1 / (x * x);
  return result + std::log(x) - 0.5 / x - f * (1.0 / 12 - f * (1.0 / 120 - f * (1.0 / 252 - f / 240)));
}

const Function functions[] = {
    {"exp", -87, 88.7, 2, 0, [](double x) { return std::exp(x); }},
    {"log", 1e-6, 20, 2, 0, [](double x) { return std::log(x); }},
    {"log", 1e30, 1e38, 2, 0, [](double x) { return std::log(x); }},
    {"log1p", -0.99, 10, 4, 0, [](double x) { return std::log1p(x); }},
    {"log1p", -1e-3, 1e-3, 2, 0, [](double x) { return std::log1p(x); }},
    {"expm1", -20, 20, 4, 0, [](double x) { return std::expm1(x); }},
    {"expm1", -1e-3, 1e-3, 2, 0, [](double x) { return std::expm1(x); }},
    {"tanh", -10, 10, 4, 0, [](double x) { return std::tanh(x); }},
    {"tanh", -1e-3, 1e-3, 2, 0, [](double x) { return std::tanh(x); }},
    {"erf", -5, 5, 4, 0, [](double x) { return std::erf(x); }},
    {"erf", -1e-3, 1e-3, 2, 0, [](double x) { return std::erf(x); }},
    {"sqrt", 1e-6, 1e6, 1, 0, [](double x) { return std::sqrt(x); }},
    {"rsqrt", 1e-6, 1e6, 2, 0, [](double x) { return 1 / std::sqrt(x); }},
    {"sin", -100, 100, 2, 0, [](double x) { return std::sin(x); }},
    {"cos", -100, 100, 2, 0, [](double x) { return std::cos(x); }},
    {"lgamma", 0.1, 50, 4, 1e-6, [](double x) { return std::lgamma(x); }},
    {"digamma", 0.1, 50, 8, 2e-6, digamma},
    {"digamma", -3.9, -3.1, 16, 2e-5, digamma},
};

double ulp(double value) {
  float f = static_cast<float>(std::abs(value));
  return static_cast<double>(std::nextafter(f, std::numeric_limits<float>::infinity())) - f;
}

struct Ends {
  const char* name;
  double argument;
  double result;
};
constexpr double inf = std::numeric_limits<double>::infinity();
const double nan = std::numeric_limits<double>::quiet_NaN();
const Ends ends[] = {{"exp", -1000, 0},
                     {"exp", 1000, inf},
                     {"exp", inf, inf},
                     {"exp", -inf, 0},
                     {"exp", nan, nan},
                     {"log", 0, -inf},
                     {"log", -1, nan},
                     {"log", inf, inf},
                     {"log", nan, nan},
                     {"log1p", -1, -inf},
                     {"log1p", 1e30, 69.077552789821368},
                     {"log1p", nan, nan},
                     {"expm1", -1000, -1},
                     {"expm1", 1000, inf},
                     {"expm1", nan, nan},
                     {"tanh", -1000, -1},
                     {"tanh", 1000, 1},
                     {"tanh", nan, nan},
                     {"erf", -1000, -1},
                     {"erf", 1000, 1},
                     {"erf", nan, nan},
                     {"sqrt", -1, nan},
                     {"sqrt", nan, nan},
                     {"digamma", 0, nan},
                     {"digamma", -2, nan},
                     {"log1p", inf, inf},
                     {"lgamma", inf, inf}};

constexpr int64_t points = 20000;

/// The results of a kernel with one comp over %x[n], and what stands before it, for these arguments.
std::vector<double> evaluateComp(const std::string& comp, const std::vector<double>& arguments,
                                 const schedule::Machine& machine, std::string& error, const char* before = "") {
  std::string text = "func @k helper [N <= " + std::to_string(points) + "] {\n  %x = input \"0\" : f32[N]\n" + before +
                     "  %y = " + comp + "\n  return %y\n}\n";
  auto module = graph::parseModule(text, "math");
  schedule::Kernel kernel{(*module)->functions[0].get(), {}};
  auto object = codegen::compileKernel(codegen::lowerKernels, kernel, schedule::chooseSchedule(kernel, machine),
                                       machine, {}, "k");
  if (!object) {
    error = object.error().message;
    return {};
  }
  LoadedKernels library({*object});
  graph::Environment environment;
  graph::Tensor x = graph::Tensor::zeros(DType::F32, {static_cast<int64_t>(arguments.size())});
  x.floats = arguments;
  environment.inputs["0"] = x;
  environment.symbols["N"] = static_cast<int64_t>(arguments.size());
  KernelRun run = runKernel(library.find("k"), *object, kernel, environment, 1);
  error = library.error() + run.error;
  return run.returns.empty() ? std::vector<double>{} : run.returns[0].floats;
}

std::vector<double> evaluate(const char* name, const std::vector<double>& arguments, const schedule::Machine& machine,
                             std::string& error) {
  return evaluateComp("comp [n:N] : f32 { " + std::string(name) + "(%x[n]) }", arguments, machine, error);
}

/// NaN passes through sums, max and min, and fails every comparison, wherever in the vectors it stands.
bool checkNaN(const schedule::Machine& machine) {
  static const struct {
    const char* comp;
    bool expected; ///< a NaN in the result
  } cases[] = {
      {"comp [] max [n:N] : f32 { %x[n] }", true},
      {"comp [] min [n:N] : f32 { %x[n] }", true},
      {"comp [] add [n:N] : f32 { %x[n] }", true},
      {"comp [] max [n:N] : f32 { add(%x[n], 1.0) }", true},
      {"comp [n:N] : f32 { max(%x[n], 0.0) }", true},
      {"comp [n:N] : f32 { min(mul(%x[n], 2.0), 0.0) }", true},
      {"comp [n:N] : f32 { select(gt(%x[n], 0.0), %x[n], 0.0) }", false},
      {"comp [n:N] : f32 { select(le(%x[n], 0.0), 0.0, %x[n]) }", true},
      {"comp [n:N] : f32 { select(lt(%x[n], 0.0), 0.0, %x[n]) }", true},
      {"comp [n:N] : f32 { select(ge(%x[n], 0.0), %x[n], 0.0) }", false},
      {"comp [n:N] : f32 { select(lt(0.0, add(%x[n], 1.0)), %x[n], 0.0) }", false},
      {"comp [n:N] : f32 { select(le(add(%x[n], 1.0), 0.0), 0.0, %x[n]) }", true},
      {"comp [n:N] : f32 { f32(ne(%x[n], %x[n])) }", false},
  };
  bool good = true;
  for (const auto& one : cases) {
    for (size_t at : {size_t{0}, size_t{7}, size_t{20}, size_t{36}}) {
      std::vector<double> arguments(37, -1);
      arguments[at] = nan;
      std::string error;
      std::vector<double> results = evaluateComp(one.comp, arguments, machine, error);
      double result = results.empty() ? 0 : results[results.size() == 1 ? 0 : at];
      if (!error.empty() || std::isnan(result) != one.expected) {
        std::printf("NaN at %zu: %s gives %g %s FAILED\n", at, one.comp, result, error.c_str());
        good = false;
      }
    }
  }
  return good;
}

/// The exponential in a softmax, whose arguments are at most 0: down to results that are denormal, or 0.
bool checkBelowMaximum(const schedule::Machine& machine) {
  auto results = [&](const std::vector<double>& arguments, std::string& error) {
    return evaluateComp("comp [n:N] : f32 { exp(sub(%x[n], %m[])) }", arguments, machine, error,
                        "  %m = comp [] max [n:N] : f32 { %x[n] }\n");
  };
  std::vector<double> arguments;
  for (int64_t i = 0; i < points; ++i) {
    arguments.push_back(static_cast<float>(-104 * static_cast<double>(i) / (points - 1)));
  }
  arguments.back() = -inf;
  std::string error;
  std::vector<double> found = results(arguments, error);
  double worst = found.empty() ? inf : 0;
  for (size_t i = 0; i < found.size(); ++i) {
    double exact = std::exp(arguments[i]);
    worst = std::max(worst, std::abs(found[i] - exact) / ulp(exact));
  }
  arguments.assign(37, -1);
  arguments[20] = nan;
  std::vector<double> poisoned = results(arguments, error);
  bool good = error.empty() && worst <= 1.5 && std::ranges::all_of(poisoned, [](double x) { return std::isnan(x); });
  std::printf("exp below its maximum [-104, 0]  %.2f ulp%s%s\n", worst, good ? "" : "  FAILED ", error.c_str());
  return good;
}

int mainProgram() {
  schedule::Machine machine = schedule::hostMachine();
  bool good = checkNaN(machine) && checkBelowMaximum(machine);
  std::string error;
  for (const Function& f : functions) {
    std::vector<double> arguments;
    for (int64_t i = 0; i < points; ++i) {
      arguments.push_back(static_cast<float>(f.from + (f.to - f.from) * static_cast<double>(i) / (points - 1)));
    }
    std::vector<double> results = evaluate(f.name, arguments, machine, error);
    double worst = 0, worstAt = 0;
    for (size_t i = 0; i < results.size(); ++i) {
      double exact = f.exact(arguments[i]);
      double difference = std::abs(results[i] - exact);
      double ulps = difference <= f.absolute ? 0 : difference / ulp(exact);
      if (!(ulps <= worst)) {
        worst = ulps;
        worstAt = arguments[i];
      }
    }
    bool holds = error.empty() && worst <= f.bound;
    good &= holds;
    std::printf("%-8s [%g, %g]  %.2f ulp at %.9g%s%s\n", f.name, f.from, f.to, worst, worstAt, holds ? "" : "  FAILED ",
                error.c_str());
  }
  for (const Ends& end : ends) {
    std::vector<double> results = evaluate(end.name, {end.argument, end.argument}, machine, error);
    double got = results.empty() ? -12345 : results[0];
    bool holds = std::isnan(end.result) ? std::isnan(got) : std::abs(got - end.result) <= 1e-5 || got == end.result;
    good &= holds;
    if (!holds) {
      std::printf("%s(%g) = %g, expected %g  FAILED\n", end.name, end.argument, got, end.result);
    }
  }
  return good ? 0 : 1;
}

} // namespace

} // namespace dnn::test

int main() { return dnn::test::mainProgram(); }
