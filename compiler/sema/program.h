// The instantiated program: what is left of a source file after checking. No statics, packs, layers or names to
// resolve: only typed tensors defined in index notation, for each entry point. Every user mistake has been reported
// before this exists; `compiler/build` turns it into the graph without a way to fail. Printed by `dnnc emit program`.
//
//   step tr [N <= 64] (x: f32[N, 64], y: i32[N] < 10) {
//     w = param net.fc1.w : f32[64, 10]
//     s[n: N, o: 10] = (sum[k: 64] x[n, k] * w[k, o]) + b[o]
//     …
//     (g0, g1) = grad(loss; w, b)
//     update net.fc1.w = w1
//     log loss = loss
//   }
#pragma once

#include "compiler/diag/source.h"
#include "compiler/types/scalar_op.h"
#include "compiler/types/tensor_type.h"
#include "runtime/plan/plan.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace dnn::sema {

/// Index of a tensor variable in its function's `vars`.
using VarId = uint32_t;
/// Index of an index variable in its function's `indices`; every binder of the source makes a new one.
using IndexId = uint32_t;
/// Index into Program::persistents.
using PersistentId = uint32_t;

struct Scalar;
using ScalarPtr = std::shared_ptr<const Scalar>; // shared: instantiation reuses subtrees; immutable

struct Number {
  double value = 0;
}; // of a float type
struct Integer {
  int64_t value = 0;
}; // of an integer or bool type
struct IndexRef {
  IndexId index = 0;
}; // i32
struct ExtentRef {
  Dim extent;
}; // i32
struct Access { // var[subscripts; fill]
  VarId var = 0;
  std::vector<ScalarPtr> subscripts; // integers; each proved in range unless there is a fill
  std::optional<double> fill;
};
struct Apply {
  ScalarOp op = ScalarOp::Add;
  std::vector<ScalarPtr> args;
};
struct Cast {
  ScalarPtr value;
}; // to the node's dtype
struct Reduce {
  enum class Kind : uint8_t { Sum, Prod, Max, Min, Mean, ArgMax, ArgMin, Any, All };
  Kind kind = Kind::Sum;
  std::vector<IndexId> indices;
  ScalarPtr guard; // bool, may be null; points where it is false do not count
  ScalarPtr body;
};
/// One draw per point of the enclosing let and per step of the scans around it. Coordinates are the let's indices, in
/// order; steps are the scans' step numbers, the outermost first.
struct Draw {
  Distribution distribution = Distribution::Uniform;
  uint32_t site = 0;
  std::vector<IndexId> coordinates;
  std::vector<VarId> steps;
};

struct Scalar {
  DType dtype = DType::F32;
  diag::SourceRange range;
  std::variant<Number, Integer, IndexRef, ExtentRef, Access, Apply, Cast, Reduce, Draw> node;
};

struct IndexInfo {
  std::string name;
  Dim extent;
};

struct Var {
  std::string name; // the source's name, or a made-up one; not unique
  TensorType type;
};

/// var[indices] = value, for every point.
struct Let {
  VarId var = 0;
  std::vector<IndexId> indices;
  ScalarPtr value;
};
struct ReadPersistent {
  VarId var = 0;
  PersistentId persistent = 0;
};
/// i32 scalar: the number of the step, from 0, or the epoch, from 0.
struct ReadEnv {
  VarId var = 0;
  enum class What : uint8_t { Step, Epoch } what = What::Step;
};
/// The same elements in row-major order under another shape.
struct Reshape {
  VarId var = 0;
  VarId from = 0;
};
struct Concat {
  VarId var = 0;
  std::vector<VarId> parts;
  uint32_t axis = 0;
};
/// results[i] = d loss / d wrt[i]. The loss is a float scalar.
struct Grad {
  VarId loss = 0;
  std::vector<VarId> wrt;
  std::vector<VarId> results;
};
/// results = helper(args), with a derivative rule of its own: rule(args…, d results…) → d args, one for each float
/// argument. Both are indices into Program::helpers.
struct CallVjp {
  std::vector<VarId> results;
  std::vector<VarId> args;
  uint32_t primal = 0;
  uint32_t rule = 0;
};
/// The persistent tensor takes this value when the function ends.
struct Update {
  PersistentId persistent = 0;
  VarId value = 0;
};
struct Statement;
/// A loop over 0 … extent - 1, or down. In the body, which sees what is defined before the scan, `step` is the number
/// of the step, i32 < extent. What the body defines is not seen outside.
struct Scan {
  struct Carry {
    VarId initial = 0; // defined before the scan
    VarId value = 0;   // in the body: what the step before left
    VarId next = 0;    // of the body: what this step leaves
    VarId last = 0;    // what the last step leaves
    // all of one type; the next value may be bounded more tightly
  };
  struct Emit {
    VarId value = 0;   // of the body, or from outside
    VarId stacked = 0; // the values of all steps, by number: a new first dimension
  };
  VarId step = 0;
  Dim extent;
  bool reverse = false; // the steps run from the last number to 0
  /// Of what gradients read again: 0 = keep all; k = keep the carries before every k-th step, compute the rest again.
  uint32_t saveEvery = 0;
  /// Of the body, a bool: no step follows one in which it is true. What those would emit is 0.
  std::optional<VarId> until;
  /// That is so when each row has ended for itself, which the last carry says: then no row depends on another.
  bool untilRows = false;
  std::vector<Carry> carries;
  std::vector<Emit> emits;
  std::vector<Statement> body; // Let, Reshape, Concat, CallVjp, Grad, Scan
};
/// Leaves the function under this name: a log scalar, a result of predict, a field of generate.
struct Output {
  std::string name;
  VarId value = 0;
};

struct Statement {
  diag::SourceRange range;
  std::variant<Let, ReadPersistent, ReadEnv, Reshape, Concat, Grad, CallVjp, Scan, Update, Output> node;
};

struct Input {
  VarId var = 0;
  std::string name;
};

struct Function {
  std::string name; // "init", "step", "eval.te", "predict.digit", "generate.d"; helpers: the fn's name
  plan::Entry::Kind kind = plan::Entry::Kind::Step; // not meaningful for helpers
  std::vector<Symbol> symbols;                      // the batch N with its declared size as max
  std::vector<Var> vars;
  std::vector<IndexInfo> indices;
  std::vector<Input> inputs;
  std::vector<Statement> body; // in order; every var is defined once, before its uses
  std::vector<VarId> returns;  // helpers only
};

struct Persistent {
  plan::Persistent::Kind kind = plan::Persistent::Kind::Parameter;
  std::string path;
  TensorType type;
  diag::SourceRange range;
  std::optional<PersistentId> follows; // the parameter that this state follows
};

struct Program {
  std::vector<Persistent> persistents;
  std::vector<Function> functions; // entries, in the plan's order; the first is init
  std::vector<Function> helpers;   // primals and rules of custom vjps
  /// Everything the runtime needs that sema knows: sources, ports (types, bounds), logs, run, checkpoint rules.
  /// Offsets, sizes, fingerprint and target are filled in after code generation.
  plan::Plan plan;
  /// How many combinations of values the program's sweep has; this is one of them.
  size_t combinations = 1;
};

/// Deterministic text for `dnnc emit program`.
std::string print(const Program& program);

} // namespace dnn::sema
