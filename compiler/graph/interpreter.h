// The reference interpreter: what a graph means, in f64. Everything compiled is tested against it.
//
// f32 and f64 are computed in f64, integers exactly in their own type (they wrap around). Sums are in row-major order
// of the reduction. Deterministic; draws are those of compiled code (runtime/random/philox.h), with the normal
// distribution's logarithm, root and cosine in f64. docs/ir.md has the meaning of each operator.
#pragma once

#include "compiler/graph/graph.h"

#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace dnn::graph {

/// A tensor with its elements in row-major order: `floats` for floats, `ints` for all other types.
struct Tensor {
  DType dtype = DType::F32;
  std::vector<int64_t> dims;
  std::vector<double> floats;
  std::vector<int64_t> ints;

  static Tensor zeros(DType dtype, std::vector<int64_t> dims);
  static Tensor scalar(double value, DType dtype = DType::F32);
  int64_t size() const;
  /// Element i of the row-major order, as a double whatever the type.
  double get(int64_t i) const { return isFloat(dtype) ? floats.at(size_t(i)) : double(ints.at(size_t(i))); }
  void set(int64_t i, double value);
};

/// What a function runs in.
struct Environment {
  std::map<std::string, Tensor> persistents; ///< by path
  std::map<std::string, Tensor> inputs;      ///< by port name
  std::map<std::string, int64_t> symbols;    ///< the value of each symbol, 1..max
  uint64_t seed = 0;
  uint32_t step = 0;
  uint32_t epoch = 0;
};

struct Outputs {
  std::map<std::string, Tensor> outputs; ///< by name
  std::vector<Tensor> returns;           ///< of a helper
};

struct InterpreterOptions {
  /// Round the elements of every F32 tensor to f32, for close comparisons with compiled code.
  bool roundToF32 = false;
};

/// Runs one function, again and again: bodies are compiled at their first use, for the values of the symbols at hand.
/// The function must verify and must not change while the interpreter lives.
class Interpreter {
public:
  explicit Interpreter(const Function& function, InterpreterOptions options = {});
  ~Interpreter();
  Interpreter(Interpreter&&) noexcept;

  /// Runs everything and applies the updates to environment.persistents at the end. Errors: an input or persistent
  /// tensor is missing, has the wrong extents or holds a value beyond its bound; a `grad` op (differentiate first).
  Result<Outputs> run(Environment& environment);

  /// Computes only `wanted` and what it depends on; nothing is updated. Values in `given` are taken from there instead
  /// of being computed, so the function can be perturbed at any value.
  using Given = std::unordered_map<const Value*, Tensor>;
  Result<std::vector<Tensor>> evaluate(const Environment& environment, std::span<const Value* const> wanted,
                                       const Given& given = {});

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Interpreter(function).run(environment), once.
Result<Outputs> run(const Function& function, Environment& environment, InterpreterOptions options = {});

} // namespace dnn::graph
