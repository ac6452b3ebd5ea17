// Placing buffers with known lives in one piece of memory. Private to the memory plan.
#pragma once

#include "compiler/transform/memory_plan.h"

#include <span>

namespace dnn::transform {

/// Rounded up to a multiple of 64, at which every buffer begins.
uint64_t aligned(uint64_t bytes);
/// Of the largest tensor of this type.
uint64_t bytesFor(const TensorType& type, std::span<const Symbol> symbols);
/// Largest first, each into the lowest gap between the buffers already placed that are alive at the same time.
/// Offsets are multiples of 64. Returns the peak.
uint64_t placeBuffers(std::vector<ArenaBuffer>& buffers);
/// The most bytes that are alive at one of the positions, which no placement can beat.
uint64_t mostAliveAtOnce(const std::vector<ArenaBuffer>& buffers, size_t positions);

} // namespace dnn::transform
