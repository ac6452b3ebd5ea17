// Which kernels are sums over windows, and what their model needs to know.
#include "compiler/schedule/window.h"

#include <algorithm>
#include <array>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::Value;

namespace {

/// The fewest terms of an element that are worth blocks.
constexpr double termsOfBlocks = 256;
/// The same where no windows slide: terms, bytes that are read, and how many times the result's bytes these are.
constexpr double longSum = 1024, longSumReads = 6 << 20, longSumRatio = 8;

bool slidesAlong(const Op& op, ExprRef subscript) {
  bool own = false, reduced = false;
  graph::forEachNode(subscript, [&](ExprRef e) {
    own |= e->kind == ExprKind::Index && e->index < op.dims.size();
    reduced |= e->kind == ExprKind::Index && e->index >= op.dims.size();
  });
  return own && reduced;
}

bool isStrided(ExprRef subscript) {
  std::optional<graph::LinearForm> form = graph::linearForm(subscript);
  return form && form->terms.size() == 1 && form->terms[0].factor > 1;
}

class Finder {
public:
  Finder(const Analysis& analysis, const Machine& machine, LongSums longSums)
      : analysis_(analysis), machine_(machine), longSums_(longSums) {}

  std::optional<WindowShape> run() {
    if (!findAnchor() || !findColumn()) {
      return std::nullopt;
    }
    shape_.bytes = byteSize(op_->body->dtype);
    shape_.lanes = machine_.lanes(static_cast<int>(shape_.bytes), analysis_.extentOf(*op_, shape_.column));
    if (!collectOperands() || !usersFit()) {
      return std::nullopt;
    }
    orderReduced();
    bool windows = std::ranges::any_of(shape_.operands, [](const WindowOperand& o) { return o.window != nullptr; });
    bool longSum = !windows && isLongSum();
    if (!windows && !longSum && !isMadeByPlaces()) {
      return std::nullopt;
    }
    shape_.blocks = windows ? isSmallBesideTerms() : longSum;
    if (strided_ && shape_.blocks && longSums_ != LongSums::All && !isSmallBesideOperands()) {
      return std::nullopt; // nothing slides: a product, whose result is not worth a buffer that blocks are added to
    }
    describeEpilogue();
    if (isShortWithoutReuse()) {
      return std::nullopt;
    }
    shortenVectors();
    return shape_;
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  LongSums longSums_;
  bool strided_ = false; // nothing slides, but places are left out
  const Op* op_ = nullptr;
  WindowShape shape_;

  /// No windows either, but a product whose rows are in several dims (what reads it, or what it reads, takes them
  /// apart), and larger than the first cache: the column operand stays near for a whole block of them, where tiles of a
  /// contraction's one dim of rows go through all of the others for each term.
  bool isMadeByPlaces() const {
    uint32_t rows = 0;
    for (uint32_t d = 0; d < rank(); ++d) {
      bool row = d != shape_.column && analysis_.extentOf(*op_, d) > 1;
      bool own = std::ranges::none_of(shape_.operands, [&](const WindowOperand& operand) {
        return operand.uses[shape_.column] && operand.uses[d];
      });
      if (row && !own) {
        return false;
      }
      rows += row ? 1 : 0;
    }
    double result = static_cast<double>(shape_.bytes) * analysis_.elements(*op_->results[0]);
    return rows >= 2 && (longSums_ == LongSums::All || result > static_cast<double>(machine_.l1Bytes));
  }

  /// Few terms, each of operands that all run along the columns (a window for each channel): no element that was loaded
  /// serves several columns, so that tiles gain less than a halo costs. A reduction in vectors then.
  bool isShortWithoutReuse() const {
    double terms = 1;
    for (uint32_t i = rank(); i < domainSize(); ++i) {
      terms *= static_cast<double>(analysis_.extentOf(*op_, i));
    }
    auto isRead = [&](const WindowOperand& operand) {
      return operand.uses[shape_.column] && operand.contiguous && operand.part->kind == ExprKind::Access &&
             !isInlined(operand.part);
    };
    return !shape_.blocks && !shape_.inPlace && terms <= 9 && std::ranges::all_of(shape_.operands, isRead) &&
           analysis_.extentOf(*op_, shape_.column) >= shape_.lanes;
  }

  /// Windows have fewer places in the result than in the sum: the gradient of weights. So the result is small beside
  /// what is read, and each element has a long sum.
  bool isSmallBesideTerms() const {
    double terms = 1, own = 1, summed = 1;
    auto slides = [&](uint32_t index) {
      return std::ranges::any_of(shape_.operands, [&](const WindowOperand& operand) {
        return operand.window != nullptr && std::ranges::any_of(operand.window->args, [&](ExprRef subscript) {
                 return isWindow(*op_, subscript) && graph::dependsOnIndex(subscript, index);
               });
      });
    };
    for (uint32_t i = 0; i < domainSize(); ++i) {
      double points = static_cast<double>(analysis_.extentOf(*op_, i));
      terms *= i >= rank() ? points : 1;
      (i >= rank() ? summed : own) *= slides(i) ? points : 1;
    }
    return terms >= termsOfBlocks && own < summed;
  }

  /// Few columns side by side are a shorter vector in blocks, which need not be copied then: beside a tile of as many
  /// sums as 32 registers hold it does not count that its load takes two or three instructions.
  void shortenVectors() {
    bool contiguous = std::ranges::all_of(shape_.operands, [&](const WindowOperand& operand) {
      return !operand.uses[shape_.column] || operand.contiguous;
    });
    if (shape_.blocks && contiguous && machine_.vectorRegisters > 16) {
      shape_.lanes = std::min(shape_.lanes, analysis_.extentOf(*op_, shape_.column));
    }
  }

  uint32_t rank() const { return static_cast<uint32_t>(op_->dims.size()); }
  size_t domainSize() const { return op_->dims.size() + op_->reduced.size(); }

  /// Depends on an index of the result and a reduced one; where no subscript does, takes every second, third, … place.
  bool isWindow(const Op& op, ExprRef subscript) const {
    return slidesAlong(op, subscript) || (strided_ && isStrided(subscript));
  }

  bool isWindowAccess(const Op& op, ExprRef e) const {
    return e->kind == ExprKind::Access &&
           std::ranges::any_of(e->args, [&](ExprRef subscript) { return isWindow(op, subscript); });
  }

  bool isCandidate(const Op& op) {
    if (op.kind != graph::OpKind::Comp || op.reduction != Reduction::Add || !isFloat(op.body->dtype) ||
        op.dims.size() < 2) {
      return false;
    }
    bool slides = false, strided = false, affine = true;
    graph::forEachNode(op.body, [&](ExprRef e) {
      for (ExprRef subscript : e->kind == ExprKind::Access ? e->args : std::vector<ExprRef>{}) {
        std::optional<graph::LinearForm> form = graph::linearForm(subscript);
        affine &= form && form->isAffine();
        slides |= slidesAlong(op, subscript);
        strided |= isStrided(subscript);
      }
    });
    strided_ = !slides && strided;
    return affine && (slides || strided || isContraction(op, analysis_.function.symbols));
  }

  /// No windows, but operands so much larger than the caches and the result that they should be read once, and whose
  /// terms lie apart: the gradient of weights that are applied to many places.
  bool isLongSum() const {
    double terms = 1;
    for (uint32_t i = rank(); i < domainSize(); ++i) {
      terms *= static_cast<double>(analysis_.extentOf(*op_, i));
    }
    for (const WindowOperand& operand : shape_.operands) {
      bool apart = operand.part->kind == ExprKind::Access &&
                   analysis_.strideOf(*op_, operand.part, static_cast<uint32_t>(domainSize() - 1)) == Stride::Strided;
      if (!apart) {
        return false;
      }
    }
    return longSums_ == LongSums::All || (terms >= longSum && bytesRead() >= longSumReads && isSmallBesideOperands());
  }

  double bytesRead() const {
    double read = 0;
    for (const WindowOperand& operand : shape_.operands) {
      read += static_cast<double>(shape_.bytes) * operand.elements;
    }
    return read;
  }

  bool isSmallBesideOperands() const {
    return bytesRead() >= longSumRatio * static_cast<double>(shape_.bytes) * analysis_.elements(*op_->results[0]);
  }

  bool findAnchor() {
    for (const Op* op : analysis_.function.body.ops) {
      if (op->kind == graph::OpKind::Scatter || (op->kind == graph::OpKind::Comp && op->reduction != Reduction::None)) {
        if (op_ != nullptr || !isCandidate(*op)) {
          return false;
        }
        op_ = op;
      }
    }
    shape_.op = op_;
    return op_ != nullptr;
  }

  bool findColumn() {
    bool found = false;
    for (uint32_t d = 0; d < rank(); ++d) {
      if (analysis_.extentOf(*op_, d) > 1) {
        shape_.column = d;
        found = true;
      }
    }
    return found && analysis_.dimOf(*op_, shape_.column).isStatic();
  }

  /// Reads past the tensor along an index of its own: halos hold fill values around windows only.
  bool hasBareFill(ExprRef access) const {
    graph::RangeAnalysis ranges(*op_, analysis_.function.symbols);
    for (size_t d = 0; access->fill && d < access->args.size(); ++d) {
      bool bare = access->args[d]->kind == ExprKind::Index || access->args[d]->kind == ExprKind::Const;
      if (bare && !ranges.alwaysInRange(access->args[d], op_->operands[access->operand]->type.dims[d])) {
        return true;
      }
    }
    return false;
  }

  /// The factors of the body: those that read a window, those along the columns, the rest.
  bool collectOperands() {
    std::vector<ExprRef> factors = {op_->body};
    for (size_t i = 0; i < factors.size();) {
      if (factors[i]->kind == ExprKind::Apply && factors[i]->op == ScalarOp::Mul) {
        std::vector<ExprRef> args = factors[i]->args;
        factors.erase(factors.begin() + static_cast<std::ptrdiff_t>(i));
        factors.insert(factors.end(), args.begin(), args.end());
      } else {
        ++i;
      }
    }
    bool alongColumns = false;
    for (ExprRef part : factors) {
      WindowOperand operand;
      operand.part = part;
      operand.uses = indicesOf(part, domainSize());
      bool accesses = false, draws = false;
      graph::forEachNode(part, [&](ExprRef e) {
        accesses |= e->kind == ExprKind::Access;
        draws |= e->kind == ExprKind::Draw;
        if (e->kind == ExprKind::Access && (isWindowAccess(*op_, e) || e->fill)) {
          operand.window = e;
        }
      });
      if (draws || (operand.window != nullptr && hasBareFill(operand.window))) {
        return false;
      }
      if (accesses && operand.window != nullptr) {
        bool computed = part != operand.window || isInlined(operand.window);
        operand.halo = operand.window->fill.has_value() || computed;
        if (!computed) {
          operand.trims = trimsOf(operand.window);
        }
        if (operand.halo && !fitsHalo(part, operand.window)) {
          return false;
        }
      } else if (accesses && part->kind != ExprKind::Access && costOf(part) > 4) {
        return false; // computed again and again; the contraction copies it first
      }
      operand.contiguous = isContiguous(part, operand);
      if (operand.window != nullptr && operand.uses[shape_.column] && !operand.contiguous) {
        return false; // a copy in panels of columns would repeat each place for all windows that hold it
      }
      for (uint32_t i = 0; i < operand.uses.size(); ++i) {
        operand.elements = std::max(operand.elements, 1.0) *
                           (operand.uses[i] ? static_cast<double>(analysis_.extentOf(*op_, i)) : 1.0);
      }
      alongColumns |= operand.uses[shape_.column];
      shape_.operands.push_back(std::move(operand));
    }
    return alongColumns;
  }

  /// What a sum without the zeros outside visits; nothing if some subscript is not of one dim and one reduced index.
  std::vector<WindowTrim> trimsOf(ExprRef access) const {
    std::vector<WindowTrim> trims;
    graph::RangeAnalysis ranges(*op_, analysis_.function.symbols);
    const std::vector<Dim>& sizes = op_->operands[access->operand]->type.dims;
    for (size_t d = 0; d < access->args.size(); ++d) {
      if (!access->fill || ranges.alwaysInRange(access->args[d], sizes[d])) {
        continue;
      }
      graph::LinearForm form = *graph::linearForm(access->args[d]);
      bool plain = *access->fill == 0 && sizes[d].isStatic() && form.constant.isStatic() && form.terms.size() == 2;
      if (!plain) {
        return {};
      }
      WindowTrim trim;
      std::array<int64_t, 2> factors{}, extents{}; // of the dim, of the reduced index
      for (const graph::LinearTerm& term : form.terms) {
        bool own = term.atom->index < rank();
        (own ? trim.dim : trim.reduced) = own ? term.atom->index : term.atom->index - rank();
        factors[own ? 0 : 1] = term.factor;
        extents[own ? 0 : 1] =
            analysis_.dimOf(*op_, term.atom->index).isStatic() ? analysis_.extentOf(*op_, term.atom->index) : 0;
      }
      // A loop over one place vanishes, and with it where a condition could stand.
      if (factors[0] == 0 || factors[1] == 0 || extents[0] == 0 || extents[1] < 2 || trim.dim == shape_.column) {
        return {};
      }
      for (int64_t i = 0; i < extents[0]; ++i) {
        for (int64_t r = 0; r < extents[1]; ++r) {
          int64_t place = form.constant.constant() + factors[0] * i + factors[1] * r;
          trim.pairs += place >= 0 && place < sizes[d].constant() ? 1 : 0;
        }
      }
      bool again = std::ranges::any_of(
          trims, [&](const WindowTrim& other) { return other.dim == trim.dim || other.reduced == trim.reduced; });
      if (again) {
        return {};
      }
      trims.push_back(trim);
    }
    return trims;
  }

  bool isInlined(ExprRef access) const { return isElementwise(*op_->operands[access->operand]->def); }

  /// The part depends on the domain by the subscripts of `window` alone.
  bool fitsHalo(ExprRef part, ExprRef window) const {
    std::vector<bool> bare(domainSize());
    for (ExprRef subscript : window->args) {
      if (subscript->kind == ExprKind::Index) {
        bare[subscript->index] = true;
      }
    }
    bool fits = true;
    // Whatever lies below an access with these subscripts is the halo's own place.
    std::vector<ExprRef> work = {part};
    while (!work.empty()) {
      ExprRef e = work.back();
      work.pop_back();
      if (e->kind == ExprKind::Access && e->args == window->args) {
        continue;
      }
      fits &= e->kind != ExprKind::Index || bare[e->index];
      fits &= e->kind != ExprKind::Access || !e->fill;
      work.insert(work.end(), e->args.begin(), e->args.end());
    }
    return fits;
  }

  bool isContiguous(ExprRef part, const WindowOperand& operand) const {
    if (!operand.uses[shape_.column]) {
      return false;
    }
    ExprRef access = operand.window != nullptr ? operand.window : part;
    if (access->kind != ExprKind::Access) {
      return false;
    }
    const std::vector<Dim>& dims = op_->operands[access->operand]->type.dims;
    bool innermost = true; // every dimension behind this one has one element
    for (size_t d = access->args.size(); d-- > 0;) {
      if (graph::dependsOnIndex(access->args[d], shape_.column)) {
        std::optional<graph::LinearForm> form = graph::linearForm(access->args[d]);
        return innermost && form && form->factorOf(shape_.column) == 1;
      }
      innermost &= dims[d].isStatic() && dims[d].constant() == 1;
    }
    return false;
  }

  /// The inner loops run along memory: reduced indices of the windows' inner subscripts innermost.
  void orderReduced() {
    uint32_t count = static_cast<uint32_t>(op_->reduced.size());
    std::vector<bool> placed(count);
    auto add = [&](ExprRef access) {
      for (size_t d = access->args.size(); d-- > 0;) {
        for (uint32_t q = count; q-- > 0;) {
          if (!placed[q] && graph::dependsOnIndex(access->args[d], rank() + q)) {
            placed[q] = true;
            shape_.reduced.push_back(q);
          }
        }
      }
    };
    for (const WindowOperand& operand : shape_.operands) {
      if (operand.window != nullptr) {
        add(operand.window);
      }
    }
    for (uint32_t q = count; q-- > 0;) {
      if (!placed[q]) {
        shape_.reduced.push_back(q);
      }
    }
  }

  /// Everything computed from the anchor is elementwise at its own point.
  bool usersFit() const {
    bool ragged = analysis_.dimOf(*op_, shape_.column).constant() % (4 * shape_.lanes) != 0;
    for (const Op* op : analysis_.function.body.ops) {
      bool epilogue = false;
      for (const Value* operand : op->operands) {
        if (isComputedFrom(operand, *op_)) {
          epilogue = true;
          if (!usesPointwise(*op, operand)) {
            return false;
          }
        }
      }
      if (epilogue && ragged && op->kind == graph::OpKind::Comp && analysis_.loadsOf(*op) == Loads::Backward) {
        return false;
      }
    }
    return true;
  }

  void describeEpilogue() {
    Epilogue epilogue = epilogueOf(analysis_, *op_);
    shape_.unmasked = epilogue.unmasked;
    shape_.epilogue = epilogue.cost;
    shape_.inPlace = epilogue.overwritten > 0;
  }
};

} // namespace

bool WindowShape::holdsWindows(const std::vector<std::pair<uint32_t, int64_t>>& rows) const {
  for (uint32_t d = 0; d < windows.size(); ++d) {
    auto row = std::ranges::find(rows, d, &std::pair<uint32_t, int64_t>::first);
    if ((row == rows.end() ? 1 : row->second) % windows[d] != 0) {
      return false;
    }
  }
  return true;
}

bool readsWindow(const Op& op) {
  bool slides = false, strided = false;
  graph::forEachNode(op.body, [&](ExprRef e) {
    for (ExprRef subscript : e->kind == ExprKind::Access ? e->args : std::vector<ExprRef>{}) {
      slides |= slidesAlong(op, subscript);
      strided |= isStrided(subscript);
    }
  });
  return slides || strided;
}

bool movesWith(const WindowShape& shape, uint32_t dim, uint32_t reduced) {
  uint32_t index = static_cast<uint32_t>(shape.op->dims.size()) + reduced;
  return std::ranges::any_of(shape.operands, [&](const WindowOperand& operand) {
    return operand.window != nullptr && std::ranges::any_of(operand.window->args, [&](ExprRef subscript) {
             graph::LinearForm form = *graph::linearForm(subscript);
             int64_t own = form.factorOf(dim), step = form.factorOf(index);
             return own != 0 && (own == step || own == -step);
           });
  });
}

std::optional<WindowShape> windowShape(const Analysis& analysis, const Machine& machine, LongSums longSums) {
  return Finder(analysis, machine, longSums).run();
}

} // namespace dnn::schedule
