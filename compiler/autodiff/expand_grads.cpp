#include "compiler/autodiff/expand_grads.h"

#include "compiler/autodiff/expand_grad.h"
#include "compiler/autodiff/mask_steps.h"
#include "compiler/autodiff/split_scan.h"
#include "compiler/autodiff/spread_scan.h"
#include "compiler/graph/text.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace dnn::autodiff {

using graph::Function;
using graph::Module;
using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

/// Reads of one parameter are one value, so that a gradient with respect to it sees all of them.
bool mergeReads(Function& function) {
  std::map<std::string, Value*> first;
  bool changed = false;
  for (Op* op : function.body.ops) {
    if (op->kind == OpKind::Param || op->kind == OpKind::State) {
      auto [known, inserted] = first.try_emplace(op->symbol, op->results[0]);
      if (!inserted) {
        graph::replaceAllUses(function, op->results[0], known->second);
        changed = true;
      }
    }
  }
  return changed;
}

bool containsGrad(const graph::Block& block) {
  bool any = false;
  graph::forEachOp(block, [&](const Op* op) { any |= op->kind == OpKind::Grad; });
  return any;
}

/// Expands the grads of one function, in order, those in a scan's body before what follows the scan.
class FunctionExpansion {
public:
  explicit FunctionExpansion(Function& function) : function_(function) {}

  Status run() { return expandIn(function_.body); }

private:
  Status expandIn(graph::Block& block) {
    size_t outside = before_.size();
    for (size_t i = 0; i < block.ops.size(); ++i) {
      Op* op = block.ops[i];
      if (op->kind == OpKind::Scan && containsGrad(*op->body_block)) {
        around_.push_back(op);
        Status status = expandIn(*op->body_block);
        around_.pop_back();
        if (!status) {
          return status;
        }
        graph::refreshRegions(function_); // its gradients may capture more
        if (std::optional<std::vector<Op*>> made = spreadScan(function_, *op, derived_)) {
          // Before other gradients go through it.
          auto place = block.ops.erase(block.ops.begin() + static_cast<std::ptrdiff_t>(i));
          place = block.ops.insert(place, made->begin(), made->end());
          graph::refreshRegions(function_);
          before_.insert(before_.end(), made->begin(), made->end());
          i += made->size() - 1;
          continue;
        }
      }
      if (op->kind != OpKind::Grad) {
        before_.push_back(op);
        continue;
      }
      Result<ExpandedGrad> made = expandGrad(function_, *op, before_, around_, derived_);
      if (!made) {
        Error error = made.error();
        error.message += " (the gradient is taken at " + graph::placeOf(function_.module, op->loc) + ")";
        return error;
      }
      replaceResults(*op, made->results);
      auto place = block.ops.erase(std::ranges::find(block.ops, op)); // a counter may have come in front
      place = block.ops.insert(place, made->ops.begin(), made->ops.end());
      i = static_cast<size_t>(place - block.ops.begin()) + made->ops.size() - 1;
      before_.insert(before_.end(), made->ops.begin(), made->ops.end());
    }
    before_.resize(outside);
    return success();
  }

  /// In one walk: a network has as many gradients as parameters.
  void replaceResults(const Op& grad, const std::vector<Value*>& values) {
    std::unordered_map<const Value*, Value*> replaced;
    for (size_t r = 0; r < values.size(); ++r) {
      replaced[grad.results[r]] = values[r];
    }
    graph::forEachOp(function_.body, [&](Op* op) {
      bool any = false;
      for (Value*& v : op->operands) {
        if (auto found = replaced.find(v); found != replaced.end()) {
          v = found->second;
          any = true;
        }
      }
      if (any && op->body != nullptr) {
        graph::normalizeOperands(function_.module.exprs, *op); // it may have read both
      }
    });
    for (Value*& v : function_.returns) {
      auto found = replaced.find(v);
      v = found == replaced.end() ? v : found->second;
    }
    graph::refreshRegions(function_);
  }

  Function& function_;
  std::vector<Op*> around_; // scans, the outermost first
  std::vector<Op*> before_; // what a gradient at this place may go through, in order
  std::unordered_set<const Op*> derived_;
};

} // namespace

Result<bool> expandGrads(Module& module) {
  bool changed = false;
  for (const auto& function : module.functions) {
    if (!containsGrad(function->body)) {
      if (function->kind != graph::FunctionKind::Helper) {
        // Nothing is read again.
        graph::forEachOp(function->body, [](Op* op) { op->saveEvery = 0; });
      }
      continue;
    }
    maskSteps(*function);
    splitScans(*function);
    mergeReads(*function);
    if (Status status = FunctionExpansion(*function).run(); !status) {
      return status.error();
    }
    graph::refreshRegions(*function);
    changed = true;
  }
  return changed;
}

} // namespace dnn::autodiff
