// The computation graph: a module of functions; a function is one block of SSA operations on tensors. Everything that
// computes is the one tensor form `comp` (index notation with a reduction), its transpose `scatter`, and views. The one
// loop is `scan` (scan.h), whose body is a block of its own.
//
//   module "m.dnn"
//   param @net.w : f32[256, 10]
//   func @step [N <= 64] {
//     %x = input "x" : f32[N, 256]
//     %w = param @net.w : f32[256, 10]
//     %0 = comp [n:N, o:10] add [k:256] : f32 { mul(%x[n, k], %w[k, o]) }        loc("m.dnn":4:7)
//     …
//     update @net.w = %9
//     output "loss" = %5
//   }
#pragma once

#include "compiler/graph/expr.h"
#include "compiler/support/result.h"
#include "compiler/types/tensor_type.h"

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace dnn::graph {

class Function;
class Module;
struct Block;
struct Op;

/// Where in the user's source an op comes from; file is an index into Module::files. line 0 = unknown.
struct Loc {
  uint32_t file = 0;
  uint32_t line = 0;
  uint32_t column = 0;
  bool operator==(const Loc&) const = default;
};

/// The kinds of operations; their names, and how many operands and results each has, are in ops.def.
enum class OpKind : uint8_t {
#define GRAPH_OP(name, spelling, operands, results) name,
#include "compiler/graph/ops.def"
};
std::string_view nameOf(OpKind kind);

/// The row of ops.def; -1 = any number.
struct OpInfo {
  OpKind kind;
  std::string_view spelling;
  int operands;
  int results;
};
const OpInfo& infoOf(OpKind kind);

/// One result of an op. `name` is a hint for the printer ("loss"); unique names are made when printing.
struct Value {
  Op* def = nullptr;
  uint32_t position = 0; // among def's results
  TensorType type;
  std::string name;
};

/// One index variable of a comp or scatter.
struct IndexVar {
  std::string name;
  Dim extent;
  bool operator==(const IndexVar&) const = default;
};

/// An operation. Which of the members below `loc` count depends on kind (see ops.def).
struct Op {
  OpKind kind = OpKind::Comp;
  std::vector<Value*> operands;
  std::vector<Value*> results;
  Loc loc;

  // Comp: result[dims] = reduction over `reduced` of body. Scatter: for every point of dims,
  // result[at…] += body (reduction Add; the result type is the op's, initialised with 0).
  std::vector<IndexVar> dims;
  std::vector<IndexVar> reduced;
  Reduction reduction = Reduction::None;
  ExprRef body = nullptr;
  std::vector<ExprRef> at; // scatter: one integer expression a dimension of the result

  // Input, Output: port name. Param, State, Update: path of the persistent tensor. Env: "step" or "epoch".
  // CallVjp: the function called; its rule is the function named symbol + ".vjp".
  std::string symbol;

  // Concat: the dimension joined.
  uint32_t axis = 0;

  // Grad: operands = (scalar loss, wrt…), results = one gradient for each wrt, of its type. Expanded by autodiff.

  // Group: a set of ops that becomes one kernel. Ops in the body may use values from outside (listed in operands, in
  // order of first use); `results` is empty: the values of the body that are used outside are listed in `escapes`.
  // Scan: dims is the step index; operands are the carries' initial values, the sliced values, then the captured ones:
  // what the body uses from outside, in order of first use. scan.h has the form of the body and its accessors.
  std::unique_ptr<Block> body_block;
  std::vector<Value*> escapes;
  std::string anchor; // Group: "contraction", "reduction", "elementwise", "scatter", "view"

  // Scan.
  bool reversed = false; // steps run from T - 1 down to 0
  // Of what a gradient reads again, the scan keeps: 0: everything; 1: the carries, the rest of a step is computed
  // again; k: the carries before every k-th step. Divides the number of steps.
  uint32_t saveEvery = 0;
  // The first carry is a bool: the scan ends before a step in which it is true. What the steps that are not run would
  // emit is 0, and the carries stay what they are.
  bool ends = false;
  uint32_t carryCount = 0;
  uint32_t sliceCount = 0;
};

/// A list of operations in order; every value is defined before it is used.
struct Block {
  std::vector<Op*> ops;
};

/// A parameter or state: lives outside functions, read by Param/State ops, written by Update ops.
struct Persistent {
  enum class Kind : uint8_t { Parameter, State, OptimizerState };
  Kind kind = Kind::Parameter;
  std::string path;
  TensorType type; // static dims
  Loc loc;
};

/// "param", "state", "optimizer_state".
std::string_view nameOf(Persistent::Kind kind);

enum class FunctionKind : uint8_t { Init, Step, Eval, Predict, Generate, Helper };
std::string_view nameOf(FunctionKind kind);

/// One entry point (or a helper that CallVjp names). Owns its ops and values; erased ones are freed with it.
class Function {
public:
  Function(Module& module, FunctionKind kind, std::string name) : module(module), kind(kind), name(std::move(name)) {}
  Function(const Function&) = delete;

  /// A new op with results of these types, not yet in a block.
  Op* createOp(OpKind kind, std::vector<Value*> operands, std::vector<TensorType> resultTypes, Loc loc);
  /// One more result of the op, behind the others.
  Value* addResult(Op& op, TensorType type);
  /// createOp, appended to `body`.
  Op* append(OpKind kind, std::vector<Value*> operands, std::vector<TensorType> resultTypes, Loc loc);

  Module& module;
  FunctionKind kind;
  std::string name;
  std::vector<Symbol> symbols;
  Block body;
  /// Helper functions: the values returned.
  std::vector<Value*> returns;

private:
  std::vector<std::unique_ptr<Op>> ops_;
  std::vector<std::unique_ptr<Value>> values_;
};

class Module {
public:
  Module() = default;
  Module(const Module&) = delete;

  Function* findFunction(std::string_view name) const;
  const Persistent* findPersistent(std::string_view path) const;
  Function& addFunction(FunctionKind kind, std::string name);

  std::vector<std::string> files; // names for locations
  std::vector<Persistent> persistents;
  std::vector<std::unique_ptr<Function>> functions;
  ExprPool exprs;
};

/// How often each value is used, and by which ops; made when asked for, not kept up to date. One entry for each operand
/// position. The users are the ops that compute with the value: a group is not listed, the ops of its body are; a scan
/// is listed for initial and sliced values, and its body's ops (`next` and `emit` too) for what they use.
class Uses {
public:
  explicit Uses(const Function& function);
  const std::vector<Op*>& of(const Value* v) const;
  /// True for the values that a helper function returns; they are used although no op may use them.
  bool returned(const Value* v) const { return returned_.contains(v); }
  bool unused(const Value* v) const { return of(v).empty() && !returned(v); }

private:
  std::unordered_map<const Value*, std::vector<Op*>> users_;
  std::unordered_set<const Value*> returned_;
};

/// Calls visit(op) for each op in order; a group or scan first, then the ops of its body.
template <class F> void forEachOp(const Block& block, F&& visit) {
  for (Op* op : block.ops) {
    visit(op);
    if (op->body_block) {
      forEachOp(*op->body_block, visit);
    }
  }
}

/// Calls visit(block) for the block and for those of the scans in it, inner ones first. Groups are not opened.
template <class F> void forEachBlock(Block& block, F&& visit) {
  for (Op* op : block.ops) {
    if (op->kind == OpKind::Scan) {
      forEachBlock(*op->body_block, visit);
    }
  }
  visit(block);
}

/// Makes every user of `from` in the function, nested blocks and returns too, use `to`.
void replaceAllUses(Function& function, Value* from, Value* to);
/// Removes the ops whose results nobody uses and that have no effect, also from the bodies of scans, and what a scan
/// emits, carries or slices for nobody. Inputs stay: they are the function's signature. Returns whether any was
/// removed.
bool eraseDeadOps(Function& function);
/// Comp, Scatter: drops the operands that the body does not access and joins equal ones, in the order of their first
/// access, and renumbers the accesses. The verifier wants operands in this form.
void normalizeOperands(ExprPool& pool, Op& op);
/// Recomputes operands and escapes of every group, and what every scan captures, from the uses in the function.
void refreshRegions(Function& function);
/// The same op once more, with all that stands in it, not in a block yet; `values` maps what it uses (what is not in
/// the map stays) and takes its results.
Op* copyOp(Function& function, const Op& op, std::unordered_map<const Value*, Value*>& values);

/// Deterministic text; parseModule(print(m)) prints the same text. `locations` adds loc(…) to each op.
std::string print(const Module& module, bool locations = false);
std::string print(const Function& function, bool locations = false);
/// Errors name the line and column of the IR text.
Result<std::unique_ptr<Module>> parseModule(std::string_view text, std::string_view fileName);
/// Checks every rule of the IR (docs/ir.md); the error names the function, the op and what is wrong.
Status verify(const Module& module);

} // namespace dnn::graph
