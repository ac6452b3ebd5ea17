#include "runtime/train/metrics.h"

#include "runtime/support/extent.h"
#include "runtime/support/text.h"
#include "runtime/types/half.h"

#include <cmath>
#include <cstring>

namespace dnn::runtime {

namespace {

template <class T> double load(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return static_cast<double>(value);
}

} // namespace

namespace {

double readNumber(Machine& machine, const plan::Port& port, uint64_t index) {
  const uint8_t* at = machine.arena(port.offset) + index * static_cast<uint64_t>(plan::byteSize(port.dtype));
  switch (port.dtype) {
  case plan::DType::F32: return load<float>(at);
  case plan::DType::F64: return load<double>(at);
  case plan::DType::I32: return load<int32_t>(at);
  case plan::DType::I64: return load<int64_t>(at);
  case plan::DType::U8:
  case plan::DType::Bool: return load<uint8_t>(at);
  case plan::DType::U32: return load<uint32_t>(at);
  case plan::DType::BF16: return load<Bf16>(at);
  case plan::DType::F16: return load<F16>(at);
  }
  return 0;
}

} // namespace

uint64_t loggedNumbers(const plan::Port& log) {
  uint64_t count = 0;
  elementCount(log.dims, count);
  return log.image ? 0 : count;
}

double readScalar(Machine& machine, const plan::Port& port) { return readNumber(machine, port, 0); }

uint64_t loggedNumbers(const plan::Entry& entry) {
  uint64_t count = 0;
  for (const plan::Port& port : entry.outputs) {
    count += loggedNumbers(port);
  }
  return count;
}

void addOutputs(Machine& machine, const plan::Entry& entry, uint64_t rows, double* sums, double* weights) {
  double share = rows > 0 ? static_cast<double>(rows) : 1;
  for (const plan::Port& port : entry.outputs) {
    for (uint64_t i = 0; i < loggedNumbers(port); ++i) {
      *sums++ += share * readNumber(machine, port, i);
    }
    *weights++ += share;
  }
}

std::vector<Metric> averages(const plan::Entry& entry, const std::string& prefix, const double* sums,
                             const double* weights, const std::function<bool(const plan::Port&)>& wanted) {
  std::vector<Metric> metrics;
  for (const plan::Port& port : entry.outputs) {
    uint64_t count = loggedNumbers(port);
    double weight = wanted(port) ? *weights : 0;
    ++weights;
    if (weight > 0 && port.dims.empty()) {
      metrics.push_back({prefix + port.name, *sums / weight, {}});
    } else if (weight > 0 && count > 0) {
      Metric& metric = metrics.emplace_back(Metric{prefix + port.name, 0, {}});
      for (uint64_t i = 0; i < count; ++i) {
        metric.values.push_back(sums[i] / weight);
      }
    }
    sums += count;
  }
  return metrics;
}

bool isDue(const plan::Every& every, uint64_t count, bool steps) {
  return every.steps == steps && count % every.count == 0;
}

const Metric* findMetric(const std::vector<Metric>& metrics, const std::string& name) {
  for (const Metric& metric : metrics) {
    if (metric.name == name && metric.values.empty()) {
      return &metric;
    }
  }
  return nullptr;
}

bool smallerIsBetter(const std::string& name) {
  for (const char* ending : {"loss", "error", "mse", "mae", "nll", "perplexity"}) {
    size_t length = std::strlen(ending);
    if (name.size() >= length && name.compare(name.size() - length, length, ending) == 0) {
      return true;
    }
  }
  return false;
}

std::string text(const Metric& metric) {
  if (!metric.values.empty()) {
    std::string all = metric.name;
    for (double value : metric.values) {
      all += format(" %.6g", value);
    }
    return all;
  }
  double size = std::fabs(metric.value);
  bool plain = size == 0 || (size >= 1e-3 && size < 1000);
  return plain ? format("%s %.4f", metric.name.c_str(), metric.value)
               : format("%s %.4g", metric.name.c_str(), metric.value);
}

std::string text(const std::vector<Metric>& metrics) {
  std::string all;
  for (const Metric& metric : metrics) {
    if (metric.values.empty()) {
      all += (all.empty() ? "" : "  ") + text(metric);
    }
  }
  return all;
}

} // namespace dnn::runtime
