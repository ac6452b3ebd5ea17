#include "compiler/schedule/templates.h"

#include <algorithm>

namespace dnn::schedule {

void unrollTerms(Nest& sum, const std::string& loop, int64_t terms, bool inPairs) {
  int64_t together = terms % 4 == 0 ? 4 : terms % 2 == 0 && inPairs ? 2 : 1;
  if (together == 1 || together == terms) {
    return;
  }
  const std::string outer = loop + "_steps", inner = loop + "_terms";
  sum.splits.push_back({loop, outer, inner, together, Tail::Guard});
  auto place = std::ranges::find(sum.order, loop);
  *place = outer;
  sum.order.insert(place, inner);
  sum.unrolled.push_back(inner);
  std::ranges::replace(sum.undivided, loop, outer);
}

} // namespace dnn::schedule
