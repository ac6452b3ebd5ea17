// Means and deviations of the training data, as states of the program.
#pragma once

#include "runtime/data/dataset.h"

namespace dnn::runtime {

/// Computes, for each source that has some, the statistics of its fields over all its examples (element by element, in
/// f64, in the order of the data) and writes them into the program's states. The deviation is that of the whole set,
/// √(Σ(x - mean)²/n); where it is 0 it is written as 1, so that it can divide.
Status fillStatistics(Machine& machine, DataStore& store);

} // namespace dnn::runtime
