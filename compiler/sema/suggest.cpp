#include "compiler/sema/suggest.h"

#include <algorithm>
#include <numeric>

namespace dnn::sema {

namespace {

/// Longer names are not compared: nobody mistypes them, and the cost is quadratic.
constexpr size_t kMaxLength = 64;

size_t editDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

} // namespace

std::string nearestName(const std::string& name, const std::vector<std::string>& candidates) {
  std::string best;
  if (name.size() > kMaxLength) {
    return best;
  }
  size_t limit = (name.size() + 1) / 3; // none for one letter: everything is near to that
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kMaxLength || candidate == name) {
      continue;
    }
    size_t distance = editDistance(name, candidate);
    if (distance <= limit && (best.empty() || distance < editDistance(name, best))) {
      best = candidate;
    }
  }
  return best;
}

std::string didYouMean(const std::string& name, const std::vector<std::string>& candidates) {
  std::string best = nearestName(name, candidates);
  return best.empty() ? "" : "did you mean `" + best + "`?";
}

std::string counted(size_t count, const std::string& thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

} // namespace dnn::sema
