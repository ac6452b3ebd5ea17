// Lines that a tile overwrites, fetched while the tile is summed.
#pragma once

#include "Halide.h"

#include <set>
#include <string>

namespace dnn::codegen {

/// The function that the pass calls, with a buffer and a number of bytes from its start on: fetches that line to be
/// written. The back end that makes machine code has an instruction for it.
inline constexpr const char* fetchToWrite = "dnn_fetch_to_write";

/// A pass over lowered loops. Where a Func of `tiles` is computed and what reads it then overwrites elements of buffers
/// (an optimizer's update), the lines with these elements are fetched before:
///
///                                         fetch w[tile] to be written
///   compute tile                   →      compute tile
///   w[tile] = w[tile] - tile              w[tile] = w[tile] - tile
///
/// In a step other threads have read these lines since this one wrote them, so their copies must be given up before it
/// may write; a store alone waits for that, one after the other.
class FetchOverwritten : public Halide::Internal::IRMutator {
public:
  explicit FetchOverwritten(std::set<std::string> tiles) : tiles_(std::move(tiles)) {}

private:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::Block* op) override;

  std::set<std::string> tiles_;
};

} // namespace dnn::codegen
