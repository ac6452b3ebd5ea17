// What the schedule templates ask about a kernel: sizes, costs, strides, who uses what.
#pragma once

#include "compiler/graph/affine.h"
#include "compiler/schedule/kernel.h"

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace dnn::schedule {

/// How an access moves through memory when an index variable grows by one.
enum class Stride : uint8_t {
  None, ///< not at all
  Unit, ///< to the next element
  Strided,
  Gather, ///< depends on data, a division, a fill test, …
};

/// What a partial vector at the end of a row may do.
enum class Loads : uint8_t {
  Forward,  ///< masked loads
  Jumping,  ///< one by one under a condition: there are gathers
  Backward, ///< nothing: Halide fails on masked backward loads at constant addresses
};

class Analysis {
public:
  explicit Analysis(const Kernel& kernel);

  const Kernel& kernel;
  const graph::Function& function;

  /// The largest value of an extent.
  int64_t maxOf(const Dim& dim) const { return dim.max(function.symbols); }
  int64_t extentOf(const graph::Op& op, uint32_t index) const;
  const Dim& dimOf(const graph::Op& op, uint32_t index) const;
  /// Points of dims × reduced, at most.
  double points(const graph::Op& op) const;
  double elements(const graph::Value& v) const;

  /// Position of the op in the function's body.
  uint32_t positionOf(const graph::Op& op) const { return position_.at(&op); }
  /// Ops of the function that use it, each once.
  const std::vector<const graph::Op*>& usersOf(const graph::Value* v) const;
  bool escapes(const graph::Value* v) const { return return_.contains(v); }
  uint32_t returnOf(const graph::Value* v) const { return return_.at(v); }
  /// v or something it is computed from is overwritten in place.
  bool dependsOnOverwritten(const graph::Value* v) const { return tainted_.contains(v); }
  bool isInPlace(const graph::Value* v) const;

  Stride strideOf(const graph::Op& op, graph::ExprRef access, uint32_t index) const;
  /// How the op, and what would be inlined into it, reads memory.
  Loads loadsOf(const graph::Op& op) const;

private:
  std::unordered_map<const graph::Op*, uint32_t> position_;
  std::unordered_map<const graph::Value*, std::vector<const graph::Op*>> users_;
  std::unordered_map<const graph::Value*, uint32_t> return_;
  std::unordered_map<const graph::Value*, bool> tainted_;
};

/// About how many vector instructions one evaluation of the body takes.
double costOf(graph::ExprRef body);

/// Comp without a reduction, reshape, concat: a value that can be computed where it is used.
bool isElementwise(const graph::Op& op);
/// A reduction in which two operands each miss a dimension of the result that the other has: each element is used
/// again and again, so tiles in registers pay. Products of matrices, convolutions.
bool isContraction(const graph::Op& op, std::span<const Symbol> symbols);
/// Every access of user to v is at the user's own point, over exactly v's extents, and user has no reduction.
bool usesPointwise(const graph::Op& user, const graph::Value* v);
/// v is a result of op, or is computed from one.
bool isComputedFrom(const graph::Value* v, const graph::Op& op);

/// What a kernel's returns make of the result of one op.
struct Epilogue {
  double cost = 1;        ///< vector instructions for one vector of the result
  double overwritten = 0; ///< how many inputs are overwritten in place
  bool unmasked = false;  ///< some return has elements of a byte, or gathers
};
Epilogue epilogueOf(const Analysis& analysis, const graph::Op& op);

/// For each position of the domain, whether e depends on it.
std::vector<bool> indicesOf(graph::ExprRef e, size_t domainSize);

} // namespace dnn::schedule
