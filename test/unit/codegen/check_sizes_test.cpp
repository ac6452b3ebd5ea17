// Tensors that compiled code cannot index are an error at their place in the source.
#include "compiler/codegen/check_sizes.h"

#include "test/unit/codegen/program_harness.h"

#include <gtest/gtest.h>

namespace dnn::codegen {
namespace {

std::string program(const std::string& batch) {
  return "func @predict.f [N <= " + batch + R"(] {
  %x = input "x" : f32[N, 1024]
  %y = comp [n:N, i:1024] : f32 { neg(%x[n, i]) } loc("m.dnn":3:9)
  %z = comp [n:N] add [i:1024] : f32 { %y[n, i] }
  output "z" = %z
}
)";
}

TEST(CheckSizes, TheLargestTensorIsFine) { EXPECT_TRUE(checkSizes(*parseProgram(program("2097151"))).ok()); }

TEST(CheckSizes, OneRowMoreIsAnError) {
  Status status = checkSizes(*parseProgram(program("2097152")));
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("f32[N, 1024]"), std::string::npos) << status.error().message;
}

} // namespace
} // namespace dnn::codegen
