#include "compiler/transform/fuse_share_parts.h"

#include "compiler/algebra/cost.h"
#include "compiler/algebra/reindex.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace dnn::transform {

using algebra::Builder;
using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::Value;

namespace {

class Sharer {
public:
  Sharer(graph::Function& function, std::vector<Op*> members)
      : function_(function), b_(function.module.exprs), members_(std::move(members)) {}

  std::vector<Op*> run() {
    for (const Op* op : members_) {
      if (hasTwoIndices(*op)) {
        for (ExprRef part : partsOf(*op)) {
          ++readers_[part];
        }
      }
    }
    for (Op* op : members_) {
      if (hasTwoIndices(*op)) {
        share(*op);
      }
      result_.push_back(op);
    }
    return std::move(result_);
  }

private:
  graph::Function& function_;
  Builder b_;
  std::vector<Op*> members_;
  std::vector<Op*> result_;
  std::vector<Value*> operands_; // of all members: what parts of different ops are compared in
  std::unordered_map<ExprRef, int> readers_;
  std::unordered_map<ExprRef, Value*> made_;

  static std::vector<graph::IndexVar> domain(const Op& op) {
    std::vector<graph::IndexVar> vars = op.dims;
    vars.insert(vars.end(), op.reduced.begin(), op.reduced.end());
    return vars;
  }

  /// Over the rows and columns that the first such op has.
  bool hasTwoIndices(const Op& op) const {
    auto isPlane = [](const Op* member) { return member->body != nullptr && domain(*member).size() == 2; };
    if (!isPlane(&op)) {
      return false;
    }
    std::vector<graph::IndexVar> first = domain(**std::ranges::find_if(members_, isPlane)), own = domain(op);
    return first[0].extent == own[0].extent && first[1].extent == own[1].extent;
  }

  bool isCandidate(ExprRef e) const {
    return e->kind == ExprKind::Apply && isFloat(e->dtype) && algebra::isExpensive(e) && graph::dependsOnIndex(e, 0) &&
           graph::dependsOnIndex(e, 1);
  }

  ExprRef common(const Op& op, ExprRef e) { return algebra::moveOperands(b_, e, op.operands, operands_); }

  std::unordered_set<ExprRef> partsOf(const Op& op) {
    std::unordered_set<ExprRef> parts;
    graph::forEachNode(op.body, [&](ExprRef e) {
      if (isCandidate(e)) {
        parts.insert(common(op, e));
      }
    });
    return parts;
  }

  void share(Op& op) {
    std::vector<Value*> operands = op.operands;
    ExprRef body = visit(op, op.body, operands);
    if (body != op.body) {
      op.body = body;
      op.operands = std::move(operands);
      graph::normalizeOperands(b_.pool(), op);
    }
  }

  ExprRef visit(const Op& op, ExprRef e, std::vector<Value*>& operands) {
    if (e->kind != ExprKind::Apply && e->kind != ExprKind::Cast) {
      return e;
    }
    if (isCandidate(e)) {
      ExprRef part = common(op, e);
      if (readers_[part] > 1) {
        Value*& value = made_[part];
        value = value != nullptr ? value : make(op, part);
        return b_.pool().access(algebra::operandPosition(operands, value), e->dtype,
                                algebra::indexRange(b_.pool(), 0, 2));
      }
    }
    std::vector<ExprRef> args;
    for (ExprRef arg : e->args) {
      args.push_back(visit(op, arg, operands));
    }
    return args == e->args ? e : algebra::withArgs(b_, e, args);
  }

  Value* make(const Op& op, ExprRef part) {
    std::vector<graph::IndexVar> dims = domain(op);
    TensorType type{part->dtype, {dims[0].extent, dims[1].extent}, std::nullopt};
    Op* made = function_.createOp(graph::OpKind::Comp, operands_, {type}, op.loc);
    made->dims = std::move(dims);
    made->body = part;
    graph::normalizeOperands(b_.pool(), *made);
    result_.push_back(made);
    return made->results[0];
  }
};

} // namespace

std::vector<Op*> shareParts(graph::Function& function, std::vector<Op*> members) {
  return Sharer(function, std::move(members)).run();
}

} // namespace dnn::transform
