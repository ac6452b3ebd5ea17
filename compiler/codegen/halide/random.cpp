#include "compiler/codegen/halide/random.h"

#include "compiler/codegen/halide/scalar_math.h"
#include "compiler/support/assert.h"

#include <array>

namespace dnn::codegen {

namespace {

using Halide::Expr;

Expr u32(uint32_t value) { return Halide::cast<uint32_t>(Expr(value)); }

Expr highHalf(const Expr& a, uint32_t b) {
  Expr product = Halide::cast<uint64_t>(a) * Halide::cast<uint64_t>(u32(b));
  return Halide::cast<uint32_t>(product >> Halide::cast<uint64_t>(Expr(32u)));
}

std::array<Expr, 4> philox(std::array<Expr, 4> counter, Expr key0, Expr key1) {
  constexpr uint32_t multiplier0 = 0xD2511F53;
  constexpr uint32_t multiplier1 = 0xCD9E8D57;
  for (int round = 0; round < 10; ++round) {
    counter = {highHalf(counter[2], multiplier1) ^ counter[1] ^ key0, counter[2] * u32(multiplier1),
               highHalf(counter[0], multiplier0) ^ counter[3] ^ key1, counter[0] * u32(multiplier0)};
    key0 = key0 + u32(0x9E3779B9);
    key1 = key1 + u32(0xBB67AE85);
  }
  return counter;
}

Expr top24(const Expr& bits) { return bits >> u32(8); }

} // namespace

Expr draw(Distribution distribution, const DrawKey& key, const Expr& site, const Expr& lo, const Expr& hi) {
  std::array<Expr, 4> x =
      philox({Halide::cast<uint32_t>(lo), Halide::cast<uint32_t>(hi), site, key.step}, key.seedLo, key.seedHi);
  // 24-bit integers convert to f32 exactly; through i32, for which there is an instruction.
  auto unit = [](const Expr& bits) { return Halide::cast<float>(Halide::cast<int32_t>(bits)) * 0x1p-24f; };
  switch (distribution) {
  case Distribution::Uniform: return unit(top24(x[0]));
  case Distribution::Normal: {
    Expr u1 = unit(top24(x[0]) + u32(1));
    Expr u2 = unit(top24(x[1]));
    return Halide::sqrt(-2.0f * log32(u1)) * cosTurns32(u2);
  }
  }
  DNN_UNREACHABLE("every distribution has a draw");
}

} // namespace dnn::codegen
