// The schedule templates. Each is a file of its own; schedule.cpp asks them in turn, the general one takes everything.
#pragma once

#include "compiler/schedule/analysis.h"
#include "compiler/schedule/schedule.h"

#include <optional>
#include <vector>

namespace dnn::schedule {

/// Any kernel: reductions and shared expensive values in buffers, everything else inlined; vectors where memory is
/// contiguous.
Schedule scheduleGeneral(const Analysis& analysis, const Machine& machine);

/// A kernel that runs once and soon: plain loops, because code without vectors is compiled in half the time; what may
/// take longer than starting a thread is parallel. None if the kernel runs more often, or would take long.
std::optional<Schedule> schedulePlain(const Analysis& analysis, const Machine& machine);

/// A kernel that runs row by row (row_form.h). None if the kernel has another form.
std::optional<Schedule> scheduleRowKernel(const Analysis& analysis, const Machine& machine);

/// A kernel that runs block by block (block_form.h). None if the kernel has another form.
std::optional<Schedule> scheduleBlocks(const Analysis& analysis, const Machine& machine);
/// A contraction with sums over blocks of what it writes, which are the last ops. None if the kernel has another form.
std::optional<Schedule> scheduleBeside(const Analysis& analysis, const Machine& machine, Sums sums);
/// A contraction with reductions over windows of what its epilogue makes, which are the last ops and the only returns.
/// None if the kernel has another form.
std::optional<Schedule> scheduleTileWindows(const Analysis& analysis, const Machine& machine, Sums sums);
/// Sums over one block, of which none is computed from another, share a loop if the registers hold all columns of all
/// of them (OpSchedule::joined): each of them would take as long to read what it adds up.
void joinBlockSums(const Analysis& analysis, const Machine& machine, const std::vector<const graph::Op*>& sums,
                   Schedule& schedule);
/// The sum over one block, in tiles of columns in registers; with it those that OpSchedule::joined names. The first
/// `rows` dims of the op stand still. The caller places the stage.
void scheduleBlockSum(const Analysis& analysis, const Machine& machine, const graph::Op& op, size_t rows,
                      OpSchedule& how);

/// Decides for every op whether it is inlined, and which outputs are written together, except for `anchor`, which the
/// caller schedules and whose users all see it at their own point. Stages get no loops yet. `byRows`: in-place inputs
/// are overwritten a row at a time, so that values of a row may have buffers.
Schedule placeStages(const Analysis& analysis, const graph::Op* anchor, bool byRows = false);

/// The op has no stage: the schedule inlines it into its readers.
bool isInlined(const Analysis& analysis, const Schedule& schedule, const graph::Op& op);

/// Gives loops to every stage that has none yet, except for `anchor`.
void scheduleLoops(const Analysis& analysis, const Machine& machine, Schedule& schedule, const graph::Op* anchor);

/// Loops over `dims` for a definition without a reduction: the innermost dimension in vectors, the outermost parallel
/// if the work pays for it. `cost` of one point in vector instructions. Vectors of `chains` registers where rows are
/// long enough.
Nest elementwiseNest(const Analysis& analysis, const Machine& machine, const std::vector<Dim>& dims, int elementBytes,
                     double cost, Loads loads, int64_t chains = 1);

/// Registers side by side in a vector, for points that cost so much: each step of an exponential waits for the one
/// before, and a core does not look far enough ahead to find the next vector's. (About a tenth less time on Zen 3; four
/// are no better.)
int64_t chainsOf(double cost);
/// In the loops of an elementwise op over its result: writes out the places of a block where op, or what the schedule
/// inlines into it, chooses by the residue of a place (schedule_residues.cpp).
void writeOutResidues(const Analysis& analysis, const Schedule& schedule, const graph::Op& op, Nest& nest);
/// In the loops of an elementwise op over its result: writes out the vectors of a row that is joined from several
/// operands (schedule_concat.cpp), by op or by what the schedule inlines into it.
void writeOutJoined(const Analysis& analysis, const Machine& machine, const Schedule& schedule, const graph::Op& op,
                    Nest& nest);
/// A reduction that is not tiled in registers: lanes along a reduced index, or vectors along a dimension of the result.
/// `inRow`: of a single row, in lanes, on one core.
void scheduleReduction(const Analysis& analysis, const Machine& machine, const graph::Op& op, OpSchedule& how,
                       bool inRow = false);

/// Accesses of a reduction over windows for OpSchedule::trimmed, where vectors run along dim `column`: those that may
/// be outside of their operands, if what stands there changes nothing in a sum, or is all of a maximum or minimum.
/// Empty: none, or some are of another form.
std::vector<graph::ExprRef> placesLeftOut(const Analysis& analysis, const graph::Op& op, uint32_t column);

/// A reduction of so few static terms that they are written out as one expression, in vectors along the result's
/// columns.
bool isShortReduction(const Analysis& analysis, const graph::Op& op);
void scheduleShortReduction(const Analysis& analysis, const Machine& machine, const graph::Op& op, OpSchedule& how);
/// Computes short reductions within the output that reads them, where each of their elements is read by a block of its
/// places.
void joinShortReductions(const Analysis& analysis, const Machine& machine, Schedule& schedule);

/// Makes tiles of reductions where the output that reads them place by place needs them (schedule_in_output.cpp).
void placeTilesInOutputs(const Analysis& analysis, Schedule& schedule);

/// Inputs that v is computed from without buffers in between, each element from those at its own place; v itself, if it
/// is one.
std::vector<const graph::Value*> inputsOf(const graph::Value& v);
/// An input that is not overwritten, and larger than the second cache: fetching it before it is read pays.
bool comesFromAfar(const Analysis& analysis, const Machine& machine, const graph::Value& v);
/// What is computed from op and written is larger than the second cache: fetching its lines before they are written
/// pays.
bool goesFar(const Analysis& analysis, const Machine& machine, const graph::Op& op);
/// What the epilogue of op reads at its own places is fetched while a tile of op is summed.
void fetchPointwise(const Analysis& analysis, const Machine& machine, const graph::Op& op, OpSchedule& how);

/// Several terms of a sum in one step of its innermost loop (four, or two, where that divides them). A step of a tile
/// is six cycles; where another hardware thread shares the core, its jump costs up to a third of that.
void unrollTerms(Nest& sum, const std::string& loop, int64_t terms, bool inPairs = true);

/// Vector instructions that are worth a parallel loop: about 4 µs on one core.
inline constexpr double parallelWork = 16000;
/// The same for reductions, whose points are loads and sums: about 2 µs.
inline constexpr double parallelRows = 8000;
/// Into how many pieces a long reduction is cut. Fixed, because the result depends on it: enough for eight cores.
inline constexpr int64_t reductionPieces = 8;
/// The size of a piece so that a loop of `extent` iterations is cut into enough pieces for the machine's cores.
int64_t taskSize(const Machine& machine, int64_t extent);

} // namespace dnn::schedule
