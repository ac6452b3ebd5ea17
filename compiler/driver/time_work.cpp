#include "compiler/driver/time_work.h"

#include "compiler/driver/work.h"

#include <algorithm>
#include <unordered_map>

namespace dnn::driver {

namespace {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

class GroupWork {
public:
  GroupWork(const graph::Function& function, const Op& group, std::span<const int64_t> symbols)
      : function_(function), group_(group), symbols_(symbols) {}

  KernelWork run() {
    work_.kernel = group_.symbol.empty() ? "fill" : group_.symbol; // a constant needs no kernel
    work_.flops = floatOperations(*group_.body_block, symbols_);
    graph::forEachOp(*group_.body_block, [&](const Op* op) { addOp(*op); });
    for (const Value* operand : group_.operands) {
      if (operand->def->kind != OpKind::Env) { // those are scalar arguments
        work_.bytesRead += std::min(needed_[operand], elements(operand->type)) * byteSize(operand->type.dtype);
      }
    }
    double shared = 0;
    for (const Value* escape : group_.escapes) {
      double bytes = elements(escape->type) * byteSize(escape->type.dtype);
      work_.bytesWritten += bytes;
      shared += isUpdateOfOperand(escape) ? bytes : 0;
    }
    work_.workingSet = work_.bytesRead + work_.bytesWritten - shared;
    describe();
    return std::move(work_);
  }

private:
  const graph::Function& function_;
  const Op& group_;
  std::span<const int64_t> symbols_;
  KernelWork work_;
  std::unordered_map<const Value*, double> needed_; // elements that accesses can touch at most
  const Op* largest_ = nullptr;
  double largestPoints_ = -1;

  double elements(const TensorType& type) const {
    double count = 1;
    for (const Dim& dim : type.dims) {
      count *= static_cast<double>(dim.evaluate(symbols_));
    }
    return count;
  }

  /// The value becomes the new value of a persistent tensor that the group reads: an optimizer's update.
  bool isUpdateOfOperand(const Value* value) const {
    return std::ranges::any_of(function_.body.ops, [&](const Op* op) {
      return op->kind == OpKind::Update && op->operands[0] == value &&
             std::ranges::any_of(group_.operands, [&](const Value* operand) {
               OpKind kind = operand->def->kind;
               return (kind == OpKind::Param || kind == OpKind::State) && operand->def->symbol == op->symbol;
             });
    });
  }

  double extentOf(const Op& op, size_t index) const {
    const graph::IndexVar& variable = index < op.dims.size() ? op.dims[index] : op.reduced[index - op.dims.size()];
    return static_cast<double>(variable.extent.evaluate(symbols_));
  }

  /// Points of the domain, as far as the expression can tell them apart.
  double pointsOf(const Op& op, ExprRef e) const {
    std::vector<bool> used(op.dims.size() + op.reduced.size());
    graph::forEachNode(e, [&](ExprRef node) {
      if (node->kind == ExprKind::Index) {
        used[node->index] = true;
      }
    });
    double points = 1;
    for (size_t i = 0; i < used.size(); ++i) {
      points *= used[i] ? extentOf(op, i) : 1;
    }
    return points;
  }

  void addOp(const Op& op) {
    addSource(op);
    bool computes = op.kind == OpKind::Comp || op.kind == OpKind::Scatter;
    double points = 1;
    for (size_t i = 0; i < op.dims.size() + op.reduced.size(); ++i) {
      points *= extentOf(op, i);
    }
    if (computes && points > largestPoints_) {
      largest_ = &op;
      largestPoints_ = points;
    }
    if (!computes) { // views and joins need all of their operands
      for (const Value* operand : op.operands) {
        needed_[operand] += elements(operand->type);
      }
      return;
    }
    std::vector<ExprRef> roots = op.at;
    roots.push_back(op.body);
    for (ExprRef root : roots) {
      graph::forEachNode(root, [&](ExprRef e) {
        if (e->kind == ExprKind::Access) {
          needed_[op.operands[e->operand]] += pointsOf(op, e);
        }
      });
    }
  }

  void addSource(const Op& op) {
    if (op.loc.line == 0) {
      return;
    }
    const std::string& file = function_.module.files[op.loc.file];
    std::string place = file.substr(file.rfind('/') + 1) + ":" + std::to_string(op.loc.line);
    if (std::ranges::find(work_.sources, place) == work_.sources.end()) {
      work_.sources.push_back(place);
    }
  }

  void describe() {
    work_.what = group_.anchor;
    if (largest_ == nullptr) {
      return;
    }
    auto extents = [&](const auto& indices) {
      std::string text;
      for (const graph::IndexVar& index : indices) {
        text += (text.empty() ? "" : "×") + std::to_string(index.extent.evaluate(symbols_));
      }
      return text.empty() ? "1" : text;
    };
    work_.what += " " + extents(largest_->dims);
    if (!largest_->reduced.empty()) {
      work_.what += " over " + extents(largest_->reduced);
    }
  }
};

} // namespace

namespace {

void addWorks(const graph::Function& function, const graph::Block& block, int64_t calls,
              std::span<const int64_t> symbols, std::vector<KernelWork>& works) {
  for (const Op* op : block.ops) {
    if (op->kind == OpKind::Group) {
      works.push_back(GroupWork(function, *op, symbols).run());
      works.back().calls = calls;
    } else if (op->kind == OpKind::Scan) {
      addWorks(function, *op->body_block, calls * op->dims[0].extent.evaluate(symbols), symbols, works);
    }
  }
}

} // namespace

std::vector<KernelWork> kernelWorks(const graph::Function& function, std::span<const int64_t> symbols) {
  std::vector<KernelWork> works;
  addWorks(function, function.body, 1, symbols, works);
  return works;
}

} // namespace dnn::driver
