// Identical groups share a kernel whatever they are called; groups that differ in anything that matters do not.
#include "compiler/transform/outline_kernels.h"

#include <gtest/gtest.h>

namespace dnn::transform {
namespace {

std::unique_ptr<graph::Module> parse(const std::string& text) {
  auto module = graph::parseModule(text, "test.dnir");
  EXPECT_TRUE(module.ok()) << module.error().where << ": " << module.error().message;
  return std::move(*module);
}

KernelTable outline(graph::Module& module) {
  KernelTable table = outlineKernels(module, placeUpdates(module));
  Status status = graph::verify(module);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return table;
}

TEST(OutlineKernels, NamesAndSymbolsDoNotMatter) {
  auto module = parse(R"(
func @predict.a [N <= 8] {
  %x = input "x" : f32[N, 4]
  group elementwise {
    %y = comp [n:N, i:4] : f32 { mul(2.0, %x[n, i]) }
  } -> (%y)
  output "y" = %y
}
func @predict.b [B <= 8] {
  %in = input "in" : f32[B, 4]
  group elementwise {
    %out = comp [row:B, column:4] : f32 { mul(2.0, %in[row, column]) }
  } -> (%out)
  output "out" = %out
}
)");
  KernelTable table = outline(*module);
  ASSERT_EQ(table.kernels.size(), 1u);
  EXPECT_EQ(table.calls.size(), 2u);
  const graph::Function& kernel = *table.kernels[0].function;
  EXPECT_EQ(kernel.kind, graph::FunctionKind::Helper);
  EXPECT_EQ(kernel.name.substr(0, 2), "k_");
  EXPECT_EQ(kernel.name.size(), 18u);
  EXPECT_EQ(kernel.symbols.size(), 1u);
  EXPECT_EQ(kernel.returns.size(), 1u);
}

TEST(OutlineKernels, TheLargestBatchMatters) {
  auto module = parse(R"(
func @predict.a [N <= 8] {
  %x = input "x" : f32[N]
  group elementwise {
    %y = comp [n:N] : f32 { neg(%x[n]) }
  } -> (%y)
  output "y" = %y
}
func @predict.b [N <= 9] {
  %x = input "x" : f32[N]
  group elementwise {
    %y = comp [n:N] : f32 { neg(%x[n]) }
  } -> (%y)
  output "y" = %y
}
)");
  EXPECT_EQ(outline(*module).kernels.size(), 2u);
}

TEST(OutlineKernels, InPlaceMatters) {
  auto module = parse(R"(
param @w : f32[4]
func @step {
  %w = param @w : f32[4]
  group elementwise {
    %w1 = comp [i:4] : f32 { mul(0.5, %w[i]) }
  } -> (%w1)
  update @w = %w1
}
func @predict.f {
  %w = param @w : f32[4]
  group elementwise {
    %y = comp [i:4] : f32 { mul(0.5, %w[i]) }
  } -> (%y)
  output "y" = %y
}
)");
  KernelTable table = outline(*module);
  ASSERT_EQ(table.kernels.size(), 2u);
  EXPECT_EQ(table.kernels[0].inPlace[0], std::optional<uint32_t>(0));
  EXPECT_EQ(table.kernels[1].inPlace[0], std::nullopt);
}

TEST(OutlineKernels, EnvIsPartOfTheKernelAndNotAnInput) {
  auto module = parse(R"(
func @predict.f {
  %step = env "step" : i32
  %x = input "x" : f32[4]
  group elementwise {
    %y = comp [i:4] : f32 { mul(f32(%step[]), %x[i]) }
  } -> (%y)
  output "y" = %y
}
)");
  KernelTable table = outline(*module);
  ASSERT_EQ(table.kernels.size(), 1u);
  EXPECT_EQ(table.calls.begin()->second.inputs.size(), 1u);
  std::string text = graph::print(*table.kernels[0].function);
  EXPECT_NE(text.find("env \"step\""), std::string::npos) << text;
  EXPECT_NE(text.find("input \"0\" : f32[4]"), std::string::npos) << text;
}

} // namespace
} // namespace dnn::transform
