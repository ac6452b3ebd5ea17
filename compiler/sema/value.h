// What an expression of the source can be while it is instantiated: a number known now, a tensor known at run time, or
// something that is applied (fn, layer, optimizer).
#pragma once

#include "compiler/ast/ast.h"
#include "compiler/sema/function_builder.h"
#include "compiler/sema/program.h"

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace dnn::sema {

using diag::SourceRange;

struct Value;
class Scope;
using ScopePtr = std::shared_ptr<Scope>; // shared: closures keep the scope they were made in

/// The error has been reported; whatever is computed from it is silent.
struct Poison {};
/// An extent or static integer; symbolic where it depends on the batch.
struct StaticInt {
  Dim value;
};
struct StaticFloat {
  double value = 0;
};
struct StaticBool {
  bool value = false;
};
struct StaticStr {
  std::string value;
};

/// A value of run time. Either a whole variable, or an element expression: its element at `indices` is `body` (which
/// may also use indices that enclose it). Element expressions of rank > 0 are temporaries with one user.
struct Tensor {
  TensorType type;
  const FunctionBuilder* owner = nullptr;
  std::optional<VarId> var;
  std::vector<IndexId> indices;
  ScalarPtr body;
  /// Made of literals only (`if c then 1 else 0`): takes the element type of what it meets.
  bool weak = false;
};

struct TupleValue {
  std::vector<Value> items;
};
struct ListValue {
  std::vector<Value> items;
};

/// Static arguments by name.
using Statics = std::map<std::string, Value>;

/// A fn, with or without its statics.
struct FnValue {
  const ast::FnDecl* decl = nullptr;
  ScopePtr scope;
  bool applied = false; // its statics are bound, or it has none
  std::shared_ptr<const Statics> statics;
};
/// A number that stands for a schedule.
struct ConstantSchedule {
  double value = 0;
};

/// A closure (t, epoch) or (t, epoch, plateaus): what is behind t is supplied where it is called.
struct ScheduleFn {
  FnValue fn;
};

struct CoreFn {
  enum class Kind : uint8_t {
    Scalar,
    Cast,
    DrawUniform,
    DrawNormal,
    Reshape,
    Concat,
    Repeat,
    Chain,
    Recompute,
    Grad,
    Size
  };
  Kind kind = Kind::Scalar;
  ScalarOp op = ScalarOp::Add; // Scalar
  DType dtype = DType::F32;    // Cast
};

struct LayerDef {
  const ast::LayerDecl* decl = nullptr;
  ScopePtr scope;
};
/// Values that stand for parameters, by path.
using ParameterValues = std::map<std::string, Tensor>;
/// Owns parameters, under its path.
struct Instance {
  LayerDef layer;
  Statics statics;
  SourceRange made; // the application that made it
  std::string path; // "" until something names it
  /// `net with p = …`: called with these. Shared by the parts of such an instance.
  std::shared_ptr<const ParameterValues> values;
  /// bf16(Layer(…)): how its f32 parameters, and those of its parts, are kept.
  std::optional<DType> storage;
};
using InstancePtr = std::shared_ptr<Instance>; // shared: values are copied, an instance is one thing
/// repeat(n, Layer(…)), chain(a, b, …): applied one after the other. Items are instances, lists and closures.
struct InstanceList {
  std::vector<Value> items;
};

/// recompute(f): what f computes is not kept for gradients.
struct Recomputed {
  std::shared_ptr<const Value> callee; // shared: a Value is not complete here
};

struct OptimizerDef {
  const ast::OptimizerDecl* decl = nullptr;
  ScopePtr scope;
};
struct OptimizerUse {
  OptimizerDef def;
  Statics statics;
  std::string name; // of the `opt`
  SourceRange made;
};
using OptimizerPtr = std::shared_ptr<const OptimizerUse>;

/// *B as the dimensions it stands for.
struct DimPack {
  std::vector<Dim> dims;
};
/// *b as the indices it stands for.
struct IndexPack {
  std::vector<IndexId> indices;
};
/// A constant of a file; evaluated when first used.
struct ConstRef {
  const ast::ConstDecl* decl = nullptr;
  Scope* scope = nullptr; // the file's, which outlives it
};
/// A data source of the program, by position.
struct SourceRef {
  size_t source = 0;
};
/// A field of a data source, by positions.
struct SourceField {
  size_t source = 0;
  size_t field = 0;
};

struct Value {
  using Node =
      std::variant<Poison, StaticInt, StaticFloat, StaticBool, StaticStr, Tensor, TupleValue, ListValue, FnValue,
                   ConstantSchedule, ScheduleFn, CoreFn, LayerDef, InstancePtr, InstanceList, Recomputed, OptimizerDef,
                   OptimizerPtr, DimPack, IndexPack, ConstRef, SourceRef, SourceField>;
  Node node;

  Value() = default;
  template <class T>
    requires(!std::is_same_v<std::remove_cvref_t<T>, Value>)
  Value(T&& alternative) : node(std::forward<T>(alternative)) {}

  template <class T> const T* as() const { return std::get_if<T>(&node); }
  bool poisoned() const { return as<Poison>() != nullptr; }
};

struct Binding {
  Value value;
  SourceRange where;
};

/// Names and what they stand for; what is not found here is looked up in the parent.
class Scope {
public:
  explicit Scope(ScopePtr parent) : parent_(std::move(parent)) {}

  const Binding* find(const std::string& name) const {
    for (const Scope* s = this; s != nullptr; s = s->parent_.get()) {
      if (const Binding* b = s->findHere(name)) {
        return b;
      }
    }
    return nullptr;
  }
  const Binding* findHere(const std::string& name) const {
    auto it = names_.find(name);
    return it == names_.end() ? nullptr : &it->second;
  }
  void bind(const std::string& name, Value value, SourceRange where) {
    names_[name] = Binding{std::move(value), where};
  }
  void clear() { names_.clear(); }
  const std::map<std::string, Binding>& names() const { return names_; }
  const Scope* parent() const { return parent_.get(); }

private:
  ScopePtr parent_;
  std::map<std::string, Binding> names_;
};

/// "a tensor", "a layer instance": for messages.
std::string describe(const Value& value);
/// "3", "0.5", "true", "relu": what is known now, as messages show it; none of what has no short text.
std::optional<std::string> shortText(const Value& value);

} // namespace dnn::sema
