// The draws of runtime/random/philox.h as Halide expressions: the same integers, so the same uniform numbers bit by
// bit.
#pragma once

#include "compiler/types/scalar_op.h"

#include "Halide.h"

namespace dnn::codegen {

struct DrawKey {
  Halide::Expr seedLo, seedHi, step; ///< uint32
};

/// site: uint32; lo, hi: coordinates (any integer type); the result is f32.
Halide::Expr draw(Distribution distribution, const DrawKey& key, const Halide::Expr& site, const Halide::Expr& lo,
                  const Halide::Expr& hi);

} // namespace dnn::codegen
