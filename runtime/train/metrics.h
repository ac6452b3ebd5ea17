// Averages of what a program logs.
#pragma once

#include "runtime/machine/machine.h"

#include <functional>
#include <string>
#include <vector>

namespace dnn::runtime {

struct Metric {
  std::string name; // "loss", "te.acc"
  double value = 0;
  std::vector<double> values; // of a log with dimensions, in row-major order; then `value` means nothing
};

/// The scalar that the last call left in an output port.
double readScalar(Machine& machine, const plan::Port& port);

/// How many numbers the entry logs in all; images are none.
uint64_t loggedNumbers(const plan::Entry& entry);
uint64_t loggedNumbers(const plan::Port& log);

/// Adds each number of the last call's logs, times the number of examples (1 if there are none), to `sums`, and that
/// number to the weight of each of the entry's outputs.
void addOutputs(Machine& machine, const plan::Entry& entry, uint64_t rows, double* sums, double* weights);

/// The averages of the logs that have a weight and that `wanted` chooses, named PREFIX + output.
std::vector<Metric> averages(
    const plan::Entry& entry, const std::string& prefix, const double* sums, const double* weights,
    const std::function<bool(const plan::Port&)>& wanted = [](const plan::Port&) { return true; });

/// Is what happens so often due after `count` steps, or epochs?
bool isDue(const plan::Every& every, uint64_t count, bool steps);

/// A single number; null if there is none of this name.
const Metric* findMetric(const std::vector<Metric>& metrics, const std::string& name);

/// Whether a metric of this name is better when it is smaller: its last part is or ends in loss, error, mse, mae, nll
/// or perplexity.
bool smallerIsBetter(const std::string& name);

/// "loss 0.2134", with a few significant digits.
std::string text(const Metric& metric);
/// Those that are single numbers, in a row.
std::string text(const std::vector<Metric>& metrics);

} // namespace dnn::runtime
