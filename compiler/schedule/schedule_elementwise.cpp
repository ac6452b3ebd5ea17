#include "compiler/schedule/templates.h"

#include <algorithm>

namespace dnn::schedule {

int64_t taskSize(const Machine& machine, int64_t extent) {
  int64_t tasks = std::max(2, 4 * machine.cores);
  return std::max<int64_t>(1, (extent + tasks - 1) / tasks);
}

int64_t chainsOf(double cost) {
  constexpr double longChain = 18; // an exponential
  return cost >= longChain ? 2 : 1;
}

Nest elementwiseNest(const Analysis& analysis, const Machine& machine, const std::vector<Dim>& dims, int elementBytes,
                     double cost, Loads loads, int64_t chains) {
  Nest nest;
  int64_t lanes = machine.lanes(std::max(elementBytes, 4));
  double work = cost / static_cast<double>(lanes);
  std::optional<size_t> vector; // the innermost dimension with more than one element
  std::optional<size_t> outermost;
  for (size_t d = 0; d < dims.size(); ++d) {
    int64_t extent = analysis.maxOf(dims[d]);
    work *= static_cast<double>(extent);
    if (extent > 1) {
      vector = d;
      outermost = outermost ? outermost : d;
    }
  }
  if (!vector) {
    return nest;
  }
  if (analysis.maxOf(dims[*vector]) >= 8 * chains * lanes) {
    lanes *= chains;
  }
  auto name = [](size_t d) { return "i" + std::to_string(d); };
  std::string vectorLoop = name(*vector);
  if (work >= parallelWork) {
    int64_t size = taskSize(machine, analysis.maxOf(dims[*outermost]));
    if (*outermost == *vector) {
      // The last piece runs to its end, without storing: of few elements most would be that.
      constexpr int64_t mostOfAnySize = 1 << 14;
      size = dims[*outermost].isStatic() ? size : std::min(size, mostOfAnySize);
      size = (size + lanes - 1) / lanes * lanes;
      vectorLoop = name(*vector) + "_piece";
      nest.splits.push_back({name(*outermost), "task", vectorLoop, size, Tail::Guard});
    } else {
      nest.splits.push_back({name(*outermost), "task", name(*outermost) + "_row", size, Tail::Guard});
    }
    nest.parallel.push_back("task");
  }
  const Dim& along = dims[*vector];
  bool whole = along.isStatic() && along.constant() % lanes == 0;
  if (!whole && along.isStatic() && along.constant() <= lanes && vectorLoop == name(*vector)) {
    nest.vectorized.push_back(vectorLoop); // as one short vector: masks are slower, and fail where loads run backwards
    return nest;
  }
  if (loads == Loads::Backward && !whole) {
    return nest;
  }
  // Masked loads of single bytes are slow.
  Tail tail = whole ? Tail::RoundUp : loads == Loads::Forward && elementBytes >= 4 ? Tail::Predicate : Tail::Guard;
  nest.splits.push_back({vectorLoop, "vector", "lane", lanes, tail});
  nest.vectorized.push_back("lane");
  return nest;
}

} // namespace dnn::schedule
