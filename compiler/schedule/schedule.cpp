#include "compiler/schedule/schedule.h"

#include "compiler/schedule/candidates.h"
#include "compiler/schedule/templates.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <sstream>

namespace dnn::schedule {

bool Blocks::divide(const Dim& extent) const {
  return extent.constant() % length == 0 &&
         std::ranges::all_of(extent.terms(), [&](const auto& term) { return term.second % length == 0; });
}

Schedule chooseSchedule(const Kernel& kernel, const Machine& machine, Sums sums) {
  Analysis analysis(kernel);
  if (std::optional<Schedule> schedule = schedulePlain(analysis, machine)) {
    return std::move(*schedule);
  }
  if (std::optional<Schedule> schedule = scheduleRowKernel(analysis, machine)) {
    return std::move(*schedule);
  }
  if (std::optional<Schedule> schedule = scheduleBeside(analysis, machine, sums)) {
    return std::move(*schedule);
  }
  if (std::optional<Schedule> schedule = scheduleTileWindows(analysis, machine, sums)) {
    return std::move(*schedule);
  }
  if (std::optional<Schedule> schedule = scheduleBlocks(analysis, machine)) {
    return std::move(*schedule);
  }
  Candidates candidates(analysis, machine, sums);
  for (size_t number = 0; number < candidates.size(); ++number) {
    if (std::optional<Schedule> schedule = candidates.schedule(number)) {
      return std::move(*schedule);
    }
  }
  return scheduleGeneral(analysis, machine);
}

namespace {

std::string_view nameOf(Tail tail) {
  switch (tail) {
  case Tail::Guard: return "guard";
  case Tail::Predicate: return "predicate";
  case Tail::RoundUp: return "round up";
  case Tail::Shift: return "shift";
  }
  DNN_UNREACHABLE("every tail has a name");
}

void printList(std::ostream& out, std::string_view what, const std::vector<std::string>& loops) {
  if (loops.empty()) {
    return;
  }
  out << "    " << what;
  for (const std::string& loop : loops) {
    out << " " << loop;
  }
  out << "\n";
}

void printStage(std::ostream& out, const std::string& name, const StageSchedule& stage) {
  out << "  " << name;
  switch (stage.placement) {
  case Placement::Inline: out << " inline\n"; return;
  case Placement::Root: out << " root\n"; break;
  case Placement::At: out << " at " << stage.atStage << "." << stage.atLoop << "\n"; break;
  }
  if (!stage.withStage.empty()) {
    out << "    with " << stage.withStage << "." << stage.withLoop << "\n";
  }
  for (const auto& [loop, points] : stage.tile) {
    out << "    tile " << loop << " " << points << "\n";
  }
  if (!stage.innermost.empty()) {
    out << "    store";
    for (const std::string& loop : stage.innermost) {
      out << " " << loop;
    }
    out << " innermost\n";
  }
  for (size_t i = 0; i < stage.nests.size(); ++i) {
    const Nest& nest = stage.nests[i];
    if (stage.nests.size() > 1) {
      out << "   definition " << i << "\n";
    }
    for (const Split& split : nest.splits) {
      out << "    split " << split.loop << " -> " << split.outer << ", " << split.inner << " by " << split.factor
          << " (" << nameOf(split.tail) << ")\n";
    }
    printList(out, "order", nest.order);
    printList(out, "vectorize", nest.vectorized);
    printList(out, "unroll", nest.unrolled);
    printList(out, "parallel", nest.parallel);
    printList(out, "undivided", nest.undivided);
  }
}

} // namespace

std::string print(const Schedule& schedule) {
  std::ostringstream out;
  out << "schedule " << schedule.family << "\n";
  for (const OpSchedule& op : schedule.ops) {
    std::string name = "op" + std::to_string(op.op);
    if (!op.once.empty()) {
      out << "  " << name << "_once " << op.once.size() << " values\n";
    }
    for (size_t i = 0; i < op.packs.size(); ++i) {
      const Pack& pack = op.packs[i];
      std::string part = name + "_pack" + std::to_string(i);
      printStage(out, part, pack.stage);
      out << "    along index " << pack.along << " in panels of " << pack.multiple << (pack.padded ? ", padded" : "");
      out << (pack.ahead > 0 ? ", with the first tile, " + std::to_string(pack.ahead) + " points ahead" : "");
      out << (pack.pitch > 0 ? ", runs " + std::to_string(pack.pitch) + " apart" : "") << "\n";
      if (pack.block) {
        printStage(out, part + "_block", *pack.block);
      }
    }
    for (size_t i = 0; i < op.halos.size(); ++i) {
      const Halo& halo = op.halos[i];
      printStage(out, name + "_halo" + std::to_string(i), halo.stage);
      for (size_t d = 0; d < halo.bounds.size(); ++d) {
        if (halo.bounds[d]) {
          out << "    s" << d << " from " << halo.bounds[d]->first << " extent " << halo.bounds[d]->second << "\n";
        }
      }
      if (halo.pitch > 0) {
        out << "    runs " << halo.pitch << " apart\n";
      }
    }
    if (op.lanes) {
      printStage(out, name + "_lanes", op.lanes->stage);
      out << "    " << op.lanes->width << " lanes along r" << op.lanes->reduced
          << (op.lanes->inVectors ? ", summed in vectors" : "");
      out << (op.lanes->with ? ", with op" + std::to_string(*op.lanes->with) : "") << "\n";
    }
    if (op.values) {
      printStage(out, name + "_values", *op.values);
    }
    if (op.accumulator) {
      printStage(out, name + "_tile", op.accumulator->stage);
      if (op.accumulator->chains > 1) {
        out << "    " << op.accumulator->chains << " sums in turn\n";
      }
      if (op.accumulator->pieces > 1) {
        printStage(out, name + "_pieces", op.accumulator->partial);
        out << "    " << op.accumulator->pieces << " pieces of " << op.accumulator->length << " along r0\n";
      }
    }
    if (op.blocks) {
      const Blocks& blocks = *op.blocks;
      printStage(out, name + "_tile", blocks.tile);
      printStage(out, name + "_pieces", blocks.partial);
      out << "    blocks of " << blocks.length << " along r" << blocks.cut << ", " << blocks.pieces << " pieces of "
          << blocks.pieceLength << " along r" << blocks.outer << "\n";
      for (auto [d, extent] : blocks.padded) {
        out << "    i" << d << " extent " << extent << "\n";
      }
      for (const FetchWithBlock& fetched : blocks.fetched) {
        out << "    fetches op" << fetched.input << " a block ahead, " << fetched.elements << " elements for "
            << blocks.tiles << " tiles\n";
      }
    }
    if (op.turned) {
      if (op.turned->tile.placement != Placement::Inline) {
        printStage(out, name + "_tile", op.turned->tile);
      }
      printStage(out, name + "_lanes", op.turned->lanes);
    }
    if (op.winograd) {
      const Winograd& plan = *op.winograd;
      printStage(out, name + "_weight_rows", plan.weightRows);
      printStage(out, name + "_weight_points", plan.weightPoints);
      printStage(out, name + "_data_rows", plan.data.rows);
      printStage(out, name + "_data_points", plan.data.points);
      printStage(out, name + "_tile", plan.tile);
      printStage(out, name + "_products", plan.products);
      printStage(out, name + "_result_rows", plan.resultRows);
      out << "    blocks of " << plan.outputs << " × " << plan.outputs << ", products of " << plan.columns
          << " columns\n";
    }
    if (op.winogradSums) {
      const WinogradSums& plan = *op.winogradSums;
      printStage(out, name + "_data_rows", plan.data.rows);
      printStage(out, name + "_data_points", plan.data.points);
      printStage(out, name + "_factor_rows", plan.factorRows);
      printStage(out, name + "_factor_points", plan.factorPoints);
      printStage(out, name + "_tile", plan.tile);
      printStage(out, name + "_pieces", plan.partial);
      printStage(out, name + "_sums", plan.sums);
      printStage(out, name + "_result_rows", plan.resultRows);
      out << "    sums of " << plan.rows << " rows of " << plan.items << " items, " << plan.pieces << " pieces of "
          << plan.pieceLength << " groups, " << plan.channels << " channels and " << plan.columns << " columns\n";
    }
    if (op.joinedWith) {
      out << "  " << name << " joined with op" << *op.joinedWith << "\n";
      continue;
    }
    printStage(out, name, op.stage);
    out << (op.fetchesOverwritten ? "    fetches what its tile overwrites\n" : "");
    out << (op.fetchesWritten ? "    fetches what its tile writes\n" : "");
    for (const FetchWithTile& fetched : op.fetchedWithTile) {
      out << "    fetches op" << fetched.input << " with its tile, " << fetched.elements << " elements for "
          << fetched.each;
      out << (fetched.ahead != 0 ? ", " + std::to_string(fetched.ahead) + " ahead" : "")
          << (fetched.soon ? "" : ", into the second cache") << "\n";
    }
    for (uint32_t operand : op.fetchesNextRowOf) {
      out << "    fetches the next row of operand " << operand << "\n";
    }
    out << (op.beside && op.stage.placement != Placement::Inline ? "    of what is written\n" : "");
    out << (op.writtenOut ? "    written out\n" : "");
    if (!op.trimmed.empty()) {
      out << "    leaves places outside out\n";
    }
    for (uint32_t d : op.clamped) {
      out << "    clamp i" << d << "\n";
    }
  }
  for (uint32_t index : schedule.reread) {
    out << "  reads return " << index << "\n";
  }
  for (size_t i = 0; i < schedule.outputs.size(); ++i) {
    printStage(out, "out" + std::to_string(i), schedule.outputs[i].stage);
    out << "    writes";
    for (uint32_t index : schedule.outputs[i].returns) {
      out << " return " << index;
    }
    out << "\n";
  }
  return out.str();
}

} // namespace dnn::schedule
