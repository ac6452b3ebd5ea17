// Lines that a tile overwrites, or that are read soon, fetched while the tile is summed.
#pragma once

#include "Halide.h"

#include <map>
#include <string>
#include <vector>

namespace dnn::codegen {

/// The function that the pass calls, with a buffer and a number of bytes from its start on: fetches that line to be
/// written. The back end that makes machine code has an instruction for it.
inline constexpr const char* fetchToWrite = "dnn_fetch_to_write";

/// The same for a line that is read soon.
inline constexpr const char* fetchToReadSoon = "dnn_fetch_to_read_soon";

/// What is fetched for the tiles of one Func.
struct FetchedForTile {
  /// For `each` elements of `output` that are written `elements` of `buffer`, of so many bytes, `ahead` elements
  /// further than the proportional place.
  struct Read {
    std::string buffer;
    int64_t elements = 1, each = 1, ahead = 0, bytes = 4;
    bool soon = true; ///< into the first cache, else the second
  };
  bool overwritten = false; ///< lines of buffers that are loaded and stored
  bool written = false;     ///< lines of the output's buffers
  std::string output;       ///< the Func whose stores say which elements
  std::vector<Read> reads;
  std::string nest; ///< the Func in whose loops blocks of `tiles` tiles follow each other
  int64_t tiles = 1;
  std::vector<std::pair<std::string, int64_t>> blocks; ///< buffers, and bytes that each block reads behind the last one
};

/// A pass over lowered loops. Where a Func with such a description is computed and what reads it then overwrites
/// elements of buffers (an optimizer's update), or writes beside what is read, lines are fetched before, or in the
/// loops that compute it (spread_fetches.h):
///
///                                         fetch w[tile] to be written
///   compute tile                   →      compute tile
///   w[tile] = w[tile] - tile              w[tile] = w[tile] - tile
///
///                                         fetch a[tile], fetch x[tile, one image further], fetch y[tile] to be written
///   compute tile from x            →      compute tile from x
///   y[tile] = tile + a[tile]              y[tile] = tile + a[tile]
///
/// Where tiles are summed for one block of the terms after the other, each fetches its share of what the next block
/// reads.
///
/// In a step other threads have read the lines that are overwritten since this one wrote them, so their copies must be
/// given up before it may write; a store alone waits for that, one after the other. What is read has left the cache
/// since it was written, and memory would have nothing to do while tiles are summed. What is written alone is read all
/// the same, as whole lines are kept, and few stores wait for that at a time. Past the end of a buffer nothing
/// is read: a fetch of an address that does not exist does nothing.
class FetchForTile : public Halide::Internal::IRMutator {
public:
  explicit FetchForTile(std::map<std::string, FetchedForTile> tiles) : tiles_(std::move(tiles)) {}

private:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::Block* op) override;
  Halide::Internal::Stmt visit(const Halide::Internal::For* op) override;

  /// Of the loops around this place that are the nest's: a tile's share of the next block of each buffer.
  std::vector<struct FetchRun> nextBlock(const FetchedForTile& tile) const;

  std::map<std::string, FetchedForTile> tiles_;
  std::vector<const Halide::Internal::For*> loops_; ///< around this place, the outermost first
};

} // namespace dnn::codegen
