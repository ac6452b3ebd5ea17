#include "runtime/checkpoint/checkpoint.h"

#include "runtime/plan/bytes.h"
#include "runtime/support/extent.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <zlib.h>

namespace dnn::runtime {

namespace {

constexpr char magic[8] = {'d', 'n', 'n', 'c', 'k', 'p', 't', '\n'};
constexpr uint32_t version = 3;
constexpr uint64_t headerBytes = sizeof magic + sizeof(uint32_t) + sizeof(uint64_t);

uint32_t checksum(const uint8_t* bytes, uint64_t size) {
  return static_cast<uint32_t>(crc32_z(crc32_z(0, nullptr, 0), bytes, size));
}

void writeBest(ByteWriter& out, const Best& best) {
  out.number(static_cast<uint8_t>(best.found));
  out.number(best.value);
  out.number(best.epoch);
}

Best readBest(ByteReader& in) {
  Best best;
  best.found = in.number<uint8_t>() != 0;
  best.value = in.number<double>();
  best.epoch = in.number<uint64_t>();
  return best;
}

void writeState(ByteWriter& out, const TrainState& state) {
  for (uint64_t number :
       {state.seed, state.step, state.noted, state.phaseStep, state.phaseEpoch, state.epoch, state.position}) {
    out.number(number);
  }
  out.number(state.phase);
  out.number(static_cast<uint8_t>(state.ended));
  auto list = [&](const auto& numbers) {
    out.number(static_cast<uint32_t>(numbers.size()));
    for (auto number : numbers) {
      out.number(number);
    }
  };
  list(state.rows);
  list(state.logSums);
  list(state.logWeights);
  for (const Best& best : {state.best, state.patience, state.plateau}) {
    writeBest(out, best);
  }
}

TrainState readState(ByteReader& in) {
  TrainState state;
  for (uint64_t* number :
       {&state.seed, &state.step, &state.noted, &state.phaseStep, &state.phaseEpoch, &state.epoch, &state.position}) {
    *number = in.number<uint64_t>();
  }
  state.phase = in.number<uint32_t>();
  state.ended = in.number<uint8_t>() != 0;
  auto list = [&]<class T>(std::vector<T>& numbers) {
    uint32_t count = in.count(sizeof(T));
    for (uint32_t i = 0; i < count; ++i) {
      numbers.push_back(in.number<T>());
    }
  };
  list(state.rows);
  list(state.logSums);
  list(state.logWeights);
  for (Best* best : {&state.best, &state.patience, &state.plateau}) {
    *best = readBest(in);
  }
  return state;
}

/// False if the record is damaged.
bool readTensor(ByteReader& in, const uint8_t* bytes, CheckpointTensor& tensor) {
  uint64_t start = in.at();
  tensor.path = in.string();
  tensor.dtype = in.number<plan::DType>();
  uint32_t rank = in.count(sizeof(int64_t));
  uint64_t count = 0;
  if (!in.ok() || tensor.dtype > lastDType) {
    return false;
  }
  for (uint32_t i = 0; i < rank; ++i) {
    tensor.dims.push_back(in.number<int64_t>());
  }
  if (!elementCount(tensor.dims, count) || count > in.remaining()) {
    return false;
  }
  tensor.values = in.raw(byteCount(tensor.dtype, tensor.dims));
  uint64_t end = in.at();
  auto expected = in.number<uint32_t>();
  return in.ok() && checksum(bytes + start, end - start) == expected;
}

} // namespace

Status parseCheckpoint(const uint8_t* bytes, uint64_t size, const std::string& name, CheckpointFile& file) {
  ByteReader in(bytes, size);
  const uint8_t* start = in.raw(sizeof magic);
  if (start == nullptr || std::memcmp(start, magic, sizeof magic) != 0) {
    return failure(ExitCode::BadInput, "`%s` is not a checkpoint", name.c_str());
  }
  auto fileVersion = in.number<uint32_t>();
  auto fileSize = in.number<uint64_t>();
  if (in.ok() && fileVersion != version) {
    return failure(ExitCode::BadInput, "`%s` is a checkpoint of version %u; this program reads version %u",
                   name.c_str(), fileVersion, version);
  }
  if (!in.ok() || size < fileSize) {
    return failure(ExitCode::BadInput, "checkpoint `%s` is truncated: it has %llu of %llu bytes", name.c_str(),
                   static_cast<unsigned long long>(size),
                   static_cast<unsigned long long>(std::max(fileSize, headerBytes)));
  }
  uint32_t total = 0;
  bool sized = size == fileSize && size >= headerBytes + sizeof total;
  if (sized) {
    std::memcpy(&total, bytes + size - sizeof total, sizeof total);
  }
  if (!sized || checksum(bytes, size - sizeof total) != total) {
    return failure(ExitCode::BadInput, "checkpoint `%s` is damaged: its checksum does not match; use another copy",
                   name.c_str());
  }
  CheckpointFile result;
  result.fingerprint = in.string();
  result.state = readState(in);
  for (std::vector<CheckpointTensor>* set : {&result.tensors, &result.best, &result.start}) {
    uint32_t tensors = in.count(1);
    for (uint32_t i = 0; i < tensors; ++i) {
      if (!readTensor(in, bytes, set->emplace_back())) {
        return failure(ExitCode::BadInput, "checkpoint `%s` is damaged in record %u (`%s`); use another copy",
                       name.c_str(), i, printable(set->back().path).c_str());
      }
    }
  }
  if (!in.ok() || in.remaining() != sizeof total) {
    return failure(ExitCode::BadInput, "checkpoint `%s` is damaged; use another copy", name.c_str());
  }
  file = std::move(result);
  return success();
}

namespace {

std::map<std::string_view, const CheckpointTensor*> byPath(const std::vector<CheckpointTensor>& set) {
  std::map<std::string_view, const CheckpointTensor*> tensors;
  for (const CheckpointTensor& tensor : set) {
    tensors[tensor.path] = &tensor;
  }
  return tensors;
}

} // namespace

Status checkSameProgram(const plan::Plan& plan, const CheckpointFile& file, const std::string& name) {
  auto refuse = [&](const std::string& why) {
    return failure(ExitCode::BadInput, "checkpoint `%s` is of another network: %s", name.c_str(), why.c_str());
  };
  for (const std::vector<CheckpointTensor>* set : {&file.tensors, &file.best, &file.start}) {
    auto left = byPath(*set);
    if (set != &file.tensors && set->empty()) {
      continue; // a copy that this run does not need
    }
    for (const plan::Persistent& tensor : plan.persistents) {
      auto found = left.find(tensor.path);
      if (found == left.end()) {
        return refuse(format("it has no `%s`", tensor.path.c_str()));
      }
      const CheckpointTensor& stored = *found->second;
      if (stored.dtype != tensor.dtype || stored.dims != tensor.dims) {
        return refuse(format("`%s` is %s there and %s here", tensor.path.c_str(),
                             describe(stored.dtype, stored.dims).c_str(), describe(tensor.dtype, tensor.dims).c_str()));
      }
      left.erase(found);
    }
    if (!left.empty()) {
      return refuse(format("it has `%s`, which this program has not", printable(left.begin()->first).c_str()));
    }
  }
  if (file.fingerprint != plan.fingerprint) {
    return refuse(
        "the parameters have the same names and shapes, but the program that wrote it has another vocabulary");
  }
  if (file.state.phase >= plan.phases.size()) {
    return refuse("it stands in a phase that this program has not");
  }
  return success();
}

namespace {

void writeTensor(std::vector<uint8_t>& bytes, const plan::Persistent& tensor, const uint8_t* region) {
  ByteWriter out(bytes);
  size_t start = bytes.size();
  out.string(tensor.path);
  out.number(tensor.dtype);
  out.number(static_cast<uint32_t>(tensor.dims.size()));
  for (int64_t dim : tensor.dims) {
    out.number(dim);
  }
  out.raw(region + tensor.offset, byteCount(tensor.dtype, tensor.dims));
  out.number(checksum(bytes.data() + start, bytes.size() - start));
}

} // namespace

std::vector<uint8_t> encodeCheckpoint(const plan::Plan& plan, const uint8_t* persistents, const TrainState& state) {
  std::vector<uint8_t> bytes;
  ByteWriter out(bytes);
  out.raw(magic, sizeof magic);
  out.number(version);
  out.number(uint64_t{0}); // the size, filled in below
  out.string(plan.fingerprint);
  writeState(out, state);
  auto writeSet = [&](const uint8_t* region) {
    out.number(region == nullptr ? 0 : static_cast<uint32_t>(plan.persistents.size()));
    for (const plan::Persistent& tensor : plan.persistents) {
      if (region != nullptr) {
        writeTensor(bytes, tensor, region);
      }
    }
  };
  writeSet(persistents);
  writeSet(state.bestTensors.empty() ? nullptr : state.bestTensors.data());
  writeSet(state.startTensors.empty() ? nullptr : state.startTensors.data());
  uint64_t size = bytes.size() + sizeof(uint32_t);
  std::memcpy(bytes.data() + sizeof magic + sizeof version, &size, sizeof size);
  out.number(checksum(bytes.data(), bytes.size()));
  return bytes;
}

Status loadCheckpoint(const std::string& path, const plan::Plan& plan, uint8_t* persistents, TrainState& state) {
  std::vector<uint8_t> bytes;
  if (Status status = readFile(path, bytes); !status.ok()) {
    return status;
  }
  CheckpointFile file;
  if (Status status = parseCheckpoint(bytes.data(), bytes.size(), path, file); !status.ok()) {
    return status;
  }
  if (Status status = checkSameProgram(plan, file, path); !status.ok()) {
    return status;
  }
  auto fill = [&](const std::vector<CheckpointTensor>& set, uint8_t* region) {
    auto stored = byPath(set);
    for (const plan::Persistent& tensor : plan.persistents) {
      std::memcpy(region + tensor.offset, stored[tensor.path]->values, byteCount(tensor.dtype, tensor.dims));
    }
  };
  fill(file.tensors, persistents);
  for (auto [set, copy] : {std::pair{&file.best, &file.state.bestTensors}, {&file.start, &file.state.startTensors}}) {
    if (!set->empty()) {
      copy->resize(plan.persistentBytes);
      fill(*set, copy->data());
    }
  }
  state = std::move(file.state);
  return success();
}

Status savePart(const std::string& path, const plan::Plan& plan, const uint8_t* persistents, const std::string& part) {
  plan::Plan some;
  some.fingerprint = "part";
  for (const plan::Persistent& tensor : plan.persistents) {
    bool inside = tensor.path == part || tensor.path.compare(0, part.size() + 1, part + ".") == 0;
    if (inside && tensor.kind != plan::Persistent::Kind::OptimizerState) {
      some.persistents.push_back(tensor);
    }
  }
  return saveCheckpoint(path, some, persistents, {});
}

Status saveCheckpoint(const std::string& path, const plan::Plan& plan, const uint8_t* persistents,
                      const TrainState& state) {
  std::vector<uint8_t> bytes = encodeCheckpoint(plan, persistents, state);
  return writeFileAtomically(path, bytes.data(), bytes.size());
}

} // namespace dnn::runtime
