#include "runtime/data/statistics.h"

#include "runtime/data/gather.h"
#include "runtime/support/extent.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace dnn::runtime {

namespace {

using plan::Statistic;

/// What a statistic needs of one field: the mean of each element, then the mean of the squares of what it is off by.
struct Sums {
  uint32_t field = 0;
  bool deviation = false;
  std::vector<double> mean;
  std::vector<double> square;
};

/// Adds f(value, i) of all rows to the sums, for each element i of the fields that `wanted` picks; then the means of
/// them. All fields in one pass: data in files is read as often.
template <class Wanted, class Add>
Status passOver(const Dataset& data, std::vector<Sums>& all, Wanted wanted, std::vector<double> Sums::* result,
                Add add) {
  RowValues scratch;
  for (uint64_t row = 0; row < data.rows; ++row) {
    if (Status status = readRow(data, row, scratch); !status.ok()) {
      return status;
    }
    for (Sums& sums : all) {
      const uint8_t* values = fieldOf(data, sums.field, row, scratch);
      std::vector<double>& to = sums.*result;
      for (uint64_t i = 0; wanted(sums) && i < to.size(); ++i) {
        to[i] += add(sums, numberAt(data.fields[sums.field].dtype, values, i), i);
      }
    }
  }
  for (Sums& sums : all) {
    for (double& sum : sums.*result) {
      sum /= static_cast<double>(data.rows);
    }
  }
  return success();
}

Status sumOver(const Dataset& data, std::vector<Sums>& all) {
  auto any = [](const Sums&) { return true; };
  auto value = [](const Sums&, double value, uint64_t) { return value; };
  Status status = passOver(data, all, any, &Sums::mean, value);
  auto deviates = [](const Sums& sums) { return sums.deviation; };
  auto square = [](const Sums& sums, double value, uint64_t i) {
    return (value - sums.mean[i]) * (value - sums.mean[i]);
  };
  bool second = std::ranges::any_of(all, deviates);
  return status.ok() && second ? passOver(data, all, deviates, &Sums::square, square) : status;
}

} // namespace

Status fillStatistics(Machine& machine, DataStore& store) {
  const plan::Plan& plan = machine.plan();
  for (const plan::Source& source : plan.sources) {
    if (source.statistics.empty()) {
      continue;
    }
    const Dataset* data = nullptr;
    if (Status status = store.load(source.name, data); !status.ok()) {
      return status;
    }
    std::vector<Sums> all;
    auto sumsOf = [&](const Statistic& statistic) { return std::ranges::find(all, statistic.field, &Sums::field); };
    for (const Statistic& statistic : source.statistics) {
      if (statistic.field >= data->fields.size() || statistic.persistent >= plan.persistents.size()) {
        return failure(ExitCode::Internal, "the plan's statistics of `%s` do not fit", source.name.c_str());
      }
      const plan::Persistent& state = plan.persistents[statistic.persistent];
      uint64_t width = byteCount(state.dtype, state.dims) / sizeof(float);
      if (sumsOf(statistic) == all.end()) {
        all.push_back({statistic.field, false, std::vector<double>(width), std::vector<double>(width)});
      }
      sumsOf(statistic)->deviation |= statistic.kind == Statistic::Kind::Deviation;
    }
    if (Status status = sumOver(*data, all); !status.ok()) {
      return status;
    }
    for (const Statistic& statistic : source.statistics) {
      const Sums& sums = *sumsOf(statistic);
      std::vector<float> values(sums.mean.begin(), sums.mean.end());
      for (size_t i = 0; statistic.kind == Statistic::Kind::Deviation && i < values.size(); ++i) {
        values[i] = sums.square[i] > 0 ? static_cast<float>(std::sqrt(sums.square[i])) : 1;
      }
      std::memcpy(machine.persistent(plan.persistents[statistic.persistent]), values.data(),
                  values.size() * sizeof(float));
    }
  }
  return success();
}

} // namespace dnn::runtime
