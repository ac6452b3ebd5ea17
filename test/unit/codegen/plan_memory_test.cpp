// Where updates are written, in which order that makes ops run, and that no two living buffers overlap.
#include "compiler/transform/plan_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace dnn::transform {
namespace {

using graph::OpKind;

std::unique_ptr<graph::Module> moduleOf(const std::string& text) {
  auto module = graph::parseModule(text, "test.dnir");
  EXPECT_TRUE(module.ok()) << module.error().where << ": " << module.error().message;
  Status status = graph::verify(**module);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return std::move(*module);
}

/// One function with its placement and plan.
struct Planned {
  std::unique_ptr<graph::Module> module;
  UpdatePlacements placements;
  MemoryPlan plan;

  explicit Planned(const std::string& text) : module(moduleOf(text)) {
    placements = placeUpdates(*module);
    EXPECT_TRUE(graph::verify(*module).ok());
    plan = planMemory(*module, placements);
  }
  const graph::Function& function() const { return *module->functions[0]; }
  const UpdatePlacement& placement() const { return placements.at(&function()); }
  const FunctionMemory& memory() const { return plan.functions.at(&function()); }
  /// Position of the group that defines the escape with this name.
  size_t groupOf(const std::string& name) const {
    const auto& ops = function().body.ops;
    for (size_t i = 0; i < ops.size(); ++i) {
      for (const graph::Value* v : ops[i]->escapes) {
        if (v->name == name) {
          return i;
        }
      }
    }
    ADD_FAILURE() << "no group defines " << name;
    return 0;
  }
};

/// y = x·w; the gradient of x·w with respect to w updates w; dx = dy·wᵀ stands after the update in the text.
constexpr const char* readerAfterUpdate = R"(
param @w : f32[4, 3]
func @step [N <= 8] {
  %x = input "x" : f32[N, 4]
  %w = param @w : f32[4, 3]
  group contraction {
    %y = comp [n:N, o:3] add [k:4] : f32 { mul(%x[n, k], %w[k, o]) }
  } -> (%y)
  group contraction {
    %dw = comp [k:4, o:3] add [n:N] : f32 { mul(%x[n, k], %y[n, o]) }
    %w1 = comp [k:4, o:3] : f32 { sub(%w[k, o], mul(0.1, %dw[k, o])) }
  } -> (%w1)
  group contraction {
    %dx = comp [n:N, k:4] add [o:3] : f32 { mul(%y[n, o], %w[k, o]) }
  } -> (%dx)
  update @w = %w1
  output "dx" = %dx
}
)";

TEST(PlaceUpdates, MovesReadersOfTheOldValueBeforeAnUpdateInPlace) {
  Planned p(readerAfterUpdate);
  EXPECT_EQ(p.placement().inPlace.size(), 1u);
  EXPECT_EQ(p.placement().direct.size(), 1u);
  EXPECT_LT(p.groupOf("dx"), p.groupOf("w1"));
  EXPECT_TRUE(p.memory().copies.empty());
}

TEST(PlaceUpdates, CopiesWhenAReaderOfTheOldValueNeedsTheNewOne) {
  Planned p(R"(
param @w : f32[4]
func @step {
  %w = param @w : f32[4]
  group elementwise {
    %w1 = comp [i:4] : f32 { mul(0.5, %w[i]) }
  } -> (%w1)
  group elementwise {
    %d = comp [i:4] : f32 { sub(%w[i], %w1[i]) }
  } -> (%d)
  update @w = %w1
  output "d" = %d
}
)");
  EXPECT_TRUE(p.placement().direct.empty());
  ASSERT_EQ(p.memory().copies.size(), 1u);
  EXPECT_EQ(p.memory().copies[0].to.region, Slot::Region::Persistent);
}

TEST(PlaceUpdates, CopiesWhenTheOldValueIsReadAtAnotherElement) {
  Planned p(R"(
param @w : f32[4]
func @step {
  %w = param @w : f32[4]
  group elementwise {
    %w1 = comp [i:4] : f32 { mul(0.5, %w[3 - i]) }
  } -> (%w1)
  update @w = %w1
}
)");
  EXPECT_TRUE(p.placement().direct.empty());
  EXPECT_EQ(p.memory().copies.size(), 1u);
}

TEST(PlaceUpdates, CopiesWhenTheNewValueIsReducedInTheSameGroup) {
  Planned p(R"(
param @w : f32[4]
func @step {
  %w = param @w : f32[4]
  group reduction {
    %w1 = comp [i:4] : f32 { mul(0.5, %w[i]) }
    %s = comp [] add [i:4] : f32 { mul(%w1[i], %w1[i]) }
  } -> (%w1, %s)
  update @w = %w1
  output "s" = %s
}
)");
  EXPECT_TRUE(p.placement().inPlace.empty());
  EXPECT_EQ(p.memory().copies.size(), 1u);
}

TEST(PlaceUpdates, CopiesAllOfAGroupWhereOneEscapeThatReadsTheOldValueIsNotInPlace) {
  Planned p(R"(
param @w : f32[4]
func @step {
  %w = param @w : f32[4]
  group elementwise {
    %w1 = comp [i:4] : f32 { mul(0.5, %w[i]) }
    %d = comp [i:4] : f32 { sub(%w[i], %w1[i]) }
  } -> (%w1, %d)
  update @w = %w1
  output "d" = %d
}
)");
  EXPECT_TRUE(p.placement().inPlace.empty());
  EXPECT_TRUE(p.placement().direct.empty());
  EXPECT_EQ(p.memory().copies.size(), 1u);
}

TEST(PlaceUpdates, AdamIsInPlaceInAllThreeTensors) {
  Planned p(R"(
param @w : f32[4]
optimizer_state @m : f32[4]
optimizer_state @v : f32[4]
func @step {
  %g = input "g" : f32[4]
  %w = param @w : f32[4]
  %m = state @m : f32[4]
  %v = state @v : f32[4]
  group elementwise {
    %m1 = comp [i:4] : f32 { add(mul(0.9, %m[i]), mul(0.1, %g[i])) }
    %v1 = comp [i:4] : f32 { add(mul(0.9, %v[i]), mul(0.1, mul(%g[i], %g[i]))) }
    %w1 = comp [i:4] : f32 { sub(%w[i], div(%m1[i], add(1e-8, sqrt(%v1[i])))) }
  } -> (%m1, %v1, %w1)
  update @w = %w1
  update @m = %m1
  update @v = %v1
}
)");
  ASSERT_EQ(p.placement().inPlace.size(), 1u);
  const auto& marks = p.placement().inPlace.begin()->second;
  EXPECT_TRUE(std::ranges::all_of(marks, [](const auto& m) { return m.has_value(); }));
  EXPECT_EQ(p.placement().direct.size(), 3u);
  EXPECT_TRUE(p.memory().copies.empty());
}

TEST(PlaceUpdates, InitWritesDirectly) {
  Planned p(R"(
param @w : f32[4]
param @b : f32[4]
func @init {
  group elementwise {
    %z = comp [i:4] : f32 { 0.0 }
  } -> (%z)
  update @w = %z
  update @b = %z
}
)");
  ASSERT_EQ(p.placement().direct.size(), 1u);
  EXPECT_EQ(p.placement().direct.begin()->second, "w");
  ASSERT_EQ(p.memory().copies.size(), 1u); // from w, where nothing overwrites it
  EXPECT_EQ(p.memory().copies[0].from.offset, p.plan.persistentOffset.at("w"));
  EXPECT_EQ(p.memory().copies[0].to.offset, p.plan.persistentOffset.at("b"));
}

TEST(PlaceUpdates, SwapGoesThroughTemporaries) {
  Planned p(R"(
param @a : f32[4]
param @b : f32[4]
func @step {
  %a = param @a : f32[4]
  %b = param @b : f32[4]
  update @a = %b
  update @b = %a
}
)");
  const auto& copies = p.memory().copies;
  ASSERT_EQ(copies.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(copies[i].to.region, i < 2 ? Slot::Region::Arena : Slot::Region::Persistent);
  }
  EXPECT_NE(copies[0].to.offset, copies[1].to.offset);
}

TEST(PlaceUpdates, AnOutputOfTheOldValueIsCopiedBeforeTheUpdate) {
  Planned p(R"(
param @w : f32[4]
func @step {
  %w = param @w : f32[4]
  group elementwise {
    %w1 = comp [i:4] : f32 { mul(0.5, %w[i]) }
  } -> (%w1)
  update @w = %w1
  output "old" = %w
}
)");
  EXPECT_TRUE(p.placement().direct.empty());
  ASSERT_EQ(p.memory().copies.size(), 2u);
  EXPECT_EQ(p.memory().copies[0].from.region, Slot::Region::Persistent);
  EXPECT_EQ(p.memory().copies[1].to.region, Slot::Region::Persistent);
}

TEST(PlanMemory, AReshapeSharesItsOperandsMemory) {
  Planned p(R"(
func @predict.f [N <= 8] {
  %x = input "x" : f32[N, 2, 3]
  %r = reshape %x : f32[N, 6]
  group elementwise {
    %y = comp [n:N, i:6] : f32 { mul(2.0, %r[n, i]) }
  } -> (%y)
  %z = reshape %y : f32[N, 3, 2]
  output "z" = %z
}
)");
  const auto& ops = p.function().body.ops;
  const auto& slots = p.memory().slots;
  EXPECT_EQ(slots.at(ops[0]->results[0]).offset, slots.at(ops[1]->results[0]).offset);
  EXPECT_EQ(p.memory().outputs.at("z").offset, slots.at(ops[2]->escapes[0]).offset);
  EXPECT_NE(slots.at(ops[0]->results[0]).offset, p.memory().outputs.at("z").offset);
  EXPECT_EQ(slots.at(ops[0]->results[0]).bytes, 8u * 6 * 4); // for the largest batch
}

/// A chain in which each group reads some earlier values: sizes and reads at random.
std::string randomProgram(std::mt19937& random, int groups) {
  std::string text = "func @predict.f {\n  %v0 = input \"x\" : f32[8]\n";
  std::vector<int> sizes = {8};
  auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  for (int i = 1; i <= groups; ++i) {
    size_t a = below(sizes.size());
    size_t b = below(sizes.size());
    sizes.push_back(static_cast<int>(1 + below(100)));
    std::string name = "%v" + std::to_string(i);
    text += "  group elementwise {\n    " + name + " = comp [i:" + std::to_string(sizes.back()) + "] : f32 { add(%v" +
            std::to_string(a) + "[i; 0.0], %v" + std::to_string(b) + "[i; 0.0]) }\n  } -> (" + name + ")\n";
  }
  return text + "  output \"y\" = %v" + std::to_string(groups) + "\n}\n";
}

TEST(PlanMemory, LivingBuffersNeverOverlap) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    auto module = graph::parseModule(randomProgram(random, 30), "random.dnir");
    ASSERT_TRUE(module.ok()) << module.error().message;
    graph::eraseDeadOps(*(*module)->functions[0]);
    MemoryPlan plan = planMemory(**module, placeUpdates(**module));
    const FunctionMemory& memory = plan.functions.begin()->second;
    EXPECT_GE(memory.arenaPeak, memory.arenaLowerBound);
    for (const ArenaBuffer& a : memory.buffers) {
      EXPECT_EQ(a.offset % 64, 0u);
      EXPECT_LE(a.offset + a.bytes, memory.arenaPeak);
      for (const ArenaBuffer& b : memory.buffers) {
        bool together = a.first <= b.last && b.first <= a.last;
        bool overlap = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
        EXPECT_TRUE(&a == &b || !together || !overlap);
      }
    }
  }
}

TEST(PlanMemory, MemoryOfDeadValuesIsUsedAgain) {
  std::string text = "func @predict.f {\n  %v0 = input \"x\" : f32[1000]\n";
  for (int i = 1; i <= 20; ++i) {
    std::string name = "%v" + std::to_string(i);
    text += "  group elementwise {\n    " + name + " = comp [i:1000] : f32 { neg(%v" + std::to_string(i - 1) +
            "[i]) }\n  } -> (" + name + ")\n";
  }
  Planned p(text + "  output \"y\" = %v20\n}\n");
  EXPECT_EQ(p.plan.arenaBytes, 3u * 4032); // the input, and two that take turns
}

} // namespace
} // namespace dnn::transform
