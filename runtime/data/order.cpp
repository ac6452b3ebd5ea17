#include "runtime/data/order.h"

#include "runtime/random/philox.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace dnn::runtime {

namespace {

/// FNV-1a: tells sources apart.
uint32_t hashOf(std::string_view text) {
  uint32_t hash = 2166136261u;
  for (char c : text) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  }
  return hash;
}

// Keys of their own for the streams of this file, so that they never meet the program's draws.
constexpr uint64_t epochKey = 0x6f72646572206f66;
constexpr uint64_t splitKey = 0x73706c6974206f66;
constexpr uint64_t bucketKey = 0x6275636b65742020;

/// Fisher–Yates over the Philox blocks with counter {i/2, site, epoch low, epoch high}.
void shuffle(std::vector<uint32_t>& order, PhiloxKey key, uint32_t site, uint64_t epoch) {
  PhiloxBlock block{};
  for (uint64_t i = order.size(); i > 1; --i) {
    // Each block holds two 64-bit numbers: one for an even i, one for the odd i above it.
    if (i == order.size() || i % 2 == 1) {
      block = philox4x32(
          {static_cast<uint32_t>(i / 2), site, static_cast<uint32_t>(epoch), static_cast<uint32_t>(epoch >> 32)}, key);
    }
    size_t half = i % 2 == 0 ? 0 : 2;
    uint64_t bits = uint64_t{block[half]} << 32 | block[half + 1];
    __extension__ using Wide = unsigned __int128;
    auto j = static_cast<uint64_t>(static_cast<Wide>(bits) * i >> 64); // uniform in 0 … i-1
    std::swap(order[i - 1], order[j]);
  }
}

} // namespace

void epochOrder(uint64_t rows, bool shuffled, uint64_t seed, uint64_t epoch, std::string_view source,
                std::vector<uint32_t>& order) {
  order.resize(rows);
  std::iota(order.begin(), order.end(), 0u);
  if (shuffled) {
    shuffle(order, philoxKey(seed ^ epochKey), hashOf(source), epoch);
  }
}

void bucketOrder(const std::function<int64_t(uint32_t)>& length, uint64_t batch, bool shuffled, uint64_t seed,
                 uint64_t epoch, std::string_view source, std::vector<uint32_t>& order) {
  constexpr uint64_t batches = 64; // sorted together: short enough that epochs differ, long enough for equal lengths
  for (uint64_t first = 0; first < order.size(); first += batches * batch) {
    auto begin = order.begin() + static_cast<int64_t>(first);
    auto end = order.begin() + static_cast<int64_t>(std::min<uint64_t>(first + batches * batch, order.size()));
    std::stable_sort(begin, end, [&](uint32_t a, uint32_t b) { return length(a) < length(b); });
  }
  if (!shuffled) {
    return;
  }
  std::vector<uint32_t> places(order.size() / batch);
  std::iota(places.begin(), places.end(), 0u);
  shuffle(places, philoxKey(seed ^ bucketKey), hashOf(source), epoch);
  std::vector<uint32_t> sorted = order;
  for (uint64_t place = 0; place < places.size(); ++place) {
    auto from = sorted.begin() + static_cast<int64_t>(places[place] * batch);
    std::copy_n(from, batch, order.begin() + static_cast<int64_t>(place * batch));
  }
}

void splitOrder(uint64_t rows, uint64_t seed, std::vector<uint32_t>& order) {
  order.resize(rows);
  std::iota(order.begin(), order.end(), 0u);
  shuffle(order, philoxKey(seed ^ splitKey), 0, 0);
}

uint64_t batchSeed(uint64_t seed, uint64_t batch) { return seed + batch * 0x9E3779B97F4A7C15; }

} // namespace dnn::runtime
