#include "compiler/driver/memory_estimate.h"

#include "runtime/data/dataset.h"
#include "runtime/data/probe.h"
#include "runtime/support/extent.h"
#include "runtime/support/file.h"

#include <algorithm>

namespace dnn::driver {

namespace {

/// Measured: resident pages of an executable that trains a network of three numbers, and those of libm, which is loaded
/// where a kernel calls it.
constexpr uint64_t programBytes = 2'050'000;
constexpr uint64_t libmBytes = 400'000;

/// Whether a kernel calls libm: for what the kernel compiler does not compute in vectors.
bool usesLibm(const graph::Module& module) {
  bool found = false;
  for (const auto& function : module.functions) {
    graph::forEachOp(function->body, [&](const graph::Op* op) {
      if (op->body == nullptr) {
        return;
      }
      graph::forEachNode(op->body, [&](graph::ExprRef e) {
        bool scalar = e->kind == graph::ExprKind::Apply &&
                      (e->op == ScalarOp::Pow || e->op == ScalarOp::Sin || e->op == ScalarOp::Cos ||
                       e->op == ScalarOp::Lgamma || e->op == ScalarOp::Digamma);
        found |= scalar;
      });
    });
  }
  return found;
}

struct Loading {
  uint64_t held = 0; ///< the source's examples
  uint64_t most = 0; ///< while they are loaded
};

uint64_t rowBytes(const plan::Source& source) {
  uint64_t bytes = 0;
  for (const plan::Port& field : source.fields) {
    bytes += runtime::byteCount(field.dtype, field.dims);
  }
  return bytes;
}

/// Rows of a CSV file: its lines but for the header.
uint64_t csvRows(const std::vector<uint8_t>& file) {
  auto lines = static_cast<uint64_t>(std::ranges::count(file, '\n'));
  bool open = !file.empty() && file.back() != '\n';
  return std::max<uint64_t>(lines + (open ? 1 : 0), 1) - 1;
}

/// `all` rows are there at once, then those of the split beside them, with the order that picks them.
Loading load(const plan::Source& source, uint64_t all, uint64_t besides) {
  uint64_t first = 0;
  uint64_t count = 0;
  runtime::splitRange(source.split, all, first, count);
  uint64_t bytes = rowBytes(source);
  uint64_t split = source.split == 0 ? 0 : count * bytes + all * sizeof(uint32_t);
  return {count * bytes, std::max(all * bytes + besides, all * bytes + split)};
}

Loading loadingOf(const plan::Source& source, const plan::Plan& plan) {
  switch (source.kind) {
  case plan::Source::Kind::Table: {
    uint64_t bytes = source.rows * rowBytes(source); // the plan holds them too
    return {2 * bytes, 2 * bytes};
  }
  case plan::Source::Kind::Generate: return load(source, source.rows, 0);
  case plan::Source::Kind::Npy:
  case plan::Source::Kind::Npz:
  case plan::Source::Kind::Images: return load(source, source.rows, 0);
  case plan::Source::Kind::Cifar: return load(source, source.rows, source.rows * rowBytes(source));
  case plan::Source::Kind::Text: {
    uint64_t tokens = source.rows;
    if (source.text.lines) { // then those are lines, and a token has a byte at least
      std::vector<uint8_t> file;
      if (!runtime::readFile(runtime::resolvePath(plan.directory, source.paths[0]), file).ok()) {
        return {};
      }
      tokens = file.size();
    }
    uint64_t bytes = tokens * sizeof(int32_t);
    return {bytes, 3 * bytes};
  }
  case plan::Source::Kind::Csv: {
    std::vector<uint8_t> file;
    if (source.paths.empty() || !runtime::readFile(runtime::resolvePath(plan.directory, source.paths[0]), file).ok()) {
      return {};
    }
    return load(source, csvRows(file), file.size());
  }
  case plan::Source::Kind::Idx: {
    uint64_t rows = 0;
    uint64_t largest = 0; // file; of a compressed one also the output as it grows
    for (const std::string& path : source.paths) {
      runtime::IdxProbe probe;
      std::vector<uint8_t> file;
      std::string resolved = runtime::resolvePath(plan.directory, path);
      if (!runtime::probeIdx(resolved, probe).ok() || !runtime::readFile(resolved, file).ok()) {
        return {};
      }
      rows = static_cast<uint64_t>(probe.dims[0]);
      largest = std::max<uint64_t>(largest, file.size());
    }
    return load(source, rows, largest);
  }
  }
  return {};
}

} // namespace

MemoryEstimate estimateMemory(const plan::Plan& plan, const graph::Module& module) {
  MemoryEstimate estimate{.program = programBytes + (usesLibm(module) ? libmBytes : 0),
                          .persistent = plan.persistentBytes,
                          .arena = plan.arenaBytes};
  uint64_t held = 0;
  for (const plan::Source& source : plan.sources) {
    Loading loading = loadingOf(source, plan);
    estimate.data = std::max(estimate.data, held + loading.most);
    held += loading.held;
    if (source.shuffle) {
      held += loading.held / std::max<uint64_t>(rowBytes(source), 1) * sizeof(uint32_t); // the order of an epoch
    }
  }
  // A checkpoint is written when the loading is long over.
  uint64_t image = plan.checkpoint.path.empty() ? 0 : plan.persistentBytes;
  estimate.data = std::max(estimate.data, held);
  estimate.checkpoint = image - std::min(image, estimate.data - held);
  return estimate;
}

} // namespace dnn::driver
