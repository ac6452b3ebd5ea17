#include "runtime/train/watch.h"

#include "runtime/pool/kernel_abi.h"
#include "runtime/pool/pool.h"
#include "runtime/support/extent.h"
#include "runtime/support/text.h"
#include "runtime/train/metrics.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

namespace dnn::runtime {

namespace {

/// A large tensor in pieces, each counted by one thread while it is still in that thread's cache.
struct Pieces {
  static constexpr uint64_t length = 1 << 15;
  const uint8_t* data;
  plan::DType dtype;
  uint64_t count;
  std::atomic<uint64_t> found{0};
};

uint64_t countPiece(const uint8_t* data, plan::DType dtype, uint64_t count) {
  auto number = static_cast<int64_t>(count);
  switch (dtype) {
  case plan::DType::F32: return dnn_count_nonfinite_f32(reinterpret_cast<const float*>(data), number);
  case plan::DType::BF16: return dnn_count_nonfinite_16(reinterpret_cast<const uint16_t*>(data), number, 0x7F80);
  case plan::DType::F16: return dnn_count_nonfinite_16(reinterpret_cast<const uint16_t*>(data), number, 0x7C00);
  case plan::DType::F64: {
    uint64_t found = 0;
    for (uint64_t i = 0; i < count; ++i) {
      double value;
      std::memcpy(&value, data + i * sizeof value, sizeof value);
      found += std::isfinite(value) ? 0 : 1;
    }
    return found;
  }
  case plan::DType::I32:
  case plan::DType::I64:
  case plan::DType::U8:
  case plan::DType::U32:
  case plan::DType::Bool: return 0;
  }
  return 0;
}

uint64_t countNonfinite(const uint8_t* data, plan::DType dtype, uint64_t count) {
  if (count < 2 * Pieces::length) {
    return countPiece(data, dtype, count);
  }
  Pieces pieces{data, dtype, count};
  auto countOne = [](void*, int piece, uint8_t* closure) {
    auto* all = reinterpret_cast<Pieces*>(closure);
    uint64_t first = static_cast<uint64_t>(piece) * Pieces::length;
    uint64_t start = first * static_cast<uint64_t>(plan::byteSize(all->dtype));
    all->found += countPiece(all->data + start, all->dtype, std::min(Pieces::length, all->count - first));
    return 0;
  };
  auto number = static_cast<int>((count + Pieces::length - 1) / Pieces::length);
  Pool::global().parallelFor(nullptr, countOne, 0, number, reinterpret_cast<uint8_t*>(&pieces));
  return pieces.found;
}

Status diverged(uint64_t step, uint64_t epoch, const std::string& what) {
  return failure(ExitCode::Diverged, "step %llu (epoch %llu): %s; a smaller learning rate may help",
                 static_cast<unsigned long long>(step), static_cast<unsigned long long>(epoch), what.c_str());
}

Status checkLosses(Machine& machine, const plan::Entry& entry, uint64_t step, uint64_t epoch) {
  for (uint32_t index : entry.watchedOutputs) {
    double value = readScalar(machine, entry.outputs[index]);
    if (!std::isfinite(value)) {
      return diverged(step, epoch,
                      format("`%s` is %s", entry.outputs[index].name.c_str(), std::isnan(value) ? "NaN" : "infinite"));
    }
  }
  return success();
}

} // namespace

Status checkFinite(Machine& machine, const plan::Entry& entry, uint64_t step, uint64_t epoch) {
  if (Status status = checkLosses(machine, entry, step, epoch); !status.ok()) {
    return status;
  }
  return checkTensors(machine, entry.watchedPersistents, step, epoch);
}

Status checkTensors(Machine& machine, const std::vector<uint32_t>& indices, uint64_t step, uint64_t epoch) {
  for (uint32_t index : indices) {
    const plan::Persistent& tensor = machine.plan().persistents[index];
    uint64_t count = 0;
    elementCount(tensor.dims, count);
    uint64_t bad = countNonfinite(machine.persistent(tensor), tensor.dtype, count);
    if (bad > 0) {
      return diverged(step, epoch,
                      format("%s of the %s values of `%s` are NaN or infinite", grouped(bad).c_str(),
                             grouped(count).c_str(), tensor.path.c_str()));
    }
  }
  return success();
}

Status checkFiniteShare(Machine& machine, const plan::Entry& entry, uint64_t step, uint64_t epoch) {
  constexpr uint64_t length = 1024; // values of a piece; the pieces of all tensors are numbered through
  constexpr uint64_t few = 4;       // pieces that are looked at in every step
  if (Status status = checkLosses(machine, entry, step, epoch); !status.ok()) {
    return status;
  }
  uint64_t before = 0; // pieces of the tensors before
  for (uint32_t index : entry.watchedPersistents) {
    const plan::Persistent& tensor = machine.plan().persistents[index];
    uint64_t count = 0;
    elementCount(tensor.dims, count);
    uint64_t pieces = (count + length - 1) / length;
    bool always = before + pieces <= few;
    uint64_t stride = always ? 1 : watchSteps;
    auto width = static_cast<uint64_t>(plan::byteSize(tensor.dtype));
    for (uint64_t piece = always ? 0 : (step % watchSteps + watchSteps - before % watchSteps) % watchSteps;
         piece < pieces; piece += stride) {
      uint64_t first = piece * length;
      const uint8_t* data = machine.persistent(tensor) + first * width;
      if (countNonfinite(data, tensor.dtype, std::min(length, count - first)) > 0) {
        return checkFinite(machine, entry, step, epoch); // with the number of all
      }
    }
    before += pieces;
  }
  return success();
}

} // namespace dnn::runtime
