#include "compiler/graph/interpreter.h"

#include "compiler/graph/scalar_math.h"
#include "graph_text.h"

#include <chrono>

namespace dnn::graph {
namespace {

const char* text = R"(
  param @w : f32[2]
  func @f [N <= 4] {
    %x = input "x" : f32[N, 2]
    %w = param @w : f32[2]
    %s = comp [n:N] add [k:2] : f32 { mul(%x[n, k], %w[k]) }
    %t = comp [n:N] : f32 { tanh(%s[n]) }
    %l = comp [] add [n:N] : f32 { %t[n] }
    %g = grad %l wrt (%w) : f32[2]
    %new = comp [k:2] : f32 { sub(%w[k], %g[k]) }
    update @w = %new
  })";

Tensor vector(std::vector<double> values) {
  Tensor tensor = Tensor::zeros(DType::F32, {static_cast<int64_t>(values.size())});
  tensor.floats = std::move(values);
  return tensor;
}

Environment environment() {
  Environment env;
  env.symbols["N"] = 1;
  env.inputs["x"] = Tensor{.dtype = DType::F32, .dims = {1, 2}, .floats = {3, 4}};
  env.persistents["w"] = vector({0.5, 0.25});
  return env;
}

TEST(Evaluate, ComputesOnlyWhatIsNeeded) {
  auto module = readModule(text);
  const Function& f = *module->functions[0];
  const Value* wanted[] = {findValue(f, "l"), findValue(f, "s")};
  auto values = Interpreter(f).evaluate(environment(), wanted); // the grad op is not in the way
  ASSERT_TRUE(values.ok()) << values.error().message;
  EXPECT_EQ((*values)[1].get(0), 2.5);
  EXPECT_DOUBLE_EQ((*values)[0].get(0), std::tanh(2.5));
}

TEST(Evaluate, GivenValuesReplaceWhatWouldBeComputed) {
  auto module = readModule(text);
  const Function& f = *module->functions[0];
  const Value* wanted[] = {findValue(f, "l"), findValue(f, "new")};
  Interpreter::Given given;
  given[findValue(f, "s")] = vector({1.0});
  given[findValue(f, "g")] = vector({0.5, 0.25});
  auto values = Interpreter(f).evaluate(environment(), wanted, given);
  ASSERT_TRUE(values.ok()) << values.error().message;
  EXPECT_DOUBLE_EQ((*values)[0].get(0), std::tanh(1.0));
  EXPECT_EQ((*values)[1].floats, (std::vector<double>{0, 0}));
}

TEST(Evaluate, FollowsTheValuesOfTheSymbols) {
  auto module = readModule(text);
  const Function& f = *module->functions[0];
  const Value* wanted[] = {findValue(f, "s")};
  Interpreter interpreter(f);
  Environment env = environment();
  ASSERT_TRUE(interpreter.evaluate(env, wanted).ok());
  env.symbols["N"] = 3;
  env.inputs["x"] = Tensor{.dtype = DType::F32, .dims = {3, 2}, .floats = {1, 0, 0, 1, 1, 1}};
  auto values = interpreter.evaluate(env, wanted);
  ASSERT_TRUE(values.ok()) << values.error().message;
  EXPECT_EQ((*values)[0].floats, (std::vector<double>{0.5, 0.25, 0.75}));
}

TEST(Run, RoundsToF32WhenAsked) {
  auto module = readModule(R"(func @f helper {
    %a = comp [] : f32 { div(1.0, 3.0) }
    %b = comp [] : f64 { div(1.0f64, 3.0f64) }
    return %a, %b
  })");
  Environment env;
  auto exact = run(*module->functions[0], env);
  auto rounded = run(*module->functions[0], env, {.roundToF32 = true});
  EXPECT_EQ(exact->returns[0].get(0), 1.0 / 3.0);
  EXPECT_EQ(rounded->returns[0].get(0), static_cast<double>(1.0f / 3.0f));
  EXPECT_EQ(rounded->returns[1].get(0), 1.0 / 3.0);
}

TEST(Run, RefusesWrongInputs) {
  auto module = readModule("func @f [N <= 4] { %x = input \"x\" : f32[N] output \"y\" = %x }");
  const Function& f = *module->functions[0];
  auto message = [&](Environment env) {
    auto outputs = run(f, env);
    return outputs.ok() ? std::string("ran") : outputs.error().message;
  };
  EXPECT_EQ(message({}), "in @f: the symbol N has no value");
  EXPECT_EQ(message({.inputs = {{"x", vector({1})}}, .symbols = {{"N", 2}}}),
            "in @f, input @x: wanted f32[2], got f32[1]");
  EXPECT_EQ(message({.inputs = {{"x", Tensor::zeros(DType::F64, {2})}}, .symbols = {{"N", 2}}}),
            "in @f, input @x: wanted f32[2], got f64[2]");
  EXPECT_EQ(message({.inputs = {{"x", Tensor{.dtype = DType::F32, .dims = {2}}}}, .symbols = {{"N", 2}}}),
            "in @f, input @x: the tensor has 0 elements instead of 2");
}

TEST(Run, IsSpeedyEnoughForGradientChecks) {
  auto module = readModule(R"(func @f helper {
    %x = input "x" : f32[64, 256]
    %y = comp [n:64, o:32] add [k:256] : f32 { mul(%x[n, k], %x[o, k]) }
    return %y
  })");
  Environment env;
  env.inputs["x"] = Tensor::zeros(DType::F32, {64, 256});
  Interpreter interpreter(*module->functions[0]);
  double best = 0;
  for (int attempt = 0; attempt < 10; ++attempt) {
    auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(interpreter.run(env).ok());
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, 64 * 32 * 256 / seconds.count());
  }
  EXPECT_GT(best, 5e6); // points a second, in any build; 3e8 in a release build
}

TEST(ScalarMath, DigammaAgreesWithTables) {
  // Abramowitz & Stegun, table 6.1, and ψ(1/2) = -γ - 2 ln 2.
  EXPECT_NEAR(digamma(1), -0.57721566490153286, 1e-14);
  EXPECT_NEAR(digamma(0.5), -1.96351002602142348, 1e-14);
  EXPECT_NEAR(digamma(1.5), 0.03648997397857652, 1e-14);
  EXPECT_NEAR(digamma(100), 4.60016185273809, 1e-13);
  EXPECT_NEAR(digamma(-0.5), 0.03648997397857652, 1e-13);
  EXPECT_NEAR(digamma(1e-3), -1000.5755719318336, 1e-9);
  // ψ(x+1) = ψ(x) + 1/x across the switch from recurrence to series.
  for (double x : {0.1, 2.3, 8.9, 9.5, 10.5, 33.0}) {
    EXPECT_NEAR(digamma(x + 1), digamma(x) + 1 / x, 1e-13) << x;
  }
}

TEST(ScalarMath, FloorDivisionAtTheEdges) {
  constexpr int64_t low = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(divideFloor(-7, 2), -4);
  EXPECT_EQ(remainderFloor(-7, 2), 1);
  EXPECT_EQ(divideFloor(7, -2), -3); // the remainder is never negative
  EXPECT_EQ(remainderFloor(7, -2), 1);
  EXPECT_EQ(divideFloor(-7, -2), 4);
  EXPECT_EQ(divideFloor(low, -1), low); // wraps around
  EXPECT_EQ(remainderFloor(low, -1), 0);
  EXPECT_EQ(divideFloor(5, 0), 0);
  EXPECT_EQ(remainderFloor(5, 0), 0);
}

} // namespace
} // namespace dnn::graph
