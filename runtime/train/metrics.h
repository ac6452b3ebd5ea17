// Averages of what a program logs.
#pragma once

#include "runtime/machine/machine.h"

#include <string>
#include <vector>

namespace dnn::runtime {

struct Metric {
  std::string name; // "loss", "te.acc"
  double value = 0;
};

/// The scalar that the last call left in an output port.
double readScalar(Machine& machine, const plan::Port& port);

/// Adds each output of the last call, times the number of examples, to `sums`.
void addOutputs(Machine& machine, const plan::Entry& entry, uint64_t rows, std::vector<double>& sums, double& weight);

/// The averages, named PREFIX + output.
std::vector<Metric> averages(const plan::Entry& entry, const std::string& prefix, const std::vector<double>& sums,
                             double weight);

const Metric* findMetric(const std::vector<Metric>& metrics, const std::string& name);

/// Whether a metric of this name is better when it is smaller: its last part is or ends in loss, error, mse, mae, nll
/// or perplexity.
bool smallerIsBetter(const std::string& name);

/// "loss 0.2134", with a few significant digits.
std::string text(const Metric& metric);

} // namespace dnn::runtime
