// How one kernel runs: plain data that compiler/schedule decides and compiler/codegen/halide obeys.
//
// A kernel function's ops become stages. A stage is computed where it is used (Inline), once into a buffer (Root), or
// for each iteration of a loop of another stage (At). Loops have names: `i0`, `i1`, … are the dimensions of the op in
// row-major order, `r0`, `r1`, … its reduced indices, `u` the lanes; splits make new names. Stages are `op3` (the op at
// position 3 of the function's body), `op3_lanes`, `op3_tile`, `op3_pieces`, `op3_pack0`, and `out0` (an output stage).
#pragma once

#include "compiler/schedule/kernel.h"
#include "compiler/schedule/machine.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dnn::schedule {

/// What happens to the points of a split past the loop's end: skipped one by one, skipped by masked loads and stores,
/// computed (only where they are known to exist or never read), or avoided: the last piece starts earlier and computes
/// some points again (only where the loop has at least one whole piece, and never in place).
enum class Tail : uint8_t { Guard, Predicate, RoundUp, Shift };

/// for loop → for outer { for inner < factor }
struct Split {
  std::string loop;
  std::string outer;
  std::string inner;
  int64_t factor = 1;
  Tail tail = Tail::Guard;
};

/// The loops of one definition of a stage.
struct Nest {
  std::vector<Split> splits;
  std::vector<std::string> order;      ///< innermost first; loops that are not named stay outside of these
  std::vector<std::string> vectorized; ///< at most one
  std::vector<std::string> unrolled;
  std::vector<std::string> parallel;
  /// Not made into several loops, with and without the conditions of what lies inside: the code would be there twice.
  std::vector<std::string> undivided;
};

enum class Placement : uint8_t { Inline, Root, At };

struct StageSchedule {
  Placement placement = Placement::Inline;
  std::string atStage; ///< At
  std::string atLoop;
  /// The definition that initialises, then the updates. Missing ones run as plain loops.
  std::vector<Nest> nests;
  /// Root: from the outermost loop to this one of that stage the two share their loops; this one comes second. Their
  /// splits down to there are the same.
  std::string withStage;
  std::string withLoop;
  /// At: the stage is computed for exactly this many points of the loop, even where fewer are needed. Keeps
  /// accumulators in registers.
  std::vector<std::pair<std::string, int64_t>> tile;
  /// The dimensions whose neighbours lie nearest to each other in the stage's buffer, innermost first; empty: the last
  /// one.
  std::vector<std::string> innermost;
};

/// A reduction in `width` partial results along one reduced index, combined as a balanced tree at the end: a part with
/// those that lie a quarter, a half and three quarters of all further in each step of `stage`, what is left as scalars.
/// The order of combination is fixed, so the result does not depend on threads.
struct Lanes {
  uint32_t reduced = 0; ///< position in Op::reduced
  int64_t width = 1;
  bool inVectors = false; ///< the lanes are summed by vector instructions; the stage of the op has a loop `l` over them
  /// Position of an op whose stage makes values of the row in blocks of `width`: each block is reduced when it is made.
  std::optional<uint32_t> with;
  StageSchedule
      stage; ///< definitions: start, whole vectors, the rest, steps that leave a quarter, with the loop `part`
};

/// A reduction that is accumulated in registers, one tile of the result at a time. With several pieces the first
/// reduced index is cut into contiguous pieces of `length` points (the last may be shorter), each accumulated by
/// itself, and the pieces are added as a balanced tree: the order is fixed, so the result does not depend on threads.
struct Accumulator {
  StageSchedule stage; ///< `opN_tile`, definitions: start, the sum
  /// So many sums, loop `u`, take turns at the last reduced index, whose extent they divide; they are added as a tree.
  int64_t chains = 1;
  int64_t pieces = 1;
  int64_t length = 0;
  StageSchedule partial; ///< `opN_pieces`, with the loop `s` over pieces; used if there are several
};

/// A part of the op's body that is computed beforehand into a buffer of its own, in panels of `multiple` along index
/// `along`: within a panel that index is innermost, the panels are outermost (loop `panel`). What the last panel has
/// past the end of the index is never part of a result.
struct Pack {
  graph::ExprRef part = nullptr;
  uint32_t along = 0;           ///< position in the op's domain
  std::vector<uint32_t> others; ///< the other indices the part depends on, innermost first
  size_t outside = 0;           ///< At: of how many of them, the last ones, only some points are there at a time
  int64_t multiple = 0;         ///< 0: one panel as long as the index, and no loop `panel`
  bool padded = false;          ///< the end of the last panel stays undefined
  int64_t pitch = 0;            ///< without panels: elements from one run along `along` to the next; 0: no gap
  /// Not 0: copied by the first tile that reads it, point by point of the one index in `others`, whose lines are
  /// fetched so many points before.
  int64_t ahead = 0;
  StageSchedule stage; ///< definitions: the elements; if padded: nothing, the whole panels, the rest
  /// A stage between the operand and the pack, computed at a loop of the pack's stage: a block that is loaded as memory
  /// runs and stored as the pack does. Past the end of `along` it repeats the last element.
  std::optional<StageSchedule> block;
};

/// A part of the op's body that reads a window around the point, computed beforehand for all places that a block of
/// the result needs: the fill value where they lie outside, so that the sum tests nothing. The loops `s0`, `s1`, … are
/// the subscripts of `access`, in row-major order.
struct Halo {
  graph::ExprRef part = nullptr;   ///< depends on the domain by the subscripts of `access` alone
  graph::ExprRef access = nullptr; ///< in `part`, or `part` itself
  /// For each subscript its first value and how many there are, where that is the same in every block.
  std::vector<std::optional<std::pair<int64_t, int64_t>>> bounds;
  bool beyond = false; ///< places past the end are asked for, and repeat the last one
  int64_t pitch = 0;   ///< elements from one run along the last subscript to the next; 0: no gap
  StageSchedule stage;
};

/// A sum in vectors along a dim of the result that is not its innermost one. The stage of the op turns a tile of all
/// columns, so that these lie side by side; where it is inlined, what reads the tile, reductions that are written out,
/// is in such vectors as well (`lanes`), and turned by stages of its own.
struct Turned {
  StageSchedule tile;  ///< `opN_tile`, definitions: start, the sum: in registers; not of what is written out
  StageSchedule lanes; ///< `opN_lanes`: the tiles of all columns, as they are; inlined where a tile has them all
};

/// Lines of an input, a tile's share of what one block reads of it, fetched while the tile is summed for the block
/// before. What the blocks read lies in the order of the blocks.
struct FetchWithBlock {
  uint32_t input = 0;   ///< position of its op in the kernel function's body
  int64_t elements = 0; ///< for one block
};

/// A sum of many terms for each of few elements. One reduced index is cut into blocks, `length` points each (the last
/// one may have fewer); those before it run outside of the blocks, those after it inside. A tile of the result is
/// summed over one block in registers and then added to a buffer that holds the whole result. The index `outer`, one of
/// those outside or the number of the block, is cut into contiguous pieces, each with a buffer of its own; these are
/// added as a balanced tree, so that the result does not depend on threads.
struct Blocks {
  uint32_t cut = 0; ///< position in Op::reduced
  int64_t length = 1;
  uint32_t outer = 0; ///< position in Op::reduced, at most `cut`
  int64_t pieces = 1;
  int64_t pieceLength = 0; ///< points of `outer` in a piece; blocks, if that is `cut`
  StageSchedule tile;      ///< `opN_tile`, definitions: start, the sum over a block
  /// `opN_pieces`, definitions: start, the sum of blocks; the loops `q0`, `q1`, … are outside of a block, `s` the
  /// pieces.
  StageSchedule partial;
  std::vector<std::pair<uint32_t, int64_t>> padded; ///< dims of the buffers that are as long as whole tiles
  int64_t tiles = 1;                                ///< in a block
  std::vector<FetchWithBlock> fetched;

  /// An index of this extent has whole blocks alone, whatever the size of the batch.
  bool divide(const Dim& extent) const;
};

/// The operand that windows of 3 × 3 slide over, cut into blocks of `step` places along each dim and transformed
/// (winograd.h). Block t reads step + 2 places from `first` + step·t on. Loops of the stages: the channel's, `ty` and
/// `tx` over blocks, `x` over places, `kx` and `ky` over transformed elements, and those of the dims outside.
struct WinogradData {
  std::array<size_t, 2> subscripts{}; ///< of the one halo's access: rows and columns of the images
  size_t channelSubscript = 0;
  std::array<int64_t, 2> first{};
  StageSchedule rows;   ///< `opN_data_rows`: transformed along the first dim
  StageSchedule points; ///< `opN_data_points`: along both
};

/// A sum over a window of 3 × 3 as products of transformed blocks (winograd.h). The other dims of the data have the
/// loops `iD`, the channel `rC`; `v` runs over places in the window.
struct Winograd {
  int64_t outputs = 4;             ///< m: results of a block along each dim
  std::array<uint32_t, 2> dims{};  ///< of the result: those that the window slides along
  std::array<uint32_t, 2> taps{};  ///< positions in Op::reduced: the places within the window
  uint32_t channel = 0;            ///< position in Op::reduced
  std::array<bool, 2> backwards{}; ///< the place in the window grows as the subscript falls
  WinogradData data;
  graph::ExprRef weights = nullptr; ///< the other factor
  int64_t columns = 0;              ///< that the products are made for: whole tiles; the last one is repeated
  StageSchedule weightRows;         ///< `opN_weight_rows`: transformed along the first dim of the window
  StageSchedule weightPoints;       ///< `opN_weight_points`: along both
  StageSchedule tile;               ///< `opN_tile`, definitions: start, the sum over channels
  StageSchedule products;           ///< `opN_products`: the tiles
  StageSchedule resultRows;         ///< `opN_result_rows`: transformed back along `ky`; the rest is inlined
};

/// The sum over all places of products of the data around a place with a factor at it, for each of 3 × 3 distances: the
/// gradient of the weights. Blocks of 4 × 4 places are transformed, their products are added up, and the sums are
/// transformed back. Result [distance, distance, channel `iC`, column]; the places are the two last reduced indices,
/// the first one, items with the loop `n`, is cut into contiguous pieces, each with sums of its own, which are added as
/// a balanced tree. Items are taken in groups (`qn`), rows of blocks as well (`qy`).
struct WinogradSums {
  WinogradData data;
  graph::ExprRef factor = nullptr;
  int64_t rows = 1, items = 1;         ///< rows of blocks and items that are added up before they go to the sums
  int64_t pieces = 1, pieceLength = 1; ///< of groups of items
  int64_t channels = 0, columns = 0;   ///< whole tiles; the last ones are repeated
  StageSchedule factorRows;            ///< `opN_factor_rows`, loops column, `x`, `ty`, `n`, `ky`
  StageSchedule factorPoints;          ///< `opN_factor_points`, loops column, `tx`, `ty`, `n`, `kx`, `ky`
  StageSchedule tile;                  ///< `opN_tile`, definitions: start, the sum over blocks: `rx`, `ry`, `rn`
  StageSchedule partial;               ///< `opN_pieces`, definitions: start, the sum over groups; `s`: the pieces
  StageSchedule sums;                  ///< `opN_sums`: of the pieces
  StageSchedule resultRows;            ///< `opN_result_rows`
};

/// Lines of an input that are fetched while a tile is summed: for `each` elements of the output that the tile writes
/// `elements` of the input, `ahead` elements further than the proportional place.
struct FetchWithTile {
  uint32_t input = 0; ///< position of its op in the kernel function's body
  int64_t elements = 1, each = 1, ahead = 0;
  bool soon = true; ///< into the first cache; else into the second one
};

struct OpSchedule {
  uint32_t op = 0; ///< position in the kernel function's body
  StageSchedule stage;
  bool writtenOut = false;       ///< a reduction as one expression of all its terms, with the one definition of that
  std::vector<uint32_t> clamped; ///< positions of dims that the tile may exceed; reads use the last element instead
  std::vector<Halo> halos;
  /// Accesses whose places outside are left out: with zeros, of a sum; of a maximum or minimum, which is their fill
  /// value where there are any, to begin with.
  std::vector<graph::ExprRef> trimmed;
  std::optional<Blocks> blocks;
  std::optional<Turned> turned;
  std::optional<Winograd> winograd;
  std::optional<WinogradSums> winogradSums;
  std::optional<Lanes> lanes;
  std::optional<Accumulator> accumulator;
  /// Positions of other reductions over the same points that this one's accumulator sums in the same loops; their own
  /// entries name this op and have no stage.
  std::vector<uint32_t> joined;
  std::optional<uint32_t> joinedWith;
  /// Reads what another stage makes and the kernel returns from the return, instead of computing it.
  bool beside = false;
  /// The body at each point of the one reduced index is computed into a buffer first: `opN_values`, with the loop `i0`.
  std::optional<StageSchedule> values;
  std::vector<Pack> packs;
  /// Before a tile is summed, the lines that the output overwrites with it are fetched, to be written; of a sum in
  /// blocks those that the tile is added to.
  bool fetchesOverwritten = false;
  /// While it is summed, the lines that the output writes with it, to be written. The stage lies at a loop of the
  /// output.
  bool fetchesWritten = false;
  /// Lines that are read when the tile is done, or by later tiles. The stage lies at a loop of the output.
  std::vector<FetchWithTile> fetchedWithTile;
  /// Of the rows of these operands that it reads, the next one is fetched meanwhile, line by line.
  std::vector<uint32_t> fetchesNextRowOf;
  /// Parts of the body that are the same at every point (a learning rate): computed once, before the loops.
  std::vector<graph::ExprRef> once;
};

/// One loop nest that writes several returns of equal dimensions, each from an inlined expression of its point.
struct OutputSchedule {
  std::vector<uint32_t> returns;
  StageSchedule stage; ///< Root; one definition
};

struct Schedule {
  /// Each row is finished before the next one begins (row_form.h): inputs are overwritten in place by rows, and are
  /// ordinary arguments.
  bool byRows = false;
  std::string family;          ///< which template made it: "contraction", "general"
  std::vector<OpSchedule> ops; ///< of every comp, scatter, reshape and concat, in order
  /// Returns that ops `beside` find written already in the loops that they share with the output.
  std::vector<uint32_t> reread;
  std::vector<OutputSchedule> outputs; ///< returns that are in none of these are written by their own op's stage
};

/// Which sums may be made otherwise than term by term, with larger rounding errors (winograd.h): none, or what the
/// model finds faster.
enum class Sums : uint8_t { Direct, Fast };

/// Total: every kernel that the verifier accepts has a schedule. A pure function of its arguments.
Schedule chooseSchedule(const Kernel& kernel, const Machine& machine, Sums sums = Sums::Fast);

/// Deterministic text for `dnnc emit schedule` and for cache keys.
std::string print(const Schedule& schedule);

} // namespace dnn::schedule
