// Which sums over windows may have another dim than the columns in their lanes, and about how long that takes.
#include "compiler/schedule/window_lanes.h"

#include <algorithm>
#include <cmath>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;

namespace {

constexpr double broadcastsPerCycle = 2, sumLatency = 4.25, startOfTile = 30;
/// Cycles for an element of the data that is copied one by one, and for one of the result that is turned in registers
/// and written in short vectors.
constexpr double copyCycles = 0.75, turnCycles = 0.3;
/// Of a loop over the channels, one for each place of a window, where places outside are left out.
constexpr double loopStart = 10;
/// Places of a window whose multiply-adds are written out.
constexpr int64_t tapsWrittenOut = 7;

class LanesPlans {
public:
  LanesPlans(const WindowShape& shape, const Analysis& analysis, const Machine& machine)
      : shape_(shape), analysis_(analysis), machine_(machine), op_(*shape.op) {}

  std::vector<WindowLanesPlan> run() {
    if (!findForm()) {
      return {};
    }
    std::vector<uint32_t> places; // innermost first
    for (uint32_t d = rank(); d-- > form_.blockDim;) {
      if (d != form_.dim && d != shape_.column && extent(d) > 1) {
        places.push_back(d);
      }
    }
    for (int64_t columns = 1; columns <= extent(shape_.column); ++columns) {
      if (extent(shape_.column) % columns != 0) {
        continue;
      }
      add(columns, {});
      addTrimmed(columns);
      for (size_t a = 0; a < places.size(); ++a) {
        for (int64_t size : tilesOf(places[a])) {
          add(columns, {{places[a], size}});
          for (size_t b = a + 1; b < places.size(); ++b) {
            for (int64_t other : tilesOf(places[b])) {
              add(columns, {{places[a], size}, {places[b], other}});
            }
          }
        }
      }
    }
    std::ranges::stable_sort(plans_, {}, &WindowLanesPlan::cycles);
    return std::move(plans_);
  }

private:
  const WindowShape& shape_;
  const Analysis& analysis_;
  const Machine& machine_;
  const graph::Op& op_;
  WindowLanesPlan form_;
  std::vector<WindowLanesPlan> plans_;

  uint32_t rank() const { return static_cast<uint32_t>(op_.dims.size()); }
  int64_t extent(uint32_t index) const { return analysis_.extentOf(op_, index); }
  const WindowOperand& data() const { return shape_.operands[form_.data]; }
  double vectorsPerCycle() const { return machine_.vectorsPerCycle(machine_.vectorBits); }

  bool isStill(ExprRef subscript) const {
    return subscript->kind == ExprKind::Index || subscript->kind == ExprKind::Const;
  }

  std::vector<int64_t> tilesOf(uint32_t d) const {
    std::vector<int64_t> sizes;
    for (int64_t size = 2; size <= std::min<int64_t>(extent(d), machine_.vectorRegisters); ++size) {
      if (extent(d) % size == 0) {
        sizes.push_back(size);
      }
    }
    return sizes;
  }

  bool findForm() {
    bool plain = !shape_.blocks && !shape_.inPlace && !shape_.unmasked && shape_.bytes == 4 &&
                 shape_.column + 1 == rank() && extent(shape_.column) < machine_.lanes(4);
    return plain && findDim() && findBlockDim() && isStatic();
  }

  /// A dim that one operand depends on alone, as a subscript of its own, and that is as long as a vector.
  bool findDim() {
    form_.lanes = machine_.lanes(4);
    for (uint32_t d = 0; d < shape_.column; ++d) {
      std::vector<size_t> users;
      for (size_t i = 0; i < shape_.operands.size(); ++i) {
        if (shape_.operands[i].uses[d]) {
          users.push_back(i);
        }
      }
      if (users.size() != 1 || extent(d) < form_.lanes) {
        continue;
      }
      form_.dim = d;
      form_.tasksAreGroups = extent(d) >= machine_.cores * form_.lanes;
      form_.data = users[0];
      bool copied = data().window != nullptr && data().part == data().window &&
                    op_.operands[data().window->operand]->def->kind == graph::OpKind::Input;
      if (!copied) {
        continue;
      }
      bool own =
          std::ranges::count_if(data().window->args,
                                [&](ExprRef s) { return graph::dependsOnIndex(s, d) && isStill(s); }) == 1 &&
          std::ranges::count_if(data().window->args, [&](ExprRef s) { return graph::dependsOnIndex(s, d); }) == 1;
      bool others = std::ranges::none_of(shape_.operands,
                                         [&](const WindowOperand& o) { return &o != &data() && o.window != nullptr; });
      if (own && others) {
        return true;
      }
    }
    return false;
  }

  bool findBlockDim() {
    for (uint32_t d = 0; d < rank(); ++d) {
      bool slides = d != shape_.column && d != form_.dim && std::ranges::any_of(data().window->args, [&](ExprRef s) {
                      return !isStill(s) && graph::dependsOnIndex(s, d);
                    });
      if (slides) {
        form_.blockDim = d;
        return true;
      }
    }
    return false;
  }

  bool isStatic() const {
    bool all = true;
    for (uint32_t d = 0; d < rank(); ++d) {
      all &= d == form_.dim || op_.dims[d].extent.isStatic();
    }
    for (const graph::IndexVar& index : op_.reduced) {
      all &= index.extent.isStatic();
    }
    return all;
  }

  /// Vectors of the data, and elements of the other operands, that a tile reads for a term.
  std::pair<double, double> loadsOf(int64_t columns, const std::vector<std::pair<uint32_t, int64_t>>& rows) const {
    double vectors = 1, elements = 0;
    for (const WindowOperand& operand : shape_.operands) {
      double count = operand.uses[shape_.column] ? static_cast<double>(columns) : 1;
      for (auto [d, size] : rows) {
        count *= operand.uses[d] ? static_cast<double>(size) : 1;
      }
      (&operand == &data() ? vectors : elements) = &operand == &data() ? count : elements + count;
    }
    return {vectors, elements};
  }

  bool fits(double accumulators, double vectors, double elements) const {
    return accumulators + std::min(vectors, elements) + 1 <= static_cast<double>(machine_.vectorRegisters);
  }

  void add(int64_t columns, std::vector<std::pair<uint32_t, int64_t>> rows) {
    auto [vectors, elements] = loadsOf(columns, rows);
    double accumulators = static_cast<double>(columns), terms = 1;
    for (auto [d, size] : rows) {
      accumulators *= static_cast<double>(size);
    }
    for (uint32_t q = 0; q < op_.reduced.size(); ++q) {
      terms *= static_cast<double>(extent(rank() + q));
    }
    if (fits(accumulators, vectors, elements) && shape_.holdsWindows(rows)) {
      WindowLanesPlan plan = form_;
      plan.columns = columns;
      plan.rows = std::move(rows);
      plan.holdsData = vectors <= elements;
      finish(std::move(plan), accumulators, terms * stepCycles(accumulators, vectors, elements));
    }
  }

  double stepCycles(double accumulators, double vectors, double elements) const {
    double loads = vectors / vectorsPerCycle() + elements / broadcastsPerCycle;
    return std::max({accumulators / vectorsPerCycle(), loads, sumLatency}) + 0.1 * (vectors + elements);
  }

  /// Tiles of a whole dim that windows slide along out of the data.
  void addTrimmed(int64_t columns) {
    for (const WindowTrim& trim : data().trims) {
      int64_t size = extent(trim.dim), taps = extent(rank() + trim.reduced);
      double places = trim.pairs / static_cast<double>(taps), wide = static_cast<double>(columns), terms = 1, loops = 1;
      if (taps > tapsWrittenOut || !shape_.holdsWindows({{trim.dim, size}}) ||
          !fits(wide * static_cast<double>(size), places, wide)) {
        continue;
      }
      for (uint32_t q = 0; q < op_.reduced.size(); ++q) {
        bool place = std::ranges::count(data().trims, q, &WindowTrim::reduced) > 0;
        terms *= static_cast<double>(extent(rank() + q));
        loops *= place ? static_cast<double>(extent(rank() + q)) : 1;
      }
      WindowLanesPlan plan = form_;
      plan.columns = columns;
      plan.rows = {{trim.dim, size}};
      plan.trimmed = {trim};
      for (const WindowTrim& other : data().trims) {
        if (other.dim != trim.dim) {
          plan.trimmed.push_back(other);
          terms *= other.pairs / static_cast<double>(extent(other.dim) * extent(rank() + other.reduced));
        }
      }
      finish(std::move(plan), wide * static_cast<double>(size),
             terms * stepCycles(places * wide, places, wide) + loops * loopStart);
    }
  }

  double bytesOfBlock(const WindowLanesPlan& plan) const {
    double bytes = static_cast<double>(shape_.bytes);
    for (ExprRef subscript : data().window->args) {
      bytes *= static_cast<double>(spanOf(shape_, analysis_, plan, subscript).count);
    }
    return bytes;
  }

  /// As many rows as keep the copy of the data within a quarter of the second cache; all of them where places outside
  /// are left out. Blocks are the tasks where there are fewer groups than cores.
  bool chooseBlock(WindowLanesPlan& plan) const {
    auto tiled = std::ranges::find(plan.rows, plan.blockDim, &std::pair<uint32_t, int64_t>::first);
    int64_t all = extent(plan.blockDim), step = tiled == plan.rows.end() ? 1 : tiled->second;
    int64_t tasks = plan.tasksAreGroups ? 1 : 2 * machine_.cores;
    auto l2 = static_cast<double>(machine_.l2Bytes);
    if (!plan.trimmed.empty()) {
      plan.blockRows = all;
      return tasks == 1 && bytesOfBlock(plan) <= l2 / 2;
    }
    for (plan.blockRows = step; plan.blockRows + step <= all; plan.blockRows += step) {
      WindowLanesPlan next = plan;
      next.blockRows += step;
      if (bytesOfBlock(next) > l2 / 4 || next.blockRows * tasks > all) {
        break;
      }
    }
    return bytesOfBlock(plan) <= l2 / 2;
  }

  /// The sums of one tile take so many cycles.
  void finish(WindowLanesPlan plan, double accumulators, double tileCycles) {
    if (!chooseBlock(plan)) {
      return;
    }
    double groups = std::ceil(static_cast<double>(extent(plan.dim)) / static_cast<double>(plan.lanes));
    double count = groups * static_cast<double>(extent(shape_.column) / plan.columns), blocks = groups;
    for (uint32_t d = 0; d < rank(); ++d) {
      if (d == plan.dim || d == shape_.column) {
        continue;
      }
      auto tiled = std::ranges::find(plan.rows, d, &std::pair<uint32_t, int64_t>::first);
      count *= static_cast<double>(extent(d)) / (tiled == plan.rows.end() ? 1 : static_cast<double>(tiled->second));
      blocks *= d < plan.blockDim ? static_cast<double>(extent(d)) : 1;
    }
    blocks *= static_cast<double>(extent(plan.blockDim)) / static_cast<double>(plan.blockRows);
    double copied = blocks * bytesOfBlock(plan) / static_cast<double>(shape_.bytes);
    double result = groups * static_cast<double>(plan.lanes);
    for (uint32_t d = 0; d < rank(); ++d) {
      result *= d == plan.dim ? 1 : static_cast<double>(extent(d));
    }
    double vectors = result / static_cast<double>(extent(shape_.column)); // short ones that are written
    plan.cycles = count * (tileCycles + startOfTile + 2 * accumulators) + copied * copyCycles + result * turnCycles +
                  vectors * (1 + shape_.epilogue) / 2;
    plans_.push_back(std::move(plan));
  }
};

} // namespace

LanesSpan spanOf(const WindowShape& shape, const Analysis& analysis, const WindowLanesPlan& plan, ExprRef subscript) {
  const graph::Op& op = *shape.op;
  const ExprRef access = shape.operands[plan.data].window;
  bool slides = subscript->kind != ExprKind::Index && subscript->kind != ExprKind::Const;
  if (slides && !plan.trimmed.empty()) { // every place that exists
    size_t position = static_cast<size_t>(std::ranges::find(access->args, subscript) - access->args.begin());
    const Dim& size = op.operands[access->operand]->type.dims[position];
    return {0, analysis.maxOf(size), true};
  }
  graph::LinearForm form = *graph::linearForm(subscript);
  LanesSpan span{form.constant.isStatic() ? form.constant.constant() : 0, 1, form.constant.isStatic()};
  for (const graph::LinearTerm& term : form.terms) {
    uint32_t index = term.atom->index;
    int64_t points = analysis.extentOf(op, index);
    if (index == plan.dim) {
      points = plan.lanes;
      span.fixed = false;
    } else if (index < plan.blockDim) {
      points = 1;
      span.fixed = false;
    } else if (index == plan.blockDim) {
      span.fixed &= plan.blockRows == points;
      points = plan.blockRows;
    }
    int64_t more = term.factor * (points - 1);
    span.from += std::min<int64_t>(more, 0);
    span.count += more < 0 ? -more : more;
  }
  return span;
}

std::vector<WindowLanesPlan> windowLanesPlans(const WindowShape& shape, const Analysis& analysis,
                                              const Machine& machine) {
  return LanesPlans(shape, analysis, machine).run();
}

std::string print(const WindowLanesPlan& plan) {
  std::string text = std::to_string(plan.lanes) + " of i" + std::to_string(plan.dim) + " in lanes, " +
                     std::to_string(plan.columns) + " columns";
  for (auto [d, size] : plan.rows) {
    text += " × " + std::to_string(size) + " of i" + std::to_string(d);
  }
  return text + (!plan.trimmed.empty() ? ", places outside left out" : "");
}

} // namespace dnn::schedule
