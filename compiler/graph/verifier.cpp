#include "compiler/graph/verifier.h"

#include "compiler/graph/scan.h"
#include "compiler/graph/text.h"

#include <algorithm>
#include <array>

namespace dnn::graph {

namespace {

constexpr std::array<std::string_view, 5> anchors = {"contraction", "reduction", "elementwise", "scatter", "view"};

/// Whether an op of this kind may stand in a region of the kind `in`; nullptr = in the function's block.
bool mayStandIn(OpKind kind, const Op* region) {
  bool inGroup = region != nullptr && region->kind == OpKind::Group;
  bool inScan = region != nullptr && region->kind == OpKind::Scan;
  switch (kind) {
  case OpKind::Comp:
  case OpKind::Scatter:
  case OpKind::Reshape:
  case OpKind::Concat: return true;
  case OpKind::CallVjp:
  case OpKind::Grad:
  case OpKind::Group:
  case OpKind::Scan: return !inGroup;
  case OpKind::Counter:
  case OpKind::Carry:
  case OpKind::Slice:
  case OpKind::Next:
  case OpKind::Emit: return inScan;
  case OpKind::Input:
  case OpKind::Param:
  case OpKind::State:
  case OpKind::Env:
  case OpKind::Distinct:
  case OpKind::Update:
  case OpKind::Output: return region == nullptr;
  }
  return false;
}

} // namespace

Status Verifier::run() {
  checkPersistents();
  std::unordered_set<std::string> names;
  for (const auto& function : module_.functions) {
    if (failed()) {
      break;
    }
    function_ = function.get();
    if (!names.insert(function->name).second) {
      fail("there are two functions of this name");
    }
    checkFunction();
  }
  if (failed()) {
    return *error_;
  }
  return success();
}

void Verifier::checkPersistents() {
  std::unordered_set<std::string> paths;
  for (const Persistent& p : module_.persistents) {
    auto where = [&] { return std::string(nameOf(p.kind)) + " " + printSymbol(p.path) + ": "; };
    if (!paths.insert(p.path).second) {
      fail(where() + "there are two persistent tensors of this path");
      return;
    }
    if (p.type.rank() > maxRank) {
      fail(where() + "it has more than " + std::to_string(maxRank) + " dimensions");
      return;
    }
    int64_t elements = 1;
    for (const Dim& dim : p.type.dims) {
      bool possible = dim.isStatic() && dim.constant() >= 0 && dim.constant() <= maxElements;
      if (!possible || __builtin_mul_overflow(elements, dim.constant(), &elements) || elements > maxElements) {
        fail(where() + "its extents are not constants whose product is at most " + std::to_string(maxElements));
        return;
      }
    }
    if (p.type.bound && (!isInteger(p.type.dtype) || !p.type.bound->isStatic() || p.type.bound->constant() < 1)) {
      fail(where() + "only an integer tensor has a bound, a constant of at least 1");
      return;
    }
  }
}

void Verifier::checkFunction() {
  seenOps_.clear();
  definedIn_.clear();
  around_.clear();
  scanDepth_ = 0;
  usedOutside_.clear();
  inputs_.clear();
  outputs_.clear();
  updates_.clear();
  op_ = nullptr;
  checkSymbols();
  if (!failed()) {
    checkBlock(function_->body, nullptr);
  }
  op_ = nullptr;
  if (!failed()) {
    checkReturns();
  }
  if (!failed()) {
    checkEscapes();
  }
  if (!failed() && function_->kind == FunctionKind::Init) {
    checkInit();
  }
}

void Verifier::checkSymbols() {
  std::unordered_set<std::string> names;
  for (const Symbol& symbol : function_->symbols) {
    if (!isIdentifier(symbol.name) || !names.insert(symbol.name).second) {
      fail("the symbol `" + symbol.name + "` is not an identifier or is declared twice");
    }
    if (symbol.max < 1 || symbol.max > maxElements) {
      fail("the largest value of the symbol `" + symbol.name + "` does not lie between 1 and " +
           std::to_string(maxElements));
    }
  }
}

void Verifier::checkBlock(const Block& block, const Op* region) {
  for (const Op* op : block.ops) {
    if (failed()) {
      return;
    }
    op_ = op;
    checkStructure(*op, region);
    if (failed()) {
      return;
    }
    around_[op] = region;
    if (op->kind == OpKind::Group) {
      checkBlock(*op->body_block, op);
      op_ = op;
      if (!failed()) {
        checkGroup(*op);
      }
    } else if (op->kind == OpKind::Scan) {
      checkScan(*op);
    } else {
      checkOp(*op);
    }
    for (const Value* v : op->results) {
      definedIn_[v] = region;
    }
  }
}

/// Counts, ownership, and that every operand is defined before.
void Verifier::checkStructure(const Op& op, const Op* region) {
  const OpInfo& info = infoOf(op.kind);
  if (!seenOps_.insert(&op).second) {
    return fail("the op stands in the function twice");
  }
  if (!mayStandIn(op.kind, region)) {
    return fail("an op of this kind cannot stand in " + (region == nullptr               ? "the block of a function"
                                                         : region->kind == OpKind::Group ? "a group"
                                                                                         : std::string("a scan")));
  }
  if (info.operands >= 0 && op.operands.size() != static_cast<size_t>(info.operands)) {
    return fail("it has " + std::to_string(op.operands.size()) + " operands instead of " +
                std::to_string(info.operands));
  }
  if (info.results >= 0 && op.results.size() != static_cast<size_t>(info.results)) {
    return fail("it has " + std::to_string(op.results.size()) + " results instead of " + std::to_string(info.results));
  }
  for (size_t i = 0; i < op.results.size(); ++i) {
    if (op.results[i]->def != &op || op.results[i]->position != i) {
      return fail("its result " + std::to_string(i) + " does not name it as the definition");
    }
  }
  if (op.loc.line != 0 && op.loc.file >= module_.files.size()) {
    return fail("its location names a file that the module does not list");
  }
  if (op.kind == OpKind::Group) {
    return; // its operands are those of the ops in it
  }
  size_t own = op.kind == OpKind::Scan ? firstCapture(op) : op.operands.size();
  if (own > op.operands.size()) {
    return fail("it has fewer operands than carries and slices");
  }
  for (size_t i = 0; i < own && !failed(); ++i) {
    checkUse(op.operands[i], region);
  }
}

/// A value is seen in its own region, those in it, and, if it is a group's, in the region around that.
void Verifier::checkUse(const Value* v, const Op* region) {
  auto defined = definedIn_.find(v);
  if (defined == definedIn_.end()) {
    return fail("it uses " + name(v) + ", which is not defined before it");
  }
  const Op* home = defined->second;
  bool escapes = home != nullptr && home->kind == OpKind::Group && home != region;
  const Op* seenIn = escapes ? around_.at(home) : home;
  const Op* at = region;
  while (at != seenIn && at != nullptr) {
    at = around_.at(at);
  }
  if (at != seenIn) {
    return fail("it uses " + name(v) + ", which only the steps of another scan see");
  }
  if (escapes) {
    usedOutside_.insert(v);
  }
}

void Verifier::checkGroup(const Op& op) {
  if (std::ranges::find(anchors, op.anchor) == anchors.end()) {
    return fail("a group's anchor is contraction, reduction, elementwise, scatter or view, not `" + op.anchor + "`");
  }
  if (op.body_block->ops.empty()) {
    return fail("the group is empty");
  }
  std::vector<const Value*> expected;
  for (const Op* inner : op.body_block->ops) {
    for (const Value* v : inner->operands) {
      if (definedIn_.at(v) != &op && std::ranges::find(expected, v) == expected.end()) {
        expected.push_back(v);
      }
    }
  }
  if (!std::ranges::equal(op.operands, expected)) {
    fail("its operands are not the outside values that its ops use, in the order of their first use");
  }
}

/// After all uses are known: the escapes of each group are the values used outside, in the order of definition.
void Verifier::checkEscapes() {
  forEachOp(function_->body, [&](const Op* op) {
    if (failed() || op->kind != OpKind::Group) {
      return;
    }
    op_ = op;
    std::vector<const Value*> expected;
    for (const Op* inner : op->body_block->ops) {
      for (const Value* v : inner->results) {
        if (usedOutside_.contains(v)) {
          expected.push_back(v);
        }
      }
    }
    if (expected.empty()) {
      return fail("nothing outside uses a value of the group");
    }
    if (!std::ranges::equal(op->escapes, expected)) {
      std::string list;
      for (const Value* v : expected) {
        list += (list.empty() ? "" : ", ") + name(v);
      }
      fail("its escapes are not the values that are used outside: " + list);
    }
  });
}

void Verifier::checkReturns() {
  if (function_->kind != FunctionKind::Helper) {
    if (!function_->returns.empty()) {
      fail("only a helper returns values; an entry point has outputs");
    }
    return;
  }
  if (function_->returns.empty()) {
    return fail("a helper returns at least one value");
  }
  for (const Value* v : function_->returns) {
    auto defined = definedIn_.find(v);
    if (defined == definedIn_.end()) {
      return fail("it returns " + name(v) + ", which it does not define");
    }
    checkUse(v, nullptr);
  }
}

void Verifier::checkInit() {
  for (const Persistent& p : module_.persistents) {
    if (!updates_.contains(p.path)) {
      return fail("init leaves " + printSymbol(p.path) + " without a value");
    }
  }
}

std::string Verifier::name(const Value* v) const {
  auto names = valueNames(*function_);
  auto found = names.find(v);
  return found == names.end() ? "a value of another function" : found->second;
}

void Verifier::fail(std::string message) {
  if (failed()) {
    return;
  }
  Error error;
  if (function_ != nullptr) {
    error.message = "in " + printSymbol(function_->name);
    if (op_ != nullptr) {
      error.message += ", " + (op_->results.empty() ? "" : name(op_->results[0]) + " = ");
      error.message += nameOf(op_->kind);
      if (!op_->symbol.empty()) {
        error.message += " " + printSymbol(op_->symbol);
      }
      error.where = placeOf(module_, op_->loc);
    }
    error.message += ": ";
  }
  error.message += message;
  error_ = std::move(error);
}

Status verify(const Module& module) { return Verifier(module).run(); }

} // namespace dnn::graph
