#include "runtime/data/statistics.h"

#include "runtime/support/extent.h"

#include <cmath>
#include <cstring>

namespace dnn::runtime {

namespace {

std::vector<double> meansOf(const Dataset& data, const Column& column, uint64_t width) {
  std::vector<double> sums(width, 0.0);
  for (uint64_t row = 0; row < data.rows; ++row) {
    for (uint64_t i = 0; i < width; ++i) {
      sums[i] += numberAt(column.dtype, column.row(row), i);
    }
  }
  for (double& sum : sums) {
    sum /= static_cast<double>(data.rows);
  }
  return sums;
}

std::vector<double> deviationsOf(const Dataset& data, const Column& column, const std::vector<double>& means) {
  std::vector<double> sums(means.size(), 0.0);
  for (uint64_t row = 0; row < data.rows; ++row) {
    for (uint64_t i = 0; i < means.size(); ++i) {
      double distance = numberAt(column.dtype, column.row(row), i) - means[i];
      sums[i] += distance * distance;
    }
  }
  for (double& sum : sums) {
    sum = std::sqrt(sum / static_cast<double>(data.rows));
    sum = sum > 0 ? sum : 1;
  }
  return sums;
}

} // namespace

Status fillStatistics(Machine& machine, DataStore& store) {
  const plan::Plan& plan = machine.plan();
  for (const plan::Source& source : plan.sources) {
    for (const plan::Statistic& statistic : source.statistics) {
      const Dataset* data = nullptr;
      if (Status status = store.load(source.name, data); !status.ok()) {
        return status;
      }
      if (statistic.field >= data->fields.size() || statistic.persistent >= plan.persistents.size()) {
        return failure(ExitCode::Internal, "the plan's statistics of `%s` do not fit", source.name.c_str());
      }
      const Column& column = data->fields[statistic.field];
      const plan::Persistent& state = plan.persistents[statistic.persistent];
      std::vector<double> values = meansOf(*data, column, byteCount(state.dtype, state.dims) / sizeof(float));
      if (statistic.kind == plan::Statistic::Kind::Deviation) {
        values = deviationsOf(*data, column, values);
      }
      std::vector<float> rounded(values.begin(), values.end());
      std::memcpy(machine.persistent(state), rounded.data(), rounded.size() * sizeof(float));
    }
  }
  return success();
}

} // namespace dnn::runtime
