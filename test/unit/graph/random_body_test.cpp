// Properties over random comps: the interpreter agrees with the slow evaluator at every batch size, ranges hold and
// proofs are true at every point, and the text form round-trips. Seeds are fixed and printed on failure.
#include "random_body.h"

#include "compiler/graph/affine.h"
#include "graph_text.h"

namespace dnn::graph {
namespace {

constexpr unsigned cases = 1500;

Environment randomEnvironment(std::mt19937& random, int64_t n) {
  Environment env;
  env.symbols["N"] = n;
  auto floats = [&](std::vector<int64_t> dims) {
    Tensor tensor = Tensor::zeros(DType::F32, std::move(dims));
    for (double& value : tensor.floats) {
      value = static_cast<int>(random() % 17) * 0.25 - 2;
    }
    return tensor;
  };
  env.inputs["x"] = floats({n, 4});
  env.inputs["v"] = floats({6});
  env.inputs["t"] = Tensor::zeros(DType::I32, {n, 3});
  for (int64_t& value : env.inputs["t"].ints) {
    value = random() % 6;
  }
  return env;
}

std::vector<const Tensor*> operandsOf(const Op& op, const Environment& env) {
  std::vector<const Tensor*> operands;
  for (const Value* v : op.operands) {
    operands.push_back(&env.inputs.at(v->name));
  }
  return operands;
}

TEST(RandomComps, InterpreterAgreesWithTheSlowEvaluator) {
  for (unsigned seed = 0; seed < cases; ++seed) {
    std::mt19937 random(seed);
    auto module = randomComp(random);
    const Function& f = *module->functions[0];
    ASSERT_TRUE(verify(*module).ok()) << "seed " << seed << ": " << verify(*module).error().message << print(*module);
    const Op& op = *f.returns[0]->def;
    Interpreter interpreter(f);
    for (int64_t n : {1, 2, 5}) {
      Environment env = randomEnvironment(random, n);
      auto outputs = interpreter.run(env);
      ASSERT_TRUE(outputs.ok()) << outputs.error().message;
      Tensor expected = evaluateSlowly(op, operandsOf(op, env), std::vector<int64_t>{n});
      const Tensor& got = outputs->returns[0];
      ASSERT_EQ(got.dims, expected.dims) << "seed " << seed;
      ASSERT_EQ(got.ints, expected.ints) << "seed " << seed << ", N = " << n << "\n" << print(*module);
      ASSERT_EQ(got.floats, expected.floats) << "seed " << seed << ", N = " << n << "\n" << print(*module);
    }
  }
}

TEST(RandomComps, RangesHoldAndProofsAreTrue) {
  int proofs = 0;
  for (unsigned seed = 0; seed < cases; ++seed) {
    std::mt19937 random(seed);
    auto module = randomComp(random);
    const Function& f = *module->functions[0];
    Op& op = *f.returns[0]->def; // only its domain counts here: its operands become all inputs, in order
    op.operands.clear();
    for (size_t i = 0; i < 3; ++i) {
      op.operands.push_back(f.body.ops[i]->results[0]);
    }
    RangeAnalysis ranges(op, f.symbols);
    ExprRef e = randomInteger(random, module->exprs, op, 4);
    Range range = ranges.of(e);
    auto form = linearForm(e);
    const Dim extent = random() % 2 ? Dim::symbol(0) : Dim(6);
    bool proved = ranges.alwaysInRange(e, extent);
    proofs += proved;
    for (int64_t n = 1; n <= 5; ++n) {
      std::vector<int64_t> symbols = {n};
      Environment env = randomEnvironment(random, n);
      auto operands = operandsOf(op, env);
      std::vector<int64_t> extents;
      int64_t points = 1;
      for (const auto* vars : {&op.dims, &op.reduced}) {
        for (const IndexVar& var : *vars) {
          extents.push_back(var.extent.evaluate(symbols));
          points *= extents.back();
        }
      }
      for (int64_t p = 0; p < std::min<int64_t>(points, 200); ++p) {
        std::vector<int64_t> point(extents.size());
        int64_t rest = p * 37 % points;
        for (size_t i = extents.size(); i-- > 0;) {
          point[i] = rest % extents[i];
          rest /= extents[i];
        }
        int64_t value = evaluateSlowly(e, point, operands, symbols).integer;
        ASSERT_GE(value, range.min) << "seed " << seed;
        ASSERT_LE(value, range.max) << "seed " << seed;
        ASSERT_GE(value, range.lower.evaluate(symbols)) << "seed " << seed;
        ASSERT_LE(value, range.upper.evaluate(symbols)) << "seed " << seed;
        if (proved) {
          ASSERT_TRUE(value >= 0 && value < extent.evaluate(symbols)) << "seed " << seed;
        }
        if (form) {
          int64_t sum = form->constant.evaluate(symbols);
          for (const LinearTerm& term : form->terms) {
            sum += term.factor * evaluateSlowly(term.atom, point, operands, symbols).integer;
          }
          ASSERT_EQ(sum, value) << "seed " << seed;
        }
      }
    }
  }
  EXPECT_GT(proofs, 50); // or the test says nothing about proofs
}

TEST(RandomComps, TextRoundTrips) {
  for (unsigned seed = 0; seed < cases; ++seed) {
    std::mt19937 random(seed);
    std::string text = print(*randomComp(random));
    auto again = parseModule(text, "test");
    ASSERT_TRUE(again.ok()) << again.error().where << ": " << again.error().message << "\n" << text;
    ASSERT_EQ(print(**again), text) << "seed " << seed;
  }
}

} // namespace
} // namespace dnn::graph
