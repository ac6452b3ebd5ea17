// Names are made when printing: a value keeps its hint if no other value of the function has the same one, the rest are
// numbered in order. So the text does not depend on how the graph came about, and reading it back prints it again.
#include "compiler/graph/graph.h"

#include "compiler/graph/scan.h"
#include "compiler/graph/text.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace dnn::graph {

namespace {

/// Bodies whose tree has more nodes name the nodes that occur more than once, since a tree can be exponentially larger
/// than what is in memory.
constexpr int64_t largestTree = 1000;

/// How tightly the parent binds, for subscripts: the printed operator needs brackets under a tighter parent.
enum class Tightness : uint8_t { Loose, Sum, Product, Atom };

class Printer {
public:
  Printer(const Function& function, bool locations)
      : function_(function), locations_(locations), names_(valueNames(function)) {}

  std::string run() {
    text_ = "func " + printSymbol(function_.name);
    if (function_.kind != defaultKind(function_.name)) {
      text_ += " " + std::string(nameOf(function_.kind));
    }
    if (!function_.symbols.empty()) {
      text_ += " [";
      for (size_t i = 0; i < function_.symbols.size(); ++i) {
        const Symbol& symbol = function_.symbols[i];
        text_ += (i ? ", " : "") + symbol.name + " <= " + std::to_string(symbol.max);
      }
      text_ += "]";
    }
    text_ += " {\n";
    printBlock(function_.body, 1);
    if (!function_.returns.empty()) {
      text_ += "  return " + list(function_.returns) + "\n";
    }
    text_ += "}\n";
    return std::move(text_);
  }

private:
  /// A use of a value without a definition is an error that the verifier reports; it prints as %?.
  std::string name(const Value* v) const {
    auto found = names_.find(v);
    return found == names_.end() ? "%?" : found->second;
  }

  std::string list(const std::vector<Value*>& values) const {
    std::string text;
    for (const Value* v : values) {
      text += (text.empty() ? "" : ", ") + name(v);
    }
    return text;
  }

  std::string type(const TensorType& t) const { return t.str(function_.symbols); }

  std::string types(const std::vector<Value*>& values) const {
    std::string text;
    for (const Value* v : values) {
      text += (text.empty() ? "" : ", ") + type(v->type);
    }
    return text;
  }

  void printBlock(const Block& block, int depth) {
    for (const Op* op : block.ops) {
      if (isPartOfScan(*op)) {
        continue;
      }
      text_.append(static_cast<size_t>(depth) * 2, ' ');
      if (!op->results.empty()) {
        text_ += list(op->results) + " = ";
      }
      text_ += nameOf(op->kind);
      printRest(*op, depth);
      if (locations_ && op->loc.line != 0) {
        const auto& files = function_.module.files;
        text_ += "  loc(" + printString(op->loc.file < files.size() ? files[op->loc.file] : "") + ":" +
                 std::to_string(op->loc.line) + ":" + std::to_string(op->loc.column) + ")";
      }
      text_ += "\n";
    }
  }

  /// Arguments stand in the head of their scan; an end without values is not written.
  static bool isPartOfScan(const Op& op) {
    bool argument = op.kind == OpKind::Counter || op.kind == OpKind::Carry || op.kind == OpKind::Slice;
    return argument || ((op.kind == OpKind::Next || op.kind == OpKind::Emit) && op.operands.empty());
  }

  void printRest(const Op& op, int depth) {
    switch (op.kind) {
    case OpKind::Input:
    case OpKind::Env: text_ += " " + printString(op.symbol) + " : " + types(op.results); return;
    case OpKind::Param:
    case OpKind::State: text_ += " " + printSymbol(op.symbol) + " : " + types(op.results); return;
    case OpKind::Comp: printComp(op); return;
    case OpKind::Scatter: printScatter(op); return;
    case OpKind::Distinct:
    case OpKind::Reshape: text_ += " " + list(op.operands) + " : " + types(op.results); return;
    case OpKind::Concat:
      text_ += " " + list(op.operands) + " axis " + std::to_string(op.axis) + " : " + types(op.results);
      return;
    case OpKind::CallVjp:
      text_ += " " + printSymbol(op.symbol) + "(" + list(op.operands) + ") : " + types(op.results);
      return;
    case OpKind::Grad:
      text_ += " " + (op.operands.empty() ? "%?" : name(op.operands[0])) + " wrt (" +
               list({op.operands.begin() + (op.operands.empty() ? 0 : 1), op.operands.end()}) +
               ") : " + types(op.results);
      return;
    case OpKind::Update:
      text_ += " " + printSymbol(op.symbol) + " = " + list({op.operands.begin(), op.operands.begin() + 1});
      if (op.operands.size() > 1) {
        text_ += " at " + list({op.operands.begin() + 1, op.operands.end()});
      }
      return;
    case OpKind::Output: text_ += " " + printString(op.symbol) + " = " + list(op.operands); return;
    case OpKind::Group:
      text_ += " " + op.anchor + " {\n";
      printBlock(*op.body_block, depth + 1);
      text_.append(static_cast<size_t>(depth) * 2, ' ');
      text_ += "} -> (" + list(op.escapes) + ")";
      return;
    case OpKind::Scan: printScan(op, depth); return;
    case OpKind::Next:
    case OpKind::Emit: text_ += " " + list(op.operands); return;
    case OpKind::Counter:
    case OpKind::Carry:
    case OpKind::Slice: break; // in their scan's head
    }
    DNN_UNREACHABLE("every op has a text form");
  }

  void printScan(const Op& op, int depth) {
    nameIndices(op);
    text_ += " [" + domain(op.dims, 0) + "]";
    text_ += op.reversed ? " reverse" : "";
    text_ += op.saveEvery > 0 ? " save " + std::to_string(op.saveEvery) : "";
    text_ += op.ends ? " until" : "";
    if (const Value* counter = counterOf(op)) {
      text_ += " counter(" + name(counter) + ")";
    }
    auto arguments = [&](const char* what, size_t first, size_t count) {
      for (size_t i = 0; i < count; ++i) {
        text_ += i == 0 ? std::string(" ") + what + "(" : ", ";
        text_ += name(carryOf(op, first + i)) + " = " + name(op.operands[first + i]);
      }
      text_ += count > 0 ? ")" : "";
    };
    arguments("carry", 0, op.carryCount);
    arguments("slice", op.carryCount, op.sliceCount);
    text_ += " {\n";
    printBlock(*op.body_block, depth + 1);
    text_.append(static_cast<size_t>(depth) * 2, ' ');
    text_ += "}";
  }

  void printComp(const Op& op) {
    nameIndices(op);
    text_ += " [" + domain(op.dims, 0) + "]";
    if (op.reduction != Reduction::None) {
      text_ += " " + std::string(nameOf(op.reduction)) + " [" + domain(op.reduced, op.dims.size()) + "]";
    }
    TensorType element = op.results.at(0)->type;
    element.dims.clear(); // they are the domain's
    findShared(op);
    std::string shared = definitions(op, op.body);
    text_ += " : " + type(element) + " { " + shared + expression(op, op.body) + " }";
  }

  void printScatter(const Op& op) {
    nameIndices(op);
    std::string result = types(op.results);
    if (op.results.at(0)->type.isScalar()) {
      result.insert(nameOf(op.results[0]->type.dtype).size(), "[]"); // or the domain would read as its extents
    }
    findShared(op);
    text_ += " add " + result + " [" + domain(op.dims, 0) + "] at (";
    for (ExprRef e : op.at) {
      text_ += definitions(op, e);
    }
    for (size_t i = 0; i < op.at.size(); ++i) {
      text_ += (i ? ", " : "") + subscript(op, op.at[i], Tightness::Loose);
    }
    std::string shared = definitions(op, op.body);
    text_ += ") { " + shared + expression(op, op.body) + " }";
  }

  void findShared(const Op& op) {
    shared_.clear();
    sharedNames_.clear();
    std::unordered_map<ExprRef, int64_t> treeSize;
    std::unordered_map<ExprRef, int> uses;
    int64_t total = 0;
    auto measure = [&](ExprRef root) {
      forEachNode(root, [&](ExprRef e) {
        if (treeSize.contains(e)) {
          return; // counted below another root
        }
        int64_t size = 1;
        for (ExprRef arg : e->args) {
          size = std::min(size + treeSize.at(arg), largestTree + 1);
          ++uses[arg];
        }
        treeSize[e] = size;
      });
      ++uses[root];
      total += treeSize.at(root);
    };
    std::ranges::for_each(op.at, measure);
    measure(op.body);
    if (total > largestTree) {
      for (auto [e, count] : uses) {
        if (count > 1 && !e->args.empty()) {
          shared_.insert(e);
        }
      }
    }
  }

  /// The shared expressions below e that have no name yet get one.
  std::string definitions(const Op& op, ExprRef root) {
    std::string text;
    if (shared_.empty()) {
      return text;
    }
    forEachNode(root, [&](ExprRef e) {
      if (shared_.contains(e) && !sharedNames_.contains(e)) {
        std::string definition = expression(op, e);
        std::string name = "$" + std::to_string(sharedNames_.size());
        text += "let " + name + " = " + definition + "; ";
        sharedNames_[e] = name;
      }
    });
    return text;
  }

  /// Index names are hints as well: made unique within the op.
  void nameIndices(const Op& op) {
    indexNames_.clear();
    std::unordered_set<std::string> taken;
    for (const auto* vars : {&op.dims, &op.reduced}) {
      for (const IndexVar& var : *vars) {
        std::string base = isIdentifier(var.name) && !isReservedWord(var.name) ? var.name : "i";
        std::string unique = base;
        for (int n = 1; !taken.insert(unique).second; ++n) {
          unique = base + std::to_string(n);
        }
        indexNames_.push_back(unique);
      }
    }
  }

  std::string domain(const std::vector<IndexVar>& vars, size_t first) const {
    std::string text;
    for (size_t i = 0; i < vars.size(); ++i) {
      text += (i ? ", " : "") + indexNames_[first + i] + ":" + vars[i].extent.str(function_.symbols);
    }
    return text;
  }

  /// Outside subscripts: operators in call form.
  std::string expression(const Op& op, ExprRef e) const {
    if (auto found = sharedNames_.find(e); found != sharedNames_.end()) {
      return found->second;
    }
    if (e->kind == ExprKind::Apply) {
      return std::string(infoOf(e->op).spelling) + "(" + arguments(op, *e) + ")";
    }
    return atom(op, e, false);
  }

  std::string arguments(const Op& op, const Expr& e) const {
    std::string text;
    for (ExprRef arg : e.args) {
      text += (text.empty() ? "" : ", ") + expression(op, arg);
    }
    return text;
  }

  /// Inside subscripts: + - * / % between integers, where the operator binds tighter than its parent wants.
  std::string subscript(const Op& op, ExprRef e, Tightness parent) const {
    if (auto found = sharedNames_.find(e); found != sharedNames_.end()) {
      return found->second;
    }
    if (e->kind != ExprKind::Apply) {
      return atom(op, e, true);
    }
    auto infix = [&](const char* sign, Tightness own, Tightness right) {
      std::string text = subscript(op, e->args[0], own) + sign + subscript(op, e->args[1], right);
      return parent > own ? "(" + text + ")" : text;
    };
    if (isInteger(e->dtype)) {
      if (e->op == ScalarOp::Add) {
        return infix(" + ", Tightness::Sum, Tightness::Product);
      }
      if (e->op == ScalarOp::Sub) {
        return infix(" - ", Tightness::Sum, Tightness::Product);
      }
      if (e->op == ScalarOp::Mul) {
        return infix("*", Tightness::Product, Tightness::Atom);
      }
      if (e->op == ScalarOp::Div) {
        return infix("/", Tightness::Product, Tightness::Atom);
      }
      if (e->op == ScalarOp::Mod) {
        return infix("%", Tightness::Product, Tightness::Atom);
      }
    }
    std::string text = std::string(infoOf(e->op).spelling) + "(";
    for (size_t i = 0; i < e->args.size(); ++i) {
      text += (i ? ", " : "") + subscript(op, e->args[i], Tightness::Loose);
    }
    return text + ")";
  }

  /// Everything but Apply.
  std::string atom(const Op& op, ExprRef e, bool inSubscript) const {
    switch (e->kind) {
    case ExprKind::Const: return printConstant(*e);
    case ExprKind::Index: return e->index < indexNames_.size() ? indexNames_[e->index] : "?";
    case ExprKind::Extent: return "extent(" + e->extent.str(function_.symbols) + ")";
    case ExprKind::Access: {
      std::string text = e->operand < op.operands.size() ? name(op.operands[e->operand]) : "%?";
      text += "[";
      for (size_t i = 0; i < e->args.size(); ++i) {
        text += (i ? ", " : "") + subscript(op, e->args[i], Tightness::Loose);
      }
      if (e->fill) {
        text += "; " +
                (isFloat(e->dtype) ? printFloat(*e->fill, e->dtype) : std::to_string(static_cast<int64_t>(*e->fill)));
      }
      return text + "]";
    }
    case ExprKind::Cast: {
      std::string value = inSubscript ? subscript(op, e->args[0], Tightness::Loose) : expression(op, e->args[0]);
      return std::string(nameOf(e->dtype)) + "(" + value + ")";
    }
    case ExprKind::Draw:
      return std::string(nameOf(e->distribution)) + "(site " + std::to_string(e->site) + "; " +
             subscript(op, e->args[0], Tightness::Loose) + ", " + subscript(op, e->args[1], Tightness::Loose) + ")";
    case ExprKind::Apply: break;
    }
    DNN_UNREACHABLE("operators are printed by the callers");
  }

  const Function& function_;
  bool locations_;
  std::unordered_map<const Value*, std::string> names_;
  std::string text_;
  std::vector<std::string> indexNames_;
  std::unordered_set<ExprRef> shared_; // of the op being printed: the nodes that get a name
  std::unordered_map<ExprRef, std::string> sharedNames_;
};

} // namespace

std::unordered_map<const Value*, std::string> valueNames(const Function& function) {
  std::unordered_map<std::string_view, int> count;
  forEachOp(function.body, [&](const Op* op) {
    for (const Value* v : op->results) {
      ++count[v->name];
    }
  });
  std::unordered_map<const Value*, std::string> names;
  size_t next = 0;
  forEachOp(function.body, [&](const Op* op) {
    for (const Value* v : op->results) {
      bool keep = isIdentifier(v->name) && count[v->name] == 1;
      names[v] = "%" + (keep ? v->name : std::to_string(next++));
    }
  });
  return names;
}

std::string print(const Function& function, bool locations) { return Printer(function, locations).run(); }

std::string print(const Module& module, bool locations) {
  std::string text;
  if (!module.files.empty()) {
    text += "module " + printString(module.files[0]) + "\n";
  }
  for (const Persistent& p : module.persistents) {
    text += std::string(nameOf(p.kind)) + " " + printSymbol(p.path) + " : " + p.type.str({}) + "\n";
  }
  for (const auto& function : module.functions) {
    text += print(*function, locations);
  }
  return text;
}

std::string placeOf(const Module& module, Loc loc) {
  if (loc.line == 0 || loc.file >= module.files.size()) {
    return "";
  }
  return module.files[loc.file] + ":" + std::to_string(loc.line) + ":" + std::to_string(loc.column);
}

} // namespace dnn::graph
