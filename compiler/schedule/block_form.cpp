#include "compiler/schedule/block_form.h"

#include <algorithm>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

constexpr int64_t leastBlocks = 8;
constexpr double leastElements = 1 << 16;

bool isIndex(ExprRef e, size_t index) { return e->kind == ExprKind::Index && e->index == index; }

class BlockFinder {
public:
  BlockFinder(const Analysis& analysis, const Machine& machine) : analysis_(analysis), machine_(machine) {}

  std::optional<BlockForm> run() {
    if (!std::ranges::all_of(analysis_.function.body.ops, [&](const Op* op) { return mayBelong(*op); }) ||
        first_ == nullptr || !findRows()) {
      return std::nullopt;
    }
    for (const Op* op : analysis_.function.body.ops) {
      if (op->kind == OpKind::Comp && !add(*op)) {
        return std::nullopt;
      }
    }
    return isWorth() ? std::optional(form_) : std::nullopt;
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  BlockForm form_;
  const Op* first_ = nullptr; // of the sums

  bool mayBelong(const Op& op) {
    if (op.kind == OpKind::Input || op.kind == OpKind::Env) {
      return true;
    }
    if (op.kind != OpKind::Comp || isArg(op.reduction)) {
      return false;
    }
    if (op.reduction != Reduction::None && first_ == nullptr) {
      first_ = &op;
    }
    return true;
  }

  /// From an access of the first sum at rows, block, columns.
  bool findRows() {
    const Op& op = *first_;
    size_t dims = op.dims.size(), reduced = op.reduced.size();
    graph::forEachNode(op.body, [&](ExprRef e) {
      if (e->kind != ExprKind::Access || e->args.size() != dims + reduced || form_.rows > 0) {
        return;
      }
      size_t rows = 0;
      while (rows < dims && isIndex(e->args[rows], rows)) {
        ++rows;
      }
      form_.rows = rows > 0 && rows < dims && isAt(e, rows, dims, reduced) ? rows : 0;
    });
    if (form_.rows == 0) {
      return false;
    }
    for (size_t d = 0; d < dims; ++d) {
      if (d == form_.rows) {
        for (const graph::IndexVar& var : op.reduced) {
          form_.wideDims.push_back(var.extent);
        }
      }
      form_.wideDims.push_back(op.dims[d].extent);
      form_.smallDims.push_back(op.dims[d].extent);
    }
    return true;
  }

  /// The subscripts are those of a wide value at the point of a sum.
  static bool isAt(ExprRef access, size_t rows, size_t dims, size_t reduced) {
    bool at = true;
    for (size_t s = 0; s < access->args.size(); ++s) {
      at &= isIndex(access->args[s], s < rows ? s : s < rows + reduced ? dims + s - rows : s - reduced);
    }
    return at;
  }

  size_t blockDims() const { return form_.wideDims.size() - form_.smallDims.size(); }

  static std::vector<Dim> extentsOf(const std::vector<graph::IndexVar>& vars) {
    std::vector<Dim> extents;
    for (const graph::IndexVar& var : vars) {
      extents.push_back(var.extent);
    }
    return extents;
  }

  bool add(const Op& op) {
    std::vector<Dim> dims = extentsOf(op.dims),
                     block(form_.wideDims.begin() + static_cast<std::ptrdiff_t>(form_.rows),
                           form_.wideDims.begin() + static_cast<std::ptrdiff_t>(form_.rows + blockDims()));
    bool sum = op.reduction != Reduction::None;
    bool wide = !sum && dims == form_.wideDims;
    if (sum ? dims != form_.smallDims || extentsOf(op.reduced) != block : !wide && dims != form_.smallDims) {
      return false;
    }
    (sum ? form_.sums : wide ? form_.wide : form_.small).push_back(&op);
    size_t extra = blockDims(); // indices of a wide domain between rows and columns
    bool fits = true;
    graph::forEachNode(op.body, [&](ExprRef e) {
      if (e->kind != ExprKind::Access) {
        return;
      }
      const Op& def = *op.operands[e->operand]->def;
      bool ofWide = std::ranges::find(form_.wide, &def) != form_.wide.end();
      bool computed = def.kind == OpKind::Comp;
      for (size_t s = 0; computed && s < e->args.size(); ++s) {
        size_t own = s; // a value of the op's own dims
        if (ofWide && !wide) {
          own = s < form_.rows ? s : s < form_.rows + extra ? op.dims.size() + s - form_.rows : s - extra;
        } else if (!ofWide && wide) {
          own = s < form_.rows ? s : s + extra;
        }
        fits &= isIndex(e->args[s], own);
      }
      fits &= !(ofWide && !wide && !sum);
      fits &= runsAlongColumns(op, e);
    });
    return fits;
  }

  uint32_t columnOf(const Op& op) const { return static_cast<uint32_t>(op.dims.size() - 1); }

  bool runsAlongColumns(const Op& op, ExprRef access) const {
    Stride stride = analysis_.strideOf(op, access, columnOf(op));
    return stride == Stride::Unit || stride == Stride::None;
  }

  bool isWorth() const {
    double blocks = 1, points = 1, columns = 1;
    for (size_t d = 0; d < form_.wideDims.size(); ++d) {
      double extent = static_cast<double>(analysis_.maxOf(form_.wideDims[d]));
      (d < form_.rows ? blocks : d < form_.rows + blockDims() ? points : columns) *= extent;
      if (d >= form_.rows && !form_.wideDims[d].isStatic()) {
        return false;
      }
    }
    double bytes = points * columns * byteSize(form_.sums.front()->body->dtype);
    bool inPlace = std::ranges::any_of(analysis_.kernel.inPlace, [](const auto& input) { return input.has_value(); });
    bool loads = std::ranges::all_of(analysis_.function.body.ops, [&](const Op* op) {
      return op->kind != OpKind::Comp || analysis_.loadsOf(*op) == Loads::Forward;
    });
    return !inPlace && loads && form_.wideDims.back().constant() >= 4 && blocks >= leastBlocks &&
           blocks * points * columns >= leastElements && bytes <= static_cast<double>(machine_.l2Bytes) / 2;
  }
};

} // namespace

bool sameExtents(const std::vector<graph::IndexVar>& a, const std::vector<graph::IndexVar>& b) {
  return std::ranges::equal(a, b, {}, &graph::IndexVar::extent, &graph::IndexVar::extent);
}

std::optional<BlockForm> blockForm(const Analysis& analysis, const Machine& machine) {
  return BlockFinder(analysis, machine).run();
}

} // namespace dnn::schedule
