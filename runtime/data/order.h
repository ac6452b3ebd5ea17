// The order in which an epoch visits the examples: a function of the seed, the epoch and the source's name alone.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace dnn::runtime {

/// Fills `order` with 0 … rows-1: in this order, or shuffled (Fisher–Yates over Philox blocks with their own key, so
/// that they never meet the draws of the program).
void epochOrder(uint64_t rows, bool shuffle, uint64_t seed, uint64_t epoch, std::string_view source,
                std::vector<uint32_t>& order);

/// Puts examples of similar length beside each other: within every 64 batches of the order they are sorted by length,
/// then, in a shuffled order, whole batches change places (an incomplete one stays last).
void bucketOrder(const std::function<int64_t(uint32_t)>& length, uint64_t batch, bool shuffle, uint64_t seed,
                 uint64_t epoch, std::string_view source, std::vector<uint32_t>& order);

/// The order of a file's rows before a split takes its part of them: a permutation fixed by its seed and the number of
/// rows alone, the same for every source.
void splitOrder(uint64_t rows, uint64_t seed, std::vector<uint32_t>& order);

/// The seed of the draws in one batch of an evaluation or prediction: batch 0 uses the seed itself, so that rows in
/// different batches do not see the same draws.
uint64_t batchSeed(uint64_t seed, uint64_t batch);

} // namespace dnn::runtime
