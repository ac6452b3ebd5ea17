// Sums over windows: register tiles over columns and pixels, the windows' operand copied with its border.
//
//   for each task: images, or rows of one
//     for each block of rows                               the halo: what the block reads, with fill values around
//       for each tile of R pixels × t vectors of columns   t·R accumulators stay in registers
//         for each point of the window, each channel
//           t loads of one operand, R broadcasts of the other, t·R multiply-adds
//         epilogue on the tile, written to the outputs
//
// A result that is small beside the number of its terms (the gradient of the weights) is summed in blocks instead: a
// tile over a few rows of an image in registers, then added to a buffer of the whole result, which stays in the cache.
#include "compiler/schedule/templates.h"
#include "compiler/schedule/window.h"
#include "compiler/support/integers.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::Value;

namespace {

/// Terms that a tile adds up before it is added to the buffer of the result.
constexpr int64_t blockTerms = 128;
/// Bytes of the buffers of all pieces together.
constexpr double mostBuffered = 8 << 20;
/// Multiply-adds of one step of a loop beside which its jump does not count.
constexpr int64_t longStep = 32;
constexpr int64_t lineBytes = 64;
/// Distances of runs that leave more than half of the lines of the first cache unused.
constexpr int64_t sharedDistance = 128;
/// Columns for which an operand is worth copying in panels of rows.
constexpr int64_t worthRows = 48;

class Window {
public:
  Window(const Analysis& analysis, const Machine& machine, const WindowShape& shape, const WindowPlan& plan)
      : analysis_(analysis), machine_(machine), shape_(shape), plan_(plan), op_(*shape.op) {}

  std::optional<Schedule> run() {
    schedule_ = placeStages(analysis_, &op_);
    inlineHalos(shape_, analysis_, schedule_);
    schedule_.family = std::string(shape_.blocks ? "window in blocks " : "window ") + print(plan_);
    how_ = &*std::ranges::find(schedule_.ops, analysis_.positionOf(op_), &OpSchedule::op);
    for (auto [d, size] : plan_.rows) {
      if (extent(d) % size != 0) {
        how_->clamped.push_back(d);
      }
    }
    if (shape_.blocks) {
      scheduleBlocks();
    } else if (!scheduleDirect()) {
      return std::nullopt;
    }
    packOperands();
    scheduleLoops(analysis_, machine_, schedule_, &op_);
    if (shape_.blocks) {
      Nest nest = elementwiseNest(analysis_, machine_, op_.results[0]->type.dims, static_cast<int>(shape_.bytes),
                                  static_cast<double>(how_->blocks->pieces), Loads::Forward);
      how_->stage.placement = Placement::Root;
      how_->stage.nests = {std::move(nest)};
    }
    return std::move(schedule_);
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  const WindowShape& shape_;
  const WindowPlan& plan_;
  const Op& op_;
  Schedule schedule_;
  OpSchedule* how_ = nullptr;

  static std::string dim(uint32_t d) { return "i" + std::to_string(d); }
  uint32_t rank() const { return static_cast<uint32_t>(op_.dims.size()); }
  std::string loop(uint32_t index) const { return index < rank() ? dim(index) : "r" + std::to_string(index - rank()); }
  int64_t extent(uint32_t index) const { return analysis_.extentOf(op_, index); }
  int64_t width() const { return plan_.vectors * shape_.lanes; }
  int64_t columns() const { return extent(shape_.column); }
  std::string name() const { return "op" + std::to_string(how_->op); }

  int64_t tileOf(uint32_t d) const {
    auto found = std::ranges::find(plan_.rows, d, &std::pair<uint32_t, int64_t>::first);
    return found == plan_.rows.end() ? 1 : found->second;
  }

  void tile(StageSchedule& stage) const {
    stage.tile = {{dim(shape_.column), width()}};
    for (auto [d, size] : plan_.rows) {
      stage.tile.emplace_back(dim(d), size);
    }
  }

  /// The definitions of a tile: zero, and the sum with all its reduced loops outside of the tile.
  std::vector<Nest> tileNests(const std::vector<std::string>& reduced) const {
    Nest start;
    start.splits = {{dim(shape_.column), "vector", "lane", shape_.lanes, Tail::RoundUp}};
    start.vectorized = {"lane"};
    start.unrolled = {"vector"};
    for (auto [d, size] : plan_.rows) {
      start.unrolled.push_back(dim(d));
    }
    Nest sum = start;
    sum.order = {"lane", "vector"};
    for (auto [d, size] : plan_.rows) {
      sum.order.push_back(dim(d));
    }
    sum.order.insert(sum.order.end(), reduced.begin(), reduced.end());
    return {std::move(start), std::move(sum)};
  }

  bool scheduleDirect() {
    auto home = std::ranges::find_if(schedule_.outputs, [&](const OutputSchedule& output) {
      return std::ranges::any_of(
          output.returns, [&](uint32_t index) { return isComputedFrom(analysis_.function.returns[index], op_); });
    });
    if (home == schedule_.outputs.end()) {
      return false;
    }
    std::string out = "out" + std::to_string(home - schedule_.outputs.begin());
    std::optional<uint32_t> blockDim = blockDimension();
    Nest nest;
    Tail columnTail = shape_.unmasked || shape_.inPlace ? Tail::Guard
                      : columns() % width() == 0        ? Tail::RoundUp
                                                        : Tail::Predicate;
    // Columns that are fewer than a vector's lanes are written as a shorter vector: masked stores are slow.
    bool single = columns() < shape_.lanes && !shape_.inPlace;
    if (single) {
      nest.vectorized = {dim(shape_.column)};
      nest.order = nest.vectorized;
    } else {
      nest.splits.push_back({dim(shape_.column), "column", "columns", width(), columnTail});
      nest.splits.push_back({"columns", "vector", "lane", shape_.lanes, shape_.inPlace ? Tail::Guard : Tail::RoundUp});
      nest.vectorized = {"lane"};
      nest.unrolled = {"vector"};
      nest.order = {"lane", "vector"};
    }
    std::vector<std::string> tileLoops; // of each dim but the column, innermost first
    int64_t blockRows = blockDim ? rowsOfBlock(*blockDim) : 1;
    for (uint32_t d = rank(); d-- > 0;) {
      if (d == shape_.column) {
        continue;
      }
      std::string current = dim(d);
      if (tileOf(d) > 1) {
        std::string number = std::to_string(d);
        Tail tail = extent(d) % tileOf(d) == 0 && !shape_.inPlace ? Tail::RoundUp : Tail::Guard;
        nest.splits.push_back({current, "tile" + number, "in_tile" + number, tileOf(d), tail});
        nest.order.push_back("in_tile" + number);
        if (shape_.epilogue <= 8) {
          nest.unrolled.push_back("in_tile" + number);
        }
        current = "tile" + number;
      }
      if (blockDim == d) { // whole tiles, so that those past the end are left out
        nest.splits.push_back({current, "block", "in_block", blockRows / tileOf(d), Tail::Guard});
        current = "in_block";
        nest.undivided = {"in_block", "block"};
      }
      if (blockDim == d || !blockDim || d > *blockDim) {
        tileLoops.push_back(current);
      }
    }
    if (tileLoops.empty()) {
      return false;
    }
    nest.order.insert(nest.order.end(), tileLoops.begin(), tileLoops.end());
    if (!single) {
      nest.order.push_back("column");
    }
    if (blockDim) {
      nest.order.push_back("block");
    }
    std::vector<uint32_t> outer;
    for (uint32_t d = blockDim.value_or(0); d-- > 0;) {
      if (d != shape_.column) {
        outer.push_back(d);
      }
    }
    parallelize(nest, outer, blockDim);
    if (shape_.inPlace) {
      schedule_.outputs[static_cast<size_t>(home - schedule_.outputs.begin())].stage.nests.push_back({});
    }
    home->stage.nests.push_back(std::move(nest));

    how_->stage.placement = Placement::At;
    how_->stage.atStage = out;
    how_->stage.atLoop = tileLoops.front();
    tile(how_->stage);
    std::vector<std::string> reduced;
    for (uint32_t q : reducedOrder()) {
      reduced.push_back("r" + std::to_string(q));
    }
    how_->stage.nests = tileNests(reduced);
    if (!plan_.trimmed.empty()) {
      how_->stage.nests.back().unrolled.push_back("r" + std::to_string(plan_.trimmed.front().reduced));
      if (int64_t places = tileOf(plan_.trimmed.front().dim) * extent(rank() + plan_.trimmed.front().reduced);
          places * plan_.vectors <= longStep) {
        unrollInner(how_->stage.nests.back(), reducedOrder().front(), false);
      }
    } else if (!unrollShort(how_->stage.nests.back())) {
      unrollInner(how_->stage.nests.back(), shape_.reduced.front(), true);
    }
    for (const WindowOperand& operand : shape_.operands) {
      if (operand.halo && !plan_.trimmed.empty()) {
        how_->trimmed.push_back(operand.window);
      } else if (operand.halo) {
        addHalo(operand, out, blockDim ? "block" : "", blockDim, blockRows);
      }
      if (operand.window != nullptr && blockDim && !shape_.inPlace) {
        fetchNextBlock(operand, *blockDim, blockRows);
      }
    }
    if (!shape_.inPlace) {
      fetchPointwise(analysis_, machine_, op_, *how_);
      how_->fetchesWritten = goesFar(analysis_, machine_, op_);
    }
    return true;
  }

  /// Reduced indices, innermost loop first. Where places outside are left out, those within a window are the outer
  /// ones: one loop over the channels for each place that exists.
  std::vector<uint32_t> reducedOrder() const {
    std::vector<uint32_t> order = shape_.reduced;
    for (const WindowTrim& trim : plan_.trimmed) {
      std::erase(order, trim.reduced);
      order.push_back(trim.reduced);
    }
    return order;
  }

  /// A loop of a few steps (the channels of an image) costs more than its work.
  bool unrollShort(Nest& sum) const {
    uint32_t inner = shape_.reduced.front();
    int64_t steps = extent(rank() + inner);
    if (steps > 1 && steps <= 4) {
      sum.unrolled.push_back("r" + std::to_string(inner));
    }
    return steps <= 4;
  }

  void unrollInner(Nest& sum, uint32_t q, bool inPairs) const {
    bool moves = std::ranges::any_of(plan_.rows, [&](const auto& row) { return movesWith(shape_, row.first, q); });
    bool cut = shape_.blocks && q == how_->blocks->cut;
    if (!moves && (cut ? !blocksMayEndEarly() : op_.reduced[q].extent.isStatic())) {
      int64_t terms = cut ? how_->blocks->length : extent(rank() + q);
      unrollTerms(sum, "r" + std::to_string(q), terms, inPairs);
    }
  }

  /// The loops outside of a block: the first one with enough iterations is cut into tasks.
  void parallelize(Nest& nest, const std::vector<uint32_t>& outer, std::optional<uint32_t> blockDim) const {
    std::optional<uint32_t> cut;
    for (uint32_t d : outer) {
      if (extent(d) >= 2 && (!cut || extent(d) >= 2 * machine_.cores)) {
        cut = d; // the outermost of those
      }
    }
    int64_t blocks = blockDim ? (extent(*blockDim) + rowsOfBlock(*blockDim) - 1) / rowsOfBlock(*blockDim) : 1;
    bool rows = blockDim && blocks > 1 && (!cut || extent(*cut) < 2 * machine_.cores);
    bool worth = plan_.cycles * fmaWork >= parallelWork;
    for (uint32_t d : outer) {
      if (worth && !rows && cut == d) {
        nest.splits.push_back({dim(d), "task", "piece", taskSize(machine_, extent(d)), Tail::Guard});
        nest.order.push_back("piece");
        nest.order.push_back("task");
        nest.parallel = {"task"};
        nest.undivided.push_back("piece");
        nest.undivided.push_back("task");
      } else {
        nest.order.push_back(dim(d));
      }
    }
    if (worth && rows) {
      nest.parallel = {"block"};
    }
  }

  static constexpr double fmaWork = 2; // vector instructions in a cycle

  /// Whether the subscript of the window depends on this dim of the result and on reduced indices.
  bool isWindowed(ExprRef subscript, uint32_t d) const {
    return subscript->kind != ExprKind::Index && graph::dependsOnIndex(subscript, d);
  }

  /// The dim of the result that is cut into blocks: the outermost one that windows slide along, if a halo of one row is
  /// small enough for the cache, else one further inside.
  std::optional<uint32_t> blockDimension() const {
    std::optional<uint32_t> best;
    for (uint32_t d = 0; d < rank(); ++d) {
      bool slides = d != shape_.column && std::ranges::any_of(shape_.operands, [&](const WindowOperand& operand) {
                      return operand.window != nullptr &&
                             std::ranges::any_of(operand.window->args, [&](ExprRef s) { return isWindowed(s, d); });
                    });
      if (slides) {
        best = d;
        if (tileOf(d) > 1 || haloBytes(d, 1) <= static_cast<double>(machine_.l2Bytes) / 2) {
          return best;
        }
      }
    }
    for (uint32_t d = 0; d < rank() && !best; ++d) { // nothing slides
      best = d != shape_.column && op_.dims[d].extent.isStatic() && extent(d) > 1 ? std::optional(d) : std::nullopt;
    }
    return best;
  }

  double haloBytes(uint32_t blockDim, int64_t rows) const {
    double bytes = 0;
    for (const WindowOperand& operand : shape_.operands) {
      if (operand.window == nullptr) {
        continue;
      }
      double all = static_cast<double>(shape_.bytes);
      for (ExprRef subscript : operand.window->args) {
        all *= static_cast<double>(spanOf(subscript, blockDim, rows).second);
      }
      bytes += all;
    }
    return bytes;
  }

  /// First value and number of values of a subscript in one block: the dims outside of the block stand still, `rows`
  /// points of the block's dim and all of the others are in it, as whole tiles. The first value counts only where no
  /// dim stands still and the block's dim does not occur.
  std::pair<int64_t, int64_t> spanOf(ExprRef subscript, std::optional<uint32_t> blockDim, int64_t rows) const {
    graph::LinearForm form = *graph::linearForm(subscript);
    int64_t from = form.constant.isStatic() ? form.constant.constant() : 0, to = from;
    for (const graph::LinearTerm& term : form.terms) {
      uint32_t index = term.atom->index;
      int64_t points = extent(index);
      if (index < rank() && shape_.blocks) {
        points = tileOf(index) > 1 && subscript->kind != ExprKind::Index ? roundUp(points, tileOf(index)) : points;
      } else if (index < rank()) {
        if (blockDim && index < *blockDim && index != shape_.column) {
          points = 1;
        } else if (blockDim == index) {
          points = roundUp(rows, tileOf(index));
        } else if (index != shape_.column && subscript->kind != ExprKind::Index) {
          points = roundUp(points, tileOf(index));
        }
      } else if (shape_.blocks) {
        uint32_t q = index - rank();
        points = q < how_->blocks->cut ? 1 : q == how_->blocks->cut ? how_->blocks->length : points;
      }
      if (index == shape_.column) {
        points = roundUp(points, width());
      }
      (term.factor > 0 ? to : from) += term.factor * (points - 1);
    }
    return {from, to - from + 1};
  }

  /// Whether a subscript has the same range in every block.
  bool isFixed(ExprRef subscript, std::optional<uint32_t> blockDim) const {
    graph::LinearForm form = *graph::linearForm(subscript);
    return form.constant.isStatic() && std::ranges::all_of(form.terms, [&](const graph::LinearTerm& term) {
             uint32_t index = term.atom->index;
             if (index >= rank()) {
               return !shape_.blocks || index - rank() > how_->blocks->cut;
             }
             return shape_.blocks || index == shape_.column || !blockDim || index > *blockDim;
           });
  }

  int64_t rowsOfBlock(uint32_t d) const {
    int64_t step = tileOf(d), all = extent(d), rows = step;
    while (rows < all && haloBytes(d, rows + step) <= static_cast<double>(machine_.l2Bytes) / 4) {
      rows += step;
    }
    int64_t images = 1; // blocks are also what one image is cut into for several cores
    for (uint32_t other = 0; other < d; ++other) {
      images *= other == shape_.column ? 1 : extent(other);
    }
    int64_t least = images >= 2 * machine_.cores ? 1 : 2 * machine_.cores;
    int64_t count = std::max((all + rows - 1) / rows, std::min(least, (all + step - 1) / step));
    return roundUp((all + count - 1) / count, step);
  }

  void addHalo(const WindowOperand& operand, const std::string& stage, const std::string& loopName,
               std::optional<uint32_t> blockDim, int64_t rows) {
    Halo halo;
    halo.part = operand.part;
    halo.access = operand.window;
    halo.beyond = shape_.blocks && blocksMayEndEarly();
    halo.stage.placement = loopName.empty() ? Placement::Root : Placement::At;
    halo.stage.atStage = stage;
    halo.stage.atLoop = loopName;
    std::optional<uint32_t> vector;
    for (uint32_t d = 0; d < halo.access->args.size(); ++d) {
      ExprRef subscript = halo.access->args[d];
      auto [from, count] = spanOf(subscript, blockDim, rows);
      if (isFixed(subscript, blockDim)) {
        halo.bounds.emplace_back(std::pair{from, count});
        vector = count > 1 ? d : vector;
      } else {
        halo.bounds.emplace_back(std::nullopt);
        if (count > 1) {
          halo.stage.tile.emplace_back("s" + std::to_string(d), count);
        }
      }
    }
    Nest nest;
    if (vector) {
      int64_t count = halo.bounds[*vector]->second;
      std::string inner = "s" + std::to_string(*vector);
      if (count < shape_.lanes) {
        nest.vectorized = {inner};
      } else {
        nest.splits.push_back(
            {inner, "vector", "lane", shape_.lanes, count % shape_.lanes == 0 ? Tail::RoundUp : Tail::Guard});
        nest.vectorized = {"lane"};
      }
    }
    halo.stage.nests = {std::move(nest)};
    // The terms of a block are read a few elements at a time: at distances of large powers of two they would share a
    // few lines of the first cache.
    bool last = shape_.blocks && vector && *vector + 1 == halo.bounds.size();
    if (int64_t run = last ? halo.bounds[*vector]->second : 1; run * shape_.bytes % sharedDistance == 0) {
      halo.pitch = run + lineBytes / shape_.bytes;
    }
    how_->halos.push_back(std::move(halo));
  }

  /// While the tiles of a block are summed, the lines that the next one's halo, or its tiles, read are fetched.
  void fetchNextBlock(const WindowOperand& operand, uint32_t blockDim, int64_t rows) {
    const std::vector<ExprRef>& subscripts = operand.window->args;
    uint32_t place = 0; // of the subscript that moves from block to block: those outside are the result's dims
    while (place < blockDim && subscripts[place]->kind == ExprKind::Index && subscripts[place]->index == place) {
      ++place;
    }
    if (place != blockDim || place >= subscripts.size() || !isWindowed(subscripts[place], blockDim)) {
      return;
    }
    const Value& read = *op_.operands[operand.window->operand];
    int64_t step = std::abs(graph::linearForm(subscripts[place])->factorOf(blockDim)), inside = 1, written = 1;
    for (size_t d = place + 1; d < read.type.dims.size(); ++d) {
      inside *= analysis_.maxOf(read.type.dims[d]);
    }
    for (uint32_t d = blockDim; d < rank(); ++d) {
      written *= extent(d);
    }
    int64_t all = analysis_.maxOf(read.type.dims[place]) * inside, common = std::gcd(all, written);
    int64_t ahead = rows >= extent(blockDim) ? all : rows * step * inside;
    for (const Value* input : inputsOf(read)) {
      if (comesFromAfar(analysis_, machine_, *input)) {
        how_->fetchedWithTile.push_back({analysis_.positionOf(*input->def), all / common, written / common, ahead});
      }
    }
  }

  void scheduleBlocks() {
    Blocks blocks;
    chooseBlocks(blocks);
    how_->blocks = blocks;
    Blocks& mine = *how_->blocks;
    mine.tile.placement = Placement::At;
    mine.tile.atStage = name() + "_pieces";
    tile(mine.tile);
    std::vector<std::string> reduced;
    for (uint32_t q : shape_.reduced) {
      if (q >= mine.cut) {
        reduced.push_back("r" + std::to_string(q));
      }
    }
    mine.tile.nests = tileNests(reduced);
    unrollInner(mine.tile.nests.back(), shape_.reduced.front(), true);

    Nest sum;
    sum.splits.push_back({dim(shape_.column), "column", "columns", width(), Tail::Guard});
    sum.splits.push_back({"columns", "vector", "lane", shape_.lanes, Tail::Guard});
    sum.vectorized = {"lane"};
    sum.unrolled = {"vector"};
    sum.order = {"lane", "vector"};
    mine.padded.emplace_back(shape_.column, roundUp(columns(), width()));
    std::vector<std::string> tileLoops;
    for (uint32_t d = rank(); d-- > 0;) {
      if (d == shape_.column) {
        continue;
      }
      if (tileOf(d) == 1) {
        tileLoops.push_back(dim(d));
        continue;
      }
      std::string number = std::to_string(d);
      sum.splits.push_back({dim(d), "tile" + number, "in_tile" + number, tileOf(d), Tail::Guard});
      sum.order.push_back("in_tile" + number);
      sum.unrolled.push_back("in_tile" + number);
      tileLoops.push_back("tile" + number);
      mine.padded.emplace_back(d, roundUp(extent(d), tileOf(d)));
    }
    // Tiles that share the columns' operand follow each other.
    mine.tile.atLoop = tileLoops.empty() ? "column" : tileLoops.front();
    sum.order.insert(sum.order.end(), tileLoops.begin(), tileLoops.end());
    sum.order.push_back("column");
    for (uint32_t q = mine.cut + 1; q-- > 0;) {
      sum.order.push_back("q" + std::to_string(q));
    }
    sum.order.push_back("s");
    Nest start;
    start.splits = {{dim(shape_.column), "start", "start_lane", shape_.lanes, Tail::RoundUp}};
    start.vectorized = {"start_lane"};
    if (plan_.cycles * fmaWork >= parallelWork && mine.pieces > 1) {
      sum.parallel = {"s"};
    }
    mine.partial.placement = Placement::Root;
    mine.partial.nests = {std::move(start), std::move(sum)};
    for (const WindowOperand& operand : shape_.operands) {
      if (operand.halo) {
        addHalo(operand, name() + "_pieces", "q" + std::to_string(mine.cut), std::nullopt, 1);
      }
      fetchWithBlocks(operand, mine);
    }
    how_->fetchesOverwritten = goesFar(analysis_, machine_, op_);
    mine.tiles = (columns() + width() - 1) / width();
    for (uint32_t d = 0; d < rank(); ++d) {
      mine.tiles *= d == shape_.column ? 1 : (extent(d) + tileOf(d) - 1) / tileOf(d);
    }
  }

  /// While the tiles of a block are summed, what the next one reads is fetched, if blocks read one after the other what
  /// lies in memory so. What a tile reads all of, in the order of memory, and the first cache then keeps for the
  /// others, processors fetch by themselves.
  void fetchWithBlocks(const WindowOperand& operand, Blocks& blocks) const {
    ExprRef access = operand.window != nullptr ? operand.window : operand.part;
    if (access->kind != ExprKind::Access || blocks.outer != 0) {
      return;
    }
    const Value& read = *op_.operands[access->operand];
    int64_t elements = 0, block = 0; // of a block, and of one step of the index
    for (uint32_t q = blocks.cut + 1; q-- > 0;) {
      int64_t stride = 0, inside = 1;
      for (size_t d = access->args.size(); d-- > 0;) {
        stride += graph::linearForm(access->args[d])->factorOf(rank() + q) * inside;
        inside *= analysis_.maxOf(read.type.dims[d]);
      }
      if (q == blocks.cut) {
        elements = stride * blocks.length;
        block = elements;
        continue;
      }
      int64_t points =
          q + 1 == blocks.cut ? (extent(rank() + q + 1) + blocks.length - 1) / blocks.length : extent(rank() + q + 1);
      block *= points;
      if (block != stride) {
        return;
      }
    }
    bool inOrder = operand.window == nullptr && operand.uses[shape_.column] && columns() <= width();
    if (inOrder && elements * shape_.bytes <= machine_.l1Bytes / 4) {
      return;
    }
    for (const Value* input : elements > 0 ? inputsOf(read) : std::vector<const Value*>{}) {
      if (comesFromAfar(analysis_, machine_, *input)) {
        blocks.fetched.push_back({analysis_.positionOf(*input->def), elements});
      }
    }
  }

  /// The last block may have fewer points than the others.
  bool blocksMayEndEarly() const { return !how_->blocks->divide(op_.reduced[how_->blocks->cut].extent); }

  /// As many of the inner reduced indices as make enough terms for a tile are in a block.
  void chooseBlocks(Blocks& blocks) const {
    uint32_t count = static_cast<uint32_t>(op_.reduced.size());
    blocks.cut = count - 1;
    int64_t inner = 1;
    while (blocks.cut > 0 && op_.reduced[blocks.cut].extent.isStatic() &&
           inner * extent(rank() + blocks.cut) < blockTerms) {
      inner *= extent(rank() + blocks.cut);
      --blocks.cut;
    }
    int64_t all = extent(rank() + blocks.cut), least = std::min((blockTerms + inner - 1) / inner, all);
    // Whole blocks, if there are some of about this length.
    for (blocks.length = least; blocks.length <= 2 * least; ++blocks.length) {
      if (blocks.divide(op_.reduced[blocks.cut].extent)) {
        break;
      }
    }
    blocks.length = blocks.length > 2 * least ? least : blocks.length;
    int64_t best = 0;
    for (uint32_t q = 0; q <= blocks.cut; ++q) {
      int64_t points = q == blocks.cut ? (all + blocks.length - 1) / blocks.length : extent(rank() + q);
      if (points > best && best < reductionPieces) {
        best = points;
        blocks.outer = q;
      }
    }
    double bytes = analysis_.elements(*op_.results[0]) * static_cast<double>(shape_.bytes);
    int64_t fitting = std::max<int64_t>(2, static_cast<int64_t>(mostBuffered / bytes));
    blocks.pieces = std::min({best, reductionPieces, fitting});
    blocks.pieceLength = (best + blocks.pieces - 1) / blocks.pieces;
    blocks.pieces = (best + blocks.pieceLength - 1) / blocks.pieceLength;
  }

  /// Of a sum in blocks, what one block reads, which stays in the cache.
  void packInBlock(Pack& pack) const {
    auto outside = std::ranges::stable_partition(
        pack.others, [&](uint32_t index) { return index < rank() || index - rank() > how_->blocks->cut; });
    pack.outside = outside.size();
    pack.stage.placement = Placement::At;
    pack.stage.atStage = name() + "_pieces";
    pack.stage.atLoop = "q" + std::to_string(how_->blocks->cut);
  }

  /// The dim in whose panels the operand is copied for a block: neighbours lie side by side, terms far from each other,
  /// and there are enough columns to read it for.
  std::optional<uint32_t> packedRow(const WindowOperand& operand) const {
    bool plain = shape_.blocks && !operand.halo && operand.part->kind == ExprKind::Access && plan_.rows.size() == 1 &&
                 plan_.trimmed.empty() && columns() >= worthRows;
    if (!plain || operand.uses[shape_.column] || !operand.uses[rank() + how_->blocks->cut]) {
      return std::nullopt;
    }
    uint32_t row = plan_.rows.front().first;
    bool contiguous = operand.uses[row] && analysis_.strideOf(op_, operand.part, row) == Stride::Unit;
    return contiguous ? std::optional(row) : std::nullopt;
  }

  void packRows(const WindowOperand& operand, uint32_t row) {
    Pack pack;
    pack.part = operand.part;
    pack.along = row;
    pack.multiple = tileOf(row);
    pack.padded = extent(row) % pack.multiple != 0;
    for (uint32_t q : reducedOrder()) {
      if (operand.uses[rank() + q]) {
        pack.others.push_back(rank() + q);
      }
    }
    for (uint32_t d = rank(); d-- > 0;) {
      if (operand.uses[d] && d != row) {
        pack.others.push_back(d);
      }
    }
    packInBlock(pack);
    pack.stage.tile = {{loop(row), pack.multiple}};
    Nest nest;
    nest.vectorized = {loop(row)};
    if (pack.padded) {
      pack.stage.nests = {Nest{}, std::move(nest), Nest{}};
    } else {
      pack.stage.nests = {std::move(nest)};
    }
    how_->packs.push_back(std::move(pack));
  }

  /// Operands in panels of columns, and in panels of rows where a block of the sum is read again and again.
  void packOperands() {
    for (const WindowOperand& operand : shape_.operands) {
      if (std::optional<uint32_t> row = packedRow(operand)) {
        packRows(operand, *row);
      }
    }
    for (size_t i = 0; i < shape_.operands.size(); ++i) {
      if (!plan_.packed[i]) {
        continue;
      }
      const WindowOperand& operand = shape_.operands[i];
      Pack pack;
      pack.part = operand.part;
      pack.along = shape_.column;
      pack.multiple = width();
      for (uint32_t q : reducedOrder()) { // as the loops run
        if (operand.uses[rank() + q]) {
          pack.others.push_back(rank() + q);
        }
      }
      for (uint32_t d = rank(); d-- > 0;) {
        if (operand.uses[d] && d != shape_.column) {
          pack.others.push_back(d);
        }
      }
      bool inBlock = shape_.blocks && operand.uses[rank() + how_->blocks->cut];
      pack.stage.placement = Placement::Root;
      if (inBlock) {
        packInBlock(pack);
      }
      pack.padded = columns() % width() != 0;
      pack.stage.tile = {{loop(pack.along), pack.multiple}};
      Nest nest;
      nest.splits.push_back(
          {loop(pack.along), "vector", "lane", shape_.lanes, pack.padded ? Tail::Guard : Tail::RoundUp});
      nest.vectorized = {"lane"};
      nest.order = {"lane", "vector"};
      nest.unrolled = {"vector"};
      bool large = !inBlock && operand.elements >= parallelWork * 4 && !pack.others.empty();
      if (large) {
        uint32_t outer = pack.others.back();
        nest.splits.push_back({loop(outer), "task", "piece", taskSize(machine_, extent(outer)), Tail::Guard});
        nest.parallel = {"task"};
      }
      if (pack.padded) {
        Nest rest = nest;
        rest.order.clear();
        rest.unrolled.clear();
        if (int64_t left = columns() % width(); left > 1 && left < shape_.lanes) { // one shorter vector
          rest.splits.erase(rest.splits.begin());
          rest.vectorized = {loop(pack.along)};
        } else {
          rest.splits[0].tail = operand.contiguous && shape_.bytes >= 4 ? Tail::Predicate : Tail::Guard;
        }
        pack.stage.nests = {Nest{}, std::move(nest), std::move(rest)};
      } else {
        pack.stage.nests = {std::move(nest)};
      }
      how_->packs.push_back(std::move(pack));
    }
  }
};

} // namespace

void inlineHalos(const WindowShape& shape, const Analysis& analysis, Schedule& schedule) {
  for (const WindowOperand& operand : shape.operands) {
    const Value* v = operand.halo ? shape.op->operands[operand.window->operand] : nullptr;
    if (v != nullptr && isElementwise(*v->def) && !analysis.escapes(v)) {
      auto how = std::ranges::find(schedule.ops, analysis.positionOf(*v->def), &OpSchedule::op);
      how->stage = {};
      how->stage.placement = Placement::Inline;
    }
  }
}

std::optional<Schedule> scheduleWindow(const Analysis& analysis, const Machine& machine, const WindowShape& shape,
                                       const WindowPlan& plan) {
  return Window(analysis, machine, shape, plan).run();
}

} // namespace dnn::schedule
