// Dependences between numbered things, without cycles; more of them may be added, each in about the time that the part
// of the order takes which it changes (Pearce and Kelly 2007).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dnn::transform {

class DependenceOrder {
public:
  /// Without dependences: 0, 1, … count - 1 in this order.
  explicit DependenceOrder(size_t count);

  /// `to` must come after `from`. It must not be that from has to come after to.
  void add(size_t from, size_t to);
  /// `to` has to come after `from`, by dependences and their chains; so is each one itself.
  bool reaches(size_t from, size_t to);

  size_t size() const { return after_.size(); }
  /// What must come after `from` by a dependence of its own, once for each.
  const std::vector<size_t>& after(size_t from) const { return after_[from]; }

private:
  std::vector<std::vector<size_t>> after_, before_;
  std::vector<size_t> rank_;   ///< of each, in an order that respects all dependences
  std::vector<uint64_t> seen_; ///< the number of the search that saw it last
  uint64_t search_ = 0;

  /// All that `edges` lead to from `start`, itself included, as far as the ranks are within [low, high].
  std::vector<size_t> within(const std::vector<std::vector<size_t>>& edges, size_t start, size_t low, size_t high);
};

} // namespace dnn::transform
