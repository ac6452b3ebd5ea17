// "did you mean": the name that was probably meant.
#pragma once

#include <string>
#include <vector>

namespace dnn::sema {

/// The candidate nearest to `name` by edit distance, if it is near; else "".
std::string nearestName(const std::string& name, const std::vector<std::string>& candidates);
/// "did you mean `x`?", or "" if nothing is near.
std::string didYouMean(const std::string& name, const std::vector<std::string>& candidates);
/// "1 file", "2 files".
std::string counted(size_t count, const std::string& thing);

} // namespace dnn::sema
