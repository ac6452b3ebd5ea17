#include "runtime/data/statistics.h"

#include "runtime/support/extent.h"

#include <cmath>
#include <cstring>

namespace dnn::runtime {

namespace {

/// The mean of f(value, i) over all rows, for each element i.
template <class F> Status meansOf(const Dataset& data, size_t field, uint64_t width, F f, std::vector<double>& sums) {
  sums.assign(width, 0.0);
  std::vector<uint8_t> scratch;
  for (uint64_t row = 0; row < data.rows; ++row) {
    const uint8_t* values = nullptr;
    if (Status status = rowOf(data, field, row, scratch, values); !status.ok()) {
      return status;
    }
    for (uint64_t i = 0; i < width; ++i) {
      sums[i] += f(numberAt(data.fields[field].dtype, values, i), i);
    }
  }
  for (double& sum : sums) {
    sum /= static_cast<double>(data.rows);
  }
  return success();
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
      const plan::Persistent& state = plan.persistents[statistic.persistent];
      uint64_t width = byteCount(state.dtype, state.dims) / sizeof(float);
      std::vector<double> values;
      Status status = meansOf(*data, statistic.field, width, [](double value, uint64_t) { return value; }, values);
      if (status.ok() && statistic.kind == plan::Statistic::Kind::Deviation) {
        std::vector<double> means = values;
        auto square = [&](double value, uint64_t i) { return (value - means[i]) * (value - means[i]); };
        status = meansOf(*data, statistic.field, width, square, values);
        for (double& value : values) {
          value = value > 0 ? std::sqrt(value) : 1;
        }
      }
      if (!status.ok()) {
        return status;
      }
      std::vector<float> rounded(values.begin(), values.end());
      std::memcpy(machine.persistent(state), rounded.data(), rounded.size() * sizeof(float));
    }
  }
  return success();
}

} // namespace dnn::runtime
