// Reductions of a few terms, such as the largest of a window of 2 × 2: written out as one expression, in vectors along
// the columns of the result.
//
//   for each place of the window's result                      its element, for some columns, in registers
//     for each place of the output that reads it               unrolled: what both read is loaded once
//       the output
//
// An output that reads an element for a block of its own places (the gradient of the maximum: out[n, j, c] reads
// r[n, j/2, c]) does the element's block just after it.
#include "compiler/schedule/templates.h"

#include <algorithm>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::Value;

namespace {

constexpr double mostTerms = 9;
/// Each step of a search for a position repeats the expression of the best value before.
constexpr double mostPositions = 4;
/// Vector instructions of all terms together.
constexpr double mostInstructions = 48;

std::optional<uint32_t> columnOf(const Analysis& analysis, const Op& op) {
  std::optional<uint32_t> column;
  for (uint32_t d = 0; d < op.dims.size(); ++d) {
    column = analysis.extentOf(op, d) > 1 ? d : column;
  }
  return column;
}

/// An output that reads the result of a short reduction in blocks.
class Joiner {
public:
  Joiner(const Analysis& analysis, const Machine& machine, Schedule& schedule)
      : analysis_(analysis), machine_(machine), schedule_(schedule) {}

  void run() {
    for (OpSchedule& how : schedule_.ops) {
      const Op& op = *analysis_.function.body.ops[how.op];
      if (how.writtenOut && how.stage.placement == Placement::Root && !analysis_.escapes(op.results[0])) {
        join(op, how);
      }
    }
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  Schedule& schedule_;

  void join(const Op& op, OpSchedule& how) {
    const std::vector<const Op*>& users = analysis_.usersOf(op.results[0]);
    if (users.size() != 1 || !isElementwise(*users[0]) || !analysis_.escapes(users[0]->results[0]) ||
        !analysis_.usersOf(users[0]->results[0]).empty()) {
      return;
    }
    const Op& reader = *users[0];
    uint32_t result = analysis_.returnOf(reader.results[0]);
    auto home = std::ranges::find_if(schedule_.outputs, [&](const OutputSchedule& output) {
      return output.returns == std::vector<uint32_t>{result};
    });
    bool inPlace = analysis_.isInPlace(reader.results[0]);
    std::optional<uint32_t> column = columnOf(analysis_, reader);
    std::optional<std::vector<int64_t>> blocks = blocksOf(op, reader);
    if (home == schedule_.outputs.end() || inPlace || !blocks || column != columnOf(analysis_, op) || !column ||
        *column == 0 || (*blocks)[0] != 1 || (*blocks)[*column] != 1) {
      return;
    }
    int64_t columns = analysis_.extentOf(reader, *column);
    int64_t lanes = machine_.lanes(std::max(byteSize(reader.body->dtype), 4));
    bool single = columns <= lanes;
    if (!analysis_.dimOf(reader, *column).isStatic() || (!single && columns % lanes != 0)) {
      return;
    }
    // Tasks as before; the rest of the order is new.
    Nest old = home->stage.nests.front(), nest;
    std::ranges::copy_if(old.splits, std::back_inserter(nest.splits), [](const Split& s) { return s.outer == "task"; });
    nest.parallel = old.parallel;
    std::vector<std::string> blockLoops, unrolled;
    for (uint32_t d = static_cast<uint32_t>(blocks->size()); d-- > 1;) {
      if (d == *column) {
        continue;
      }
      std::string name = "i" + std::to_string(d);
      if ((*blocks)[d] > 1) {
        nest.splits.push_back(
            {name, "block" + std::to_string(d), "in_block" + std::to_string(d), (*blocks)[d], Tail::RoundUp});
        unrolled.push_back("in_block" + std::to_string(d));
        name = "block" + std::to_string(d);
      }
      blockLoops.push_back(name);
    }
    std::string columnLoop = "i" + std::to_string(*column);
    if (!single) {
      nest.splits.push_back({columnLoop, "vector", "lane", lanes, Tail::RoundUp});
      blockLoops.insert(blockLoops.begin(), "vector");
    }
    nest.vectorized = {single ? columnLoop : "lane"};
    nest.order = nest.vectorized;
    nest.order.insert(nest.order.end(), unrolled.begin(), unrolled.end());
    nest.order.insert(nest.order.end(), blockLoops.begin(), blockLoops.end());
    nest.unrolled = unrolled;
    how.stage.placement = Placement::At;
    how.stage.atStage = "out" + std::to_string(home - schedule_.outputs.begin());
    how.stage.atLoop = blockLoops.front();
    how.stage.tile = {{columnLoop, single ? columns : lanes}};
    Nest own;
    own.vectorized = {columnLoop};
    how.stage.nests = {std::move(own)};
    home->stage.nests = {std::move(nest)};
  }

  /// How many of the reader's places along each dim read one element; nothing if it reads in another way, or no element
  /// is read by several places.
  std::optional<std::vector<int64_t>> blocksOf(const Op& op, const Op& reader) const {
    const Value* value = op.results[0];
    std::vector<int64_t> blocks(reader.dims.size(), 1);
    bool fits = reader.dims.size() == op.dims.size();
    ExprRef first = nullptr;
    graph::forEachNode(reader.body, [&](ExprRef e) {
      if (e->kind == ExprKind::Access && reader.operands[e->operand] == value) {
        fits &= !e->fill && (first == nullptr || first == e);
        first = e;
      }
    });
    bool several = false;
    for (uint32_t d = 0; fits && d < blocks.size(); ++d) {
      ExprRef subscript = first->args[d], index = subscript;
      if (graph::isDivByConstant(subscript)) {
        blocks[d] = graph::divisorOf(subscript);
        index = subscript->args[0];
      }
      const Dim& there = analysis_.dimOf(reader, d);
      const Dim& here = analysis_.dimOf(op, d);
      fits = index->kind == ExprKind::Index && index->index == d && blocks[d] <= 3 &&
             (blocks[d] == 1 ? there == here
                             : there.isStatic() && here.isStatic() && there.constant() == blocks[d] * here.constant());
      several |= blocks[d] > 1;
    }
    return fits && several ? std::optional(blocks) : std::nullopt;
  }
};

} // namespace

bool isShortReduction(const Analysis& analysis, const Op& op) {
  std::optional<uint32_t> column = columnOf(analysis, op);
  double terms = 1;
  for (uint32_t q = 0; q < op.reduced.size(); ++q) {
    uint32_t index = static_cast<uint32_t>(op.dims.size()) + q;
    terms *= analysis.dimOf(op, index).isStatic() ? static_cast<double>(analysis.extentOf(op, index)) : mostTerms + 1;
  }
  bool is = column && terms <= (isArg(op.reduction) ? mostPositions : mostTerms) &&
            terms * costOf(op.body) <= mostInstructions && !analysis.dependsOnOverwritten(op.results[0]) &&
            analysis.loadsOf(op) == Loads::Forward;
  graph::forEachNode(op.body, [&](ExprRef e) {
    is = is && e->kind != ExprKind::Draw;
    if (is && e->kind == ExprKind::Access) {
      Stride stride = analysis.strideOf(op, e, *column);
      is = stride == Stride::Unit || stride == Stride::None;
    }
  });
  return is;
}

void scheduleShortReduction(const Analysis& analysis, const Machine& machine, const Op& op, OpSchedule& how) {
  std::vector<Dim> dims;
  double terms = 1;
  for (const graph::IndexVar& index : op.dims) {
    dims.push_back(index.extent);
  }
  for (uint32_t q = 0; q < op.reduced.size(); ++q) {
    terms *= static_cast<double>(analysis.extentOf(op, static_cast<uint32_t>(op.dims.size()) + q));
  }
  how.writtenOut = true;
  how.stage.placement = Placement::Root;
  how.stage.nests = {elementwiseNest(analysis, machine, dims, byteSize(op.body->dtype), terms * (costOf(op.body) + 1),
                                     Loads::Forward)};
}

void joinShortReductions(const Analysis& analysis, const Machine& machine, Schedule& schedule) {
  Joiner(analysis, machine, schedule).run();
}

} // namespace dnn::schedule
