#include "graph_text.h"

namespace dnn::graph {
namespace {

TEST(Uses, CountsEveryOperandPositionAndReturns) {
  auto module = readModule(R"(
    func @f helper {
      %x = input "x" : f32[2]
      %y = comp [i:2] : f32 { mul(%x[i], %x[i]) }
      %z = concat %x, %x axis 0 : f32[4]
      group elementwise {
        %a = comp [i:2] : f32 { %y[i] }
      } -> (%a)
      return %a
    })");
  const Function& f = *module->functions[0];
  Uses uses(f);
  EXPECT_EQ(uses.of(findValue(f, "x")).size(), 3u); // once in the comp, twice in the concat
  EXPECT_EQ(uses.of(findValue(f, "y")).size(), 1u); // by the op in the group, not by the group
  EXPECT_EQ(uses.of(findValue(f, "y"))[0]->kind, OpKind::Comp);
  EXPECT_TRUE(uses.unused(findValue(f, "z")));
  EXPECT_TRUE(uses.of(findValue(f, "a")).empty());
  EXPECT_FALSE(uses.unused(findValue(f, "a")));
}

TEST(ReplaceAllUses, ReachesGroupsAndReturnsAndKeepsTheGraphValid) {
  auto module = readModule(R"(
    func @f helper {
      %x = input "x" : f32[2]
      %y = comp [i:2] : f32 { exp(%x[i]) }
      group elementwise {
        %a = comp [i:2] : f32 { add(%y[i], %x[i]) }
        %b = comp [i:2] : f32 { neg(%a[i]) }
      } -> (%a, %b)
      %c = comp [i:2] : f32 { mul(%a[i], %y[i]) }
      return %b, %c
    })");
  Function& f = *module->functions[0];
  replaceAllUses(f, findValue(f, "y"), findValue(f, "x"));
  EXPECT_TRUE(verify(*module).ok()) << verify(*module).error().message;
  replaceAllUses(f, findValue(f, "a"), findValue(f, "y"));
  EXPECT_TRUE(verify(*module).ok()) << verify(*module).error().message;
  EXPECT_EQ(print(f), R"(func @f helper {
  %x = input "x" : f32[2]
  %y = comp [i:2] : f32 { exp(%x[i]) }
  group elementwise {
    %a = comp [i:2] : f32 { add(%x[i], %x[i]) }
    %b = comp [i:2] : f32 { neg(%y[i]) }
  } -> (%b)
  %c = comp [i:2] : f32 { mul(%y[i], %x[i]) }
  return %b, %c
}
)");
}

TEST(EraseDeadOps, RemovesChainsAndKeepsEffectsInputsAndNeededResults) {
  auto module = readModule(R"(
    param @w : f32
    func @f {
      %x = input "x" : f32
      %unused = input "unused" : f32
      %w = param @w : f32
      %a = comp [] : f32 { exp(%w[]) }
      %b = comp [] : f32 { exp(%a[]) }
      %c = comp [] : f32 { neg(%x[]) }
      %g, %h = grad %c wrt (%x, %c) : f32, f32
      group elementwise {
        %d = comp [] : f32 { neg(%c[]) }
        %e = comp [] : f32 { neg(%c[]) }
      } -> (%d, %e)
      %k = comp [] : f32 { %e[] }
      output "h" = %h
      update @w = %d
    })");
  Function& f = *module->functions[0];
  EXPECT_TRUE(eraseDeadOps(f));
  EXPECT_TRUE(verify(*module).ok()) << verify(*module).error().message;
  EXPECT_EQ(print(f), R"(func @f {
  %x = input "x" : f32
  %unused = input "unused" : f32
  %c = comp [] : f32 { neg(%x[]) }
  %g, %h = grad %c wrt (%x, %c) : f32, f32
  group elementwise {
    %d = comp [] : f32 { neg(%c[]) }
  } -> (%d)
  output "h" = %h
  update @w = %d
}
)");
  EXPECT_FALSE(eraseDeadOps(f));
}

TEST(NormalizeOperands, DropsJoinsAndOrdersByFirstAccess) {
  auto module = readModule(R"(
    func @f helper {
      %x = input "x" : f32
      %y = input "y" : f32
      %z = input "z" : f32
      %r = comp [] : f32 { sub(%y[], %x[]) }
      return %r
    })");
  Function& f = *module->functions[0];
  Op& op = *findValue(f, "r")->def;
  ExprPool& pool = module->exprs;
  op.operands = {findValue(f, "z"), findValue(f, "x"), findValue(f, "y"), findValue(f, "x")};
  op.body = pool.apply(ScalarOp::Sub,
                       {pool.access(2, DType::F32, {}),
                        pool.apply(ScalarOp::Mul, {pool.access(1, DType::F32, {}), pool.access(3, DType::F32, {})})});
  EXPECT_FALSE(verify(*module).ok());
  normalizeOperands(pool, op);
  EXPECT_TRUE(verify(*module).ok());
  EXPECT_EQ(op.operands, (std::vector<Value*>{findValue(f, "y"), findValue(f, "x")}));
  EXPECT_NE(print(f).find("{ sub(%y[], mul(%x[], %x[])) }"), std::string::npos);
}

/// Rules that no text can break, because the reader makes the structure itself.
TEST(Verify, FindsBrokenStructure) {
  const char* text = R"(
    func @f helper {
      %x = input "x" : f32[2]
      %y = comp [i:2] : f32 { exp(%x[i]) }
      %z = comp [i:2] : f32 { exp(%y[i]) }
      return %z
    })";
  auto broken = [&](auto breakIt) {
    auto module = readModule(text);
    Function& f = *module->functions[0];
    breakIt(*module, f);
    Status status = verify(*module);
    return status.ok() ? std::string("verifies") : status.error().message;
  };
  EXPECT_EQ(broken([](Module&, Function& f) { std::swap(f.body.ops[1], f.body.ops[2]); }),
            "in @f, %z = comp: it uses %y, which is not defined before it");
  EXPECT_EQ(broken([](Module&, Function& f) { f.body.ops.push_back(f.body.ops[1]); }),
            "in @f, %1 = comp: the op stands in the function twice"); // so its name is not unique
  EXPECT_EQ(broken([](Module&, Function& f) { f.body.ops.erase(f.body.ops.begin()); }),
            "in @f, %y = comp: it uses a value of another function, which is not defined before it");
  EXPECT_EQ(broken([](Module&, Function& f) { f.body.ops[1]->operands.clear(); }),
            "in @f, %y = comp: an access names operand 0 of 0");
  EXPECT_EQ(broken([](Module&, Function& f) { f.body.ops[1]->results[0]->position = 1; }),
            "in @f, %y = comp: its result 0 does not name it as the definition");
  EXPECT_EQ(broken([](Module&, Function& f) { f.body.ops[1]->results[0]->type.dims = {Dim(3)}; }),
            "in @f, %y = comp: its type f32[3] does not have the extents of its indices");
  EXPECT_EQ(broken([](Module&, Function& f) { f.body.ops[1]->loc = {.file = 3, .line = 1}; }),
            "in @f, %y = comp: its location names a file that the module does not list");
  EXPECT_EQ(broken([](Module& m, Function& f) { f.body.ops[1]->body = m.exprs.index(1); }),
            "in @f, %y = comp: an index of the body is not one of the op's");
  EXPECT_EQ(broken([](Module&, Function& f) { f.body.ops[1]->body = nullptr; }), "in @f, %y = comp: it has no body");
  EXPECT_EQ(
      broken([](Module& m, Function& f) {
        f.body.ops[1]->body = m.exprs.intern(
            {.kind = ExprKind::Apply, .dtype = DType::F64, .op = ScalarOp::Exp, .args = f.body.ops[1]->body->args});
      }),
      "in @f, %y = comp: `exp` is marked f64 but gives f32");
  EXPECT_EQ(broken([](Module& m, Function& f) {
              f.body.ops[1]->body = m.exprs.extent(Dim::symbol(4));
              f.body.ops[1]->operands.clear();
            }),
            "in @f, %y = comp: an extent of the body names an unknown symbol or leaves 32 bits");
  EXPECT_EQ(broken([](Module& m, Function& f) {
              f.body.ops[1]->operands.push_back(f.body.ops[0]->results[0]);
              f.body.ops[1]->body = m.exprs.apply(
                  ScalarOp::Add, {f.body.ops[1]->body, m.exprs.access(1, DType::F32, {m.exprs.index(0)})});
            }),
            "in @f, %y = comp: %x is an operand twice");
}

TEST(Print, NamesDoNotDependOnHowTheGraphCameAbout) {
  auto module = readModule(R"(
    func @f helper {
      %x = input "x" : f32
      %y = comp [] : f32 { exp(%x[]) }
      %z = comp [] : f32 { exp(%y[]) }
      return %z
    })");
  Function& f = *module->functions[0];
  findValue(f, "z")->name = "x"; // taken twice: both are numbered
  findValue(f, "y")->name = "not a name";
  f.body.ops[2]->dims = {};
  EXPECT_EQ(print(f), R"(func @f helper {
  %0 = input "x" : f32
  %1 = comp [] : f32 { exp(%0[]) }
  %2 = comp [] : f32 { exp(%1[]) }
  return %2
}
)");
}

TEST(Print, IndexNamesAreMadeUnique) {
  auto module = readModule("func @f helper { %x = comp [i:2, j:3] add [k:4] : i32 { add(i, add(j, k)) } return %x }");
  Op& op = *module->functions[0]->body.ops[0];
  op.dims[1].name = "i";
  op.reduced[0].name = "true";
  EXPECT_NE(print(*module).find("comp [i:2, i1:3] add [i2:4] : i32 { add(i, add(i1, i2)) }"), std::string::npos)
      << print(*module);
}

} // namespace
} // namespace dnn::graph
