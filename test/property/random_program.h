// Random programs of the tensor form: one function that takes gradients of a scalar loss.
#pragma once

#include "compiler/graph/interpreter.h"

#include <cstdint>
#include <memory>

namespace dnn::test {

struct RandomProgramOptions {
  bool secondOrder = false; ///< the loss of a second grad contains the first one's results
  bool wide = false;        ///< f64, where folded constants are not rounded
  /// Instead of the gradients of one loss, those of one for each element of a value: outputs "spread…", computed all at
  /// once, and "loop…", one after the other. None where the last value is a scalar.
  bool ofElements = false;
};

struct RandomProgram {
  std::unique_ptr<graph::Module> module; ///< with one function, "f"
  graph::Environment environment;        ///< to run it in
};

/// The same program for the same seed. It contains strides, offsets, fill values, guards, repeated and missing indices,
/// diagonals, quotients and remainders in subscripts, subscripts by integer tensors, reductions of every kind,
/// scatters, reshapes, concats, shared values, and scans: up to three carries, some in each other, backwards, of no
/// steps.
RandomProgram makeRandomProgram(uint64_t seed, const RandomProgramOptions& options = {});

/// Scalar expressions without safety margins (exp, log, quotients, roots, logistic functions) of a few inputs of
/// ordinary size, 0 and ±1000, and a gradient through them.
RandomProgram makeExtremeProgram(uint64_t seed);

} // namespace dnn::test
