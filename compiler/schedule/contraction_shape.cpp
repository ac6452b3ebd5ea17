// Which kernels are contractions, and what their model needs to know.
#include "compiler/schedule/contraction.h"

#include <algorithm>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::Value;

namespace {

class Finder {
public:
  Finder(const Analysis& analysis, const Machine& machine) : analysis_(analysis), machine_(machine) {}

  std::optional<ContractionShape> run(bool turned) {
    if (!findAnchor() || !findColumns() || !findRows()) {
      return std::nullopt;
    }
    if (turned) {
      shape_.turned = true;
      shape_.column = shape_.row;
      if (!findRows()) {
        return std::nullopt;
      }
    }
    if (!usersFit()) {
      return std::nullopt;
    }
    for (uint32_t d = 0; d < op_->dims.size(); ++d) {
      if (d != shape_.row && d != shape_.column) {
        shape_.others *= static_cast<double>(analysis_.extentOf(*op_, d));
      }
    }
    shape_.rows = static_cast<double>(analysis_.extentOf(*op_, shape_.row));
    shape_.columns = static_cast<double>(analysis_.extentOf(*op_, shape_.column));
    for (uint32_t q = 0; q < op_->reduced.size(); ++q) {
      shape_.reduction *= static_cast<double>(analysis_.extentOf(*op_, rank() + q));
    }
    shape_.bytes = std::max(byteSize(op_->body->dtype), 4);
    shape_.lanes = machine_.lanes(static_cast<int>(shape_.bytes), analysis_.extentOf(*op_, shape_.column));
    describeOperands();
    describeEpilogue();
    if (turned && !shape_.columnsContiguous) {
      return std::nullopt;
    }
    return shape_;
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  const Op* op_ = nullptr;
  ContractionShape shape_;

  uint32_t rank() const { return static_cast<uint32_t>(op_->dims.size()); }

  bool findAnchor() {
    for (const Op* op : analysis_.function.body.ops) {
      if (isContraction(*op, analysis_.function.symbols)) {
        if (op_ != nullptr) {
          return false;
        }
        op_ = op;
      }
    }
    shape_.op = op_;
    return op_ != nullptr;
  }

  /// Everything computed from the anchor is elementwise at its own point.
  bool usersFit() const {
    const Dim& columns = analysis_.dimOf(*op_, shape_.column);
    bool ragged = !columns.isStatic() || columns.constant() % (4 * machine_.lanes(4)) != 0;
    for (const Op* op : analysis_.function.body.ops) {
      if (ragged && op->kind == graph::OpKind::Comp && analysis_.loadsOf(*op) == Loads::Backward) {
        return false;
      }
      for (const Value* operand : op->operands) {
        if (isComputedFrom(operand, *op_) && !usesPointwise(*op, operand)) {
          return false;
        }
      }
    }
    return true;
  }

  bool findColumns() {
    bool found = false;
    for (uint32_t d = 0; d < rank(); ++d) {
      if (analysis_.extentOf(*op_, d) > 1) {
        shape_.column = d;
        found = true;
      }
    }
    return found;
  }

  bool findRows() {
    std::vector<bool> reused(rank()); // dims that some access along the columns does not depend on
    graph::forEachNode(op_->body, [&](ExprRef e) {
      if (e->kind == ExprKind::Access) {
        std::vector<bool> used = indicesOf(e, rank() + op_->reduced.size());
        for (uint32_t d = 0; d < rank() && used[shape_.column]; ++d) {
          reused[d] = reused[d] || !used[d];
        }
      }
    });
    int64_t best = 1;
    for (uint32_t d = 0; d < rank(); ++d) {
      if (d != shape_.column && reused[d] && analysis_.extentOf(*op_, d) > best) {
        best = analysis_.extentOf(*op_, d);
        shape_.row = d;
      }
    }
    return best > 1;
  }

  /// From one element of the access to that of the next reduced index.
  double bytesOf(ExprRef access, uint32_t index) const {
    const std::vector<Dim>& dims = op_->operands[access->operand]->type.dims;
    double stride = static_cast<double>(shape_.bytes);
    for (size_t d = dims.size(); d-- > 0 && !graph::dependsOnIndex(access->args[d], index);) {
      stride *= static_cast<double>(analysis_.maxOf(dims[d]));
    }
    return stride;
  }

  void describeOperands() {
    uint32_t last = rank() + static_cast<uint32_t>(op_->reduced.size()) - 1;
    const Dim& columns = analysis_.dimOf(*op_, shape_.column);
    shape_.columnsStatic = columns.isStatic();
    shape_.rowsStatic = analysis_.dimOf(*op_, shape_.row).isStatic();
    shape_.columnsContiguous = shape_.rowsContiguous = true;
    shape_.reductionContiguous = op_->reduction == Reduction::Add && isFloat(op_->body->dtype) &&
                                 analysis_.loadsOf(*op_) == Loads::Forward &&
                                 costOf(op_->body) <= 4 && // not computed again for each tile
                                 graph::dependsOnIndex(op_->body, last);
    shape_.reductionPackable = shape_.reductionContiguous;
    graph::forEachNode(op_->body, [&](ExprRef e) {
      if (e->kind != ExprKind::Access) {
        return;
      }
      Stride along = analysis_.strideOf(*op_, e, last);
      bool inVectors = along == Stride::Unit || along == Stride::None;
      shape_.reductionContiguous &= inVectors;
      std::vector<bool> used = indicesOf(e, rank() + op_->reduced.size());
      shape_.reductionPackable &= inVectors || (used[shape_.column] && !used[shape_.row] && along == Stride::Strided);
      if (used[shape_.column]) {
        shape_.columnsContiguous &= analysis_.strideOf(*op_, e, shape_.column) == Stride::Unit;
        shape_.columnStride = std::max(shape_.columnStride, bytesOf(e, last));
      } else if (used[shape_.row]) {
        shape_.rowsAlongReduction = op_->reduced.size() == 1 && along == Stride::Unit &&
                                    analysis_.strideOf(*op_, e, shape_.row) == Stride::Strided;
        shape_.rowPitch = bytesOf(e, shape_.row);
        shape_.rowsContiguous &= analysis_.strideOf(*op_, e, shape_.row) == Stride::Unit;
        shape_.rowStride = std::max(shape_.rowStride, bytesOf(e, last));
      }
    });
  }

  void describeEpilogue() {
    Epilogue epilogue = epilogueOf(analysis_, *op_);
    shape_.unmasked = epilogue.unmasked;
    shape_.epilogue = epilogue.cost;
    shape_.overwritten = epilogue.overwritten;
    shape_.inPlace = epilogue.overwritten > 0;
  }
};

} // namespace

std::optional<ContractionShape> contractionShape(const Analysis& analysis, const Machine& machine, bool turned) {
  return Finder(analysis, machine).run(turned);
}

} // namespace dnn::schedule
