#include "runtime/checkpoint/initial_values.h"

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/data/elements.h"
#include "runtime/support/extent.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace dnn::runtime {

namespace {

/// What stands behind PREFIX in the path ("" for itself, ".w"); none if the path is elsewhere.
const char* below(const std::string& prefix, const std::string& path) {
  bool inside =
      path.compare(0, prefix.size(), prefix) == 0 && (path.size() == prefix.size() || path[prefix.size()] == '.');
  return inside ? path.c_str() + prefix.size() : nullptr;
}

std::string listed(const std::vector<std::string>& paths) {
  constexpr size_t most = 8;
  std::string text;
  for (size_t i = 0; i < paths.size() && i < most; ++i) {
    text += (i == 0 ? "" : ", ") + printable(paths[i]);
  }
  return paths.size() > most ? text + format(" and %zu more", paths.size() - most) : text;
}

/// f32 and floats of 16 bits are taken for each other, rounded where they must be.
bool convertible(plan::DType from, plan::DType to) {
  return from == to || (isFloat(from) && isFloat(to) && computedAs(from) == computedAs(to));
}

void copyAs(plan::DType from, const uint8_t* values, const plan::Persistent& tensor, uint8_t* to) {
  Column column;
  column.dtype = tensor.dtype;
  uint64_t count = 0;
  uint64_t bad = 0;
  elementCount(tensor.dims, count);
  if (from == tensor.dtype) {
    std::memcpy(to, values, byteCount(from, tensor.dims));
  } else if (convertInto(fileType(from), values, count, column, bad)) {
    std::memcpy(to, column.bytes.data(), column.bytes.size());
  }
}

Status take(Machine& machine, const plan::InitRule& rule, const std::string& path, bool quiet) {
  std::vector<uint8_t> bytes;
  if (Status status = readFile(path, bytes); !status.ok()) {
    status.message += format("; another file can be given with --init %s=PATH", rule.target.c_str());
    return status;
  }
  CheckpointFile file;
  if (Status status = parseCheckpoint(bytes.data(), bytes.size(), path, file); !status.ok()) {
    return status;
  }
  const std::vector<CheckpointTensor>& stored = file.state.ended && !file.best.empty() ? file.best : file.tensors;
  std::vector<std::pair<const plan::Persistent*, const CheckpointTensor*>> matched;
  std::vector<std::string> missing;
  std::vector<std::string> unused;
  for (const plan::Persistent& tensor : machine.plan().persistents) {
    const char* rest = below(rule.target, tensor.path);
    if (rest == nullptr || tensor.kind == plan::Persistent::Kind::OptimizerState) {
      continue;
    }
    std::string wanted = rule.source + rest;
    auto found =
        std::find_if(stored.begin(), stored.end(), [&](const CheckpointTensor& t) { return t.path == wanted; });
    if (found == stored.end()) {
      missing.push_back(tensor.path);
    } else if (!convertible(found->dtype, tensor.dtype) || found->dims != tensor.dims) {
      return failure(ExitCode::BadInput, "`%s` is %s in `%s` and %s here", tensor.path.c_str(),
                     describe(found->dtype, found->dims).c_str(), path.c_str(),
                     describe(tensor.dtype, tensor.dims).c_str());
    } else {
      matched.emplace_back(&tensor, &*found);
    }
  }
  for (const CheckpointTensor& tensor : stored) {
    bool taken = std::any_of(matched.begin(), matched.end(), [&](auto& pair) { return pair.second == &tensor; });
    if (below(rule.source, tensor.path) != nullptr && !taken) {
      unused.push_back(tensor.path);
    }
  }
  if (matched.empty()) {
    return failure(ExitCode::BadInput, "`%s` has nothing for `%s`: no tensor `%s…`", path.c_str(), rule.target.c_str(),
                   rule.source.c_str());
  }
  for (auto [tensor, source] : matched) {
    copyAs(source->dtype, source->values, *tensor, machine.persistent(*tensor));
  }
  for (const plan::Persistent& tensor : machine.plan().persistents) {
    if (tensor.follows != plan::Persistent::kNone) {
      const plan::Persistent& leader = machine.plan().persistents[tensor.follows];
      bool loaded = std::any_of(matched.begin(), matched.end(), [&](auto& pair) { return pair.first == &leader; });
      if (loaded) {
        copyAs(leader.dtype, machine.persistent(leader), tensor, machine.persistent(tensor));
      }
    }
  }
  if (!quiet) {
    std::printf("init %s from %s: %zu of %zu tensors\n", rule.target.c_str(), path.c_str(), matched.size(),
                matched.size() + missing.size());
    if (!missing.empty()) {
      std::printf("  not there, as initialised: %s\n", listed(missing).c_str());
    }
    if (!unused.empty()) {
      std::printf("  there, not used: %s\n", listed(unused).c_str());
    }
    std::fflush(stdout);
  }
  return success();
}

} // namespace

Status loadInitialValues(Machine& machine, const std::vector<plan::InitRule>& rules, const Options& options) {
  for (const plan::InitRule& rule : rules) {
    std::string path = resolvePath(machine.plan().directory, rule.path);
    for (const NamedPath& given : options.inits) {
      path = given.name.empty() || given.name == rule.target ? given.path : path;
    }
    if (Status status = take(machine, rule, path, options.quiet); !status.ok()) {
      return status;
    }
  }
  return success();
}

} // namespace dnn::runtime
