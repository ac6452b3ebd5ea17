// About how many cycles a plan for a sum over windows takes on one core, and which plans there are.
//
// What counts is how many multiply-adds a tile does for each load, how many of them wait for their own last sum, and
// how much of the last tiles is computed for nothing. The constants are those of current x86 cores
// (contraction_model.cpp).
#include "compiler/schedule/caches.h"
#include "compiler/schedule/window.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <ranges>

namespace dnn::schedule {

namespace {

constexpr double loadsPerCycle = 2, fmaLatency = 4.25;
/// Starting and emptying the pipeline, loading and storing the accumulators.
constexpr double tileStart = 30;
/// A piece of memory that a tile writes, and its epilogue reads, after the first one: decides between equal tiles.
constexpr double runStart = 0.1;
/// The jump of a loop whose terms are not written out, as far as other instructions wait for it.
constexpr double jump = 0.5;
/// Uses of an element that are worth copying it into a panel.
constexpr double worthPacking = 32;
/// Terms that are summed in a block, at least, and cycles for a line of them that the first cache does not hold.
constexpr double blockTerms = 128, blockLine = 4.5;
/// The same for lines of the columns' factor, which follow each other.
constexpr double columnLine = 2;
/// Bytes between the terms of a column.
constexpr int64_t farApart = 512;

class Plans {
public:
  Plans(const WindowShape& shape, const Analysis& analysis, const Machine& machine)
      : shape_(shape), analysis_(analysis), machine_(machine), op_(*shape.op),
        fmasPerCycle_(machine.vectorsPerCycle(shape.lanes * shape.bytes * 8)) {}

  std::vector<WindowPlan> run() {
    describeSlid();
    int64_t columns = analysis_.extentOf(op_, shape_.column);
    std::vector<uint32_t> dims; // innermost first
    for (uint32_t d = static_cast<uint32_t>(op_.dims.size()); d-- > firstTiled();) {
      if (d != shape_.column && op_.dims[d].extent.isStatic() && analysis_.extentOf(op_, d) > 1) {
        dims.push_back(d);
      }
    }
    for (int64_t vectors = 1; vectors <= 4; ++vectors) {
      if (vectors > 1 && (vectors - 1) * shape_.lanes >= columns) {
        break; // a vector without any column
      }
      add({vectors, {}, {}});
      addTrimmed(vectors);
      for (size_t a = 0; a < dims.size(); ++a) {
        for (int64_t size = 2; size <= std::min<int64_t>(analysis_.extentOf(op_, dims[a]), maxRows()); ++size) {
          add({vectors, {{dims[a], size}}, {}});
          for (size_t b = a + 1; b < dims.size(); ++b) {
            for (int64_t other = 2; other <= std::min<int64_t>(analysis_.extentOf(op_, dims[b]), maxRows() / size);
                 ++other) {
              add({vectors, {{dims[a], size}, {dims[b], other}}, {}});
            }
          }
        }
      }
    }
    std::ranges::stable_sort(plans_, {}, &WindowPlan::cycles);
    return std::move(plans_);
  }

private:
  /// Places of a tile. More than half of many registers would be faster by little, but tiles fit images worse.
  int64_t maxPlaces() const { return std::max<int64_t>(14, machine_.vectorRegisters / 2); }
  /// Rows of a tile. Of a block, whose terms all tiles read again, as many as registers hold; so where tiles hold whole
  /// windows, of which fewer sizes fit images.
  int64_t maxRows() const {
    return shape_.blocks || !shape_.windows.empty() ? machine_.vectorRegisters * 7 / 8 : maxPlaces();
  }
  /// Places of a window whose multiply-adds are written out.
  static constexpr int64_t maxUnrolled = 7;

  const WindowShape& shape_;
  const Analysis& analysis_;
  const Machine& machine_;
  const graph::Op& op_;
  std::vector<WindowPlan> plans_;
  double fmasPerCycle_; // vectors

  /// Tiles lie within a block: dims outside of those that windows slide along have no part in them. Any dim has where
  /// windows slide along none (the terms are strided).
  uint32_t firstTiled() const {
    uint32_t first = 0;
    auto slides = [&](uint32_t d) {
      return std::ranges::any_of(shape_.operands, [&](const WindowOperand& operand) {
        return operand.window != nullptr && std::ranges::any_of(operand.window->args, [&](graph::ExprRef s) {
                 return s->kind != graph::ExprKind::Index && graph::dependsOnIndex(s, d);
               });
      });
    };
    while (!shape_.blocks && first < op_.dims.size() && (first == shape_.column || !slides(first))) {
      ++first;
    }
    return first < op_.dims.size() ? first : 0;
  }

  /// Tiles of a whole dim that windows slide along out of their operand.
  void addTrimmed(int64_t vectors) {
    const WindowOperand* trimmed = nullptr;
    for (const WindowOperand& operand : shape_.operands) {
      if (operand.halo && (trimmed != nullptr || operand.trims.empty())) {
        return;
      }
      trimmed = operand.halo ? &operand : trimmed;
    }
    if (trimmed == nullptr || shape_.blocks || trimmed->uses[shape_.column]) {
      return;
    }
    for (const WindowTrim& trim : std::views::reverse(trimmed->trims)) { // the inner dims are tried first
      int64_t size = analysis_.extentOf(op_, trim.dim), taps = reducedExtent(trim.reduced);
      bool fits = size * vectors + vectors + 1 <= machine_.vectorRegisters;
      if (!shape_.holdsWindows({{trim.dim, size}}) || trim.dim < firstTiled() || size > maxPlaces() ||
          size * vectors > maxPlaces() || !fits || taps > maxUnrolled) {
        continue;
      }
      double terms = 1;
      for (uint32_t q = 0; q < op_.reduced.size(); ++q) {
        terms *= q == trim.reduced ? 1 : static_cast<double>(reducedExtent(q));
      }
      for (const WindowTrim& other : trimmed->trims) {
        terms *=
            other.dim == trim.dim
                ? 1
                : other.pairs / static_cast<double>(analysis_.extentOf(op_, other.dim) * reducedExtent(other.reduced));
      }
      // A loop for each place of the window, with those elements of the tile that have it.
      double wide = static_cast<double>(vectors), places = trim.pairs / static_cast<double>(taps);
      double fmas = places * wide, loads = places + wide;
      double step = std::max({fmas / fmasPerCycle_, loads / loadsPerCycle, fmaLatency}) + 0.15 * loads;
      WindowPlan plan{vectors, {{trim.dim, size}}, {}};
      plan.trimmed = {trim};
      std::ranges::copy_if(trimmed->trims, std::back_inserter(plan.trimmed),
                           [&](const WindowTrim& other) { return other.dim != trim.dim; });
      finish(std::move(plan), terms * static_cast<double>(taps) * step);
    }
  }

  int64_t reducedExtent(uint32_t q) const {
    return analysis_.extentOf(op_, static_cast<uint32_t>(op_.dims.size()) + q);
  }

  static double tiles(int64_t extent, int64_t tile) {
    return std::ceil(static_cast<double>(extent) / static_cast<double>(tile));
  }

  void add(WindowPlan plan) {
    double accumulators = static_cast<double>(plan.vectors), loads = 0, held = 0;
    for (auto [d, size] : plan.rows) {
      accumulators *= static_cast<double>(size);
    }
    for (const WindowOperand& operand : shape_.operands) {
      double elements = operand.uses[shape_.column] ? static_cast<double>(plan.vectors) : 1;
      bool every = operand.uses[shape_.column];
      for (auto [d, size] : plan.rows) {
        elements *= operand.uses[d] ? static_cast<double>(size) : 1;
        every &= operand.uses[d];
      }
      loads += elements;
      held += every && !plan.rows.empty() ? 1 : operand.uses[shape_.column] ? elements : 1;
    }
    if (!shape_.holdsWindows(plan.rows)) {
      return;
    }
    if (accumulators + held > static_cast<double>(machine_.vectorRegisters) &&
        !(plan.vectors == 1 && plan.rows.empty())) {
      return;
    }
    double step = std::max({accumulators / fmasPerCycle_, loads / loadsPerCycle, fmaLatency}) + 0.15 * loads;
    step += std::ranges::any_of(plan.rows,
                                [&](const auto& row) { return movesWith(shape_, row.first, shape_.reduced.front()); })
                ? jump
                : 0;
    if (double lines = shape_.blocks ? linesOfTerm(plan) * blockLine + linesOfColumns(plan) * columnLine : 0;
        lines > 0) {
      step = std::max(step, lines) + 0.3 * std::min(step, lines);
    }
    double terms = 1;
    for (uint32_t q = 0; q < op_.reduced.size(); ++q) {
      terms *= static_cast<double>(reducedExtent(q));
    }
    finish(std::move(plan), terms * step);
  }

  /// A dim of an operand that windows slide over: which indices of the result move along it, and how far the innermost
  /// reduced index does.
  struct SlidDim {
    std::vector<bool> own;
    int64_t step = 0;
    double size = 1;
  };
  std::vector<std::vector<SlidDim>> slid_; // of each such operand, filled where sums are made in blocks
  bool slides_ = false;                    // along an index of the result and a reduced one

  void describeSlid() {
    uint32_t inner = static_cast<uint32_t>(op_.dims.size()) + shape_.reduced.front();
    for (const WindowOperand& operand : shape_.operands) {
      if (!shape_.blocks || operand.window == nullptr || operand.uses[shape_.column]) {
        continue;
      }
      slides_ |= std::ranges::any_of(operand.window->args, [&](graph::ExprRef s) {
        graph::LinearForm form = *graph::linearForm(s);
        return form.terms.size() > 1;
      });
      std::vector<SlidDim>& dims = slid_.emplace_back();
      const std::vector<Dim>& sizes = op_.operands[operand.window->operand]->type.dims;
      for (size_t d = 0; d < sizes.size(); ++d) {
        graph::LinearForm form = *graph::linearForm(operand.window->args[d]);
        SlidDim dim{{}, std::abs(form.factorOf(inner)), static_cast<double>(analysis_.maxOf(sizes[d]))};
        for (uint32_t i = 0; i < op_.dims.size(); ++i) {
          dim.own.push_back(form.factorOf(i) != 0);
        }
        dims.push_back(std::move(dim));
      }
    }
  }

  /// Of what windows slide over, how many lines a tile reads for a term that it has not read for the one before: a
  /// part of one where neighbouring terms share it. None where the first cache holds those of all terms of a block,
  /// although they lie apart.
  double linesOfTerm(const WindowPlan& plan) const {
    double all = 0, bytes = static_cast<double>(shape_.bytes);
    for (const std::vector<SlidDim>& dims : slid_) {
      double lines = 1, apart = bytes;
      bool inside = true; // of the dim that terms move along
      for (size_t d = dims.size(); d-- > 0;) {
        double places = 1;
        for (auto [row, size] : plan.rows) {
          places *= dims[d].own[row] ? static_cast<double>(size) : 1;
        }
        auto step = static_cast<double>(dims[d].step);
        if (inside && step > 0) {
          lines *= std::min(places, step); // neighbouring terms share places
          apart *= step;
          inside = false;
          continue;
        }
        lines *= d + 1 == dims.size() ? std::ceil(places * bytes / lineBytes) : places;
        apart *= inside ? dims[d].size : 1;
      }
      lines *= std::min(1.0, apart / lineBytes);
      all += lines * blockTerms * lineBytes <= usableBytes(machine_.l1Bytes, apart, lineBytes) ? 0 : lines;
    }
    return all;
  }

  /// Lines of the columns' factor for a term, where the first cache does not hold those of a block beside the other
  /// factor's. (Where a window slides, tiles read few places of that, each many times, and larger tiles pay.)
  double linesOfColumns(const WindowPlan& plan) const {
    if (slides_) {
      return 0;
    }
    double line = static_cast<double>(plan.vectors * shape_.lanes * shape_.bytes) / lineBytes;
    return line * lineBytes * blockTerms > static_cast<double>(machine_.l1Bytes) / 2 ? line : 0;
  }

  /// Into how many pieces of memory a tile's results go.
  double runs(const WindowPlan& plan) const {
    double count = 1;
    bool together = plan.vectors * shape_.lanes >= analysis_.extentOf(op_, shape_.column);
    for (auto [d, size] : plan.rows) {
      count *= together && d + 2 == op_.dims.size() ? 1 : static_cast<double>(size);
    }
    return count;
  }

  /// The sums of one tile take so many cycles.
  void finish(WindowPlan plan, double tileCycles) {
    int64_t columns = analysis_.extentOf(op_, shape_.column);
    double count = tiles(columns, plan.vectors * shape_.lanes), terms = 1,
           accumulators = static_cast<double>(plan.vectors);
    for (auto [d, size] : plan.rows) {
      accumulators *= static_cast<double>(size);
    }
    for (uint32_t d = 0; d < op_.dims.size(); ++d) {
      if (d == shape_.column) {
        continue;
      }
      auto tiled = std::ranges::find(plan.rows, d, &std::pair<uint32_t, int64_t>::first);
      count *= tiles(analysis_.extentOf(op_, d), tiled == plan.rows.end() ? 1 : tiled->second);
    }
    for (uint32_t q = 0; q < op_.reduced.size(); ++q) {
      terms *= static_cast<double>(reducedExtent(q));
    }
    plan.cycles = count * (tileCycles + tileStart + accumulators * (1 + shape_.epilogue) / fmasPerCycle_ +
                           runStart * (runs(plan) - 1));
    int64_t wide = plan.vectors * shape_.lanes;
    bool ragged = columns % wide != 0;
    if (ragged && shape_.unmasked && columns % shape_.lanes == 0 && plan.vectors > 1) {
      return; // a condition for each vector
    }
    for (const WindowOperand& operand : shape_.operands) {
      bool own = operand.uses[shape_.column] && !operand.halo;
      bool reused = count * terms * static_cast<double>(wide) >= worthPacking * operand.elements && wide < columns &&
                    operand.window == nullptr && !shape_.blocks;
      // Terms of a block that lie so far apart share few lines of the first cache.
      reused |= shape_.blocks && columns * shape_.bytes >= farApart && wide < columns &&
                count * static_cast<double>(wide) >= worthPacking * static_cast<double>(columns);
      plan.packed.push_back(own && (!operand.contiguous || ragged || reused));
      if (plan.packed.back() && operand.window != nullptr) {
        return;
      }
    }
    plans_.push_back(std::move(plan));
  }
};

} // namespace

std::vector<WindowPlan> windowPlans(const WindowShape& shape, const Analysis& analysis, const Machine& machine) {
  return Plans(shape, analysis, machine).run();
}

std::string print(const WindowPlan& plan) {
  std::string text = std::to_string(plan.vectors) + " vectors";
  for (auto [d, size] : plan.rows) {
    text += " × " + std::to_string(size) + " of i" + std::to_string(d);
  }
  for (size_t i = 0; i < plan.packed.size(); ++i) {
    text += plan.packed[i] ? ", factor " + std::to_string(i) + " packed" : "";
  }
  return text + (!plan.trimmed.empty() ? ", places outside left out" : "");
}

} // namespace dnn::schedule
