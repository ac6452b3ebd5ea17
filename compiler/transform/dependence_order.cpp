#include "compiler/transform/dependence_order.h"

#include "compiler/support/assert.h"

#include <algorithm>
#include <numeric>

namespace dnn::transform {

DependenceOrder::DependenceOrder(size_t count) : after_(count), before_(count), rank_(count), seen_(count) {
  std::iota(rank_.begin(), rank_.end(), size_t{0});
}

std::vector<size_t> DependenceOrder::within(const std::vector<std::vector<size_t>>& edges, size_t start, size_t low,
                                            size_t high) {
  ++search_;
  seen_[start] = search_;
  std::vector<size_t> found = {start};
  for (size_t i = 0; i < found.size(); ++i) {
    for (size_t next : edges[found[i]]) {
      if (seen_[next] != search_ && rank_[next] >= low && rank_[next] <= high) {
        seen_[next] = search_;
        found.push_back(next);
      }
    }
  }
  return found;
}

bool DependenceOrder::reaches(size_t from, size_t to) {
  if (rank_[from] >= rank_[to]) {
    return from == to;
  }
  within(after_, from, rank_[from], rank_[to]);
  return seen_[to] == search_;
}

void DependenceOrder::add(size_t from, size_t to) {
  if (rank_[from] > rank_[to]) {
    // What must come before `from` takes the first of the places that these and what must come after `to` have.
    size_t low = rank_[to];
    size_t high = rank_[from];
    std::vector<size_t> late = within(after_, to, low, high);
    DNN_ASSERT(seen_[from] != search_, "dependences have no cycle");
    std::vector<size_t> order = within(before_, from, low, high);
    auto byRank = [&](size_t node) { return rank_[node]; };
    std::ranges::sort(late, {}, byRank);
    std::ranges::sort(order, {}, byRank);
    order.insert(order.end(), late.begin(), late.end());
    std::vector<size_t> ranks(order.size());
    std::ranges::transform(order, ranks.begin(), byRank);
    std::ranges::sort(ranks);
    for (size_t i = 0; i < order.size(); ++i) {
      rank_[order[i]] = ranks[i];
    }
  }
  after_[from].push_back(to);
  before_[to].push_back(from);
}

} // namespace dnn::transform
