#include "runtime/train/metrics.h"

#include "runtime/support/text.h"

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

double readScalar(Machine& machine, const plan::Port& port) {
  const uint8_t* at = machine.arena(port.offset);
  switch (port.dtype) {
  case plan::DType::F32: return load<float>(at);
  case plan::DType::F64: return load<double>(at);
  case plan::DType::I32: return load<int32_t>(at);
  case plan::DType::I64: return load<int64_t>(at);
  case plan::DType::U8:
  case plan::DType::Bool: return load<uint8_t>(at);
  case plan::DType::U32: return load<uint32_t>(at);
  }
  return 0;
}

void addOutputs(Machine& machine, const plan::Entry& entry, uint64_t rows, std::vector<double>& sums, double& weight) {
  sums.resize(entry.outputs.size());
  double share = rows > 0 ? static_cast<double>(rows) : 1;
  for (size_t i = 0; i < sums.size(); ++i) {
    sums[i] += share * readScalar(machine, entry.outputs[i]);
  }
  weight += share;
}

std::vector<Metric> averages(const plan::Entry& entry, const std::string& prefix, const std::vector<double>& sums,
                             double weight) {
  std::vector<Metric> metrics;
  for (size_t i = 0; i < sums.size() && weight > 0; ++i) {
    metrics.push_back({prefix + entry.outputs[i].name, sums[i] / weight});
  }
  return metrics;
}

const Metric* findMetric(const std::vector<Metric>& metrics, const std::string& name) {
  for (const Metric& metric : metrics) {
    if (metric.name == name) {
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
  double size = std::fabs(metric.value);

  bool plain = size == 0 || (size >= 1e-3 && size < 1000);
  return plain ? format("%s %.4f", metric.name.c_str(), metric.value)
               : format("%s %.4g", metric.name.c_str(), metric.value);
}

} // namespace dnn::runtime
