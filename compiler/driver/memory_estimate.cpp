#include "compiler/driver/memory_estimate.h"

#include "runtime/data/dataset.h"
#include "runtime/support/extent.h"
#include "runtime/support/file.h"
#include "runtime/support/input_file.h"

#include <algorithm>

namespace dnn::driver {

namespace {

/// Measured: resident pages of an executable that trains a network of three numbers, and those of libm, which is loaded
/// where a kernel calls it.
constexpr uint64_t programBytes = 2'700'000;
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
  uint64_t rows = 0; ///< that the source takes
  uint64_t held = 0; ///< bytes of its examples
  uint64_t most = 0; ///< while they are loaded
};

uint64_t rowBytes(const plan::Source& source) {
  uint64_t bytes = 0;
  for (const plan::Port& field : source.fields) {
    bytes += runtime::byteCount(field.dtype, field.dims);
  }
  return bytes;
}

uint64_t fileBytes(const std::vector<std::string>& paths) {
  uint64_t most = 0;
  for (const std::string& path : paths) {
    std::shared_ptr<runtime::InputFile> file;
    most = std::max(most, runtime::InputFile::open(path, file).ok() ? file->size() : 0);
  }
  return most;
}

/// What is there besides, or instead, while `all` bytes of examples are read.
uint64_t whileReading(const plan::Source& source, const std::vector<std::string>& paths, uint64_t all) {
  switch (source.kind) {
  case plan::Source::Kind::Csv:
  case plan::Source::Kind::Text: return all / 2; // arrays grow by being copied
  case plan::Source::Kind::Idx:
  case plan::Source::Kind::Npy:
  case plan::Source::Kind::Npz: return fileBytes(paths);
  case plan::Source::Kind::Table:
  case plan::Source::Kind::Generate:
  case plan::Source::Kind::Cifar:
  case plan::Source::Kind::Images: break;
  }
  return 0;
}

/// All rows of a source's files.
struct Examples {
  uint64_t rows = 0;
  uint64_t bytes = 0; ///< held in memory
  bool stay = false;  ///< in the files
};

/// Rows of CIFAR records and images are all equally large and were counted when the program was checked; of the others
/// sequences, missing rows and compressed files are known only when they are read.
std::optional<Examples> examplesOf(const plan::Source& source, const std::vector<std::string>& paths, uint64_t memory) {
  if (source.kind == plan::Source::Kind::Cifar || source.kind == plan::Source::Kind::Images) {
    uint64_t bytes = source.rows * rowBytes(source);
    bool stay = bytes > memory;
    return Examples{source.rows, stay ? 0 : bytes, stay};
  }
  runtime::Dataset data;
  if (!runtime::readExamples(source, paths, memory, data).ok()) {
    return std::nullopt;
  }
  return Examples{data.rows, runtime::heldBytes(data.fields), !data.files.empty()};
}

Loading loadingOfFiles(const plan::Source& source, const plan::Plan& plan, uint64_t memory) {
  std::vector<std::string> paths;
  for (const std::string& path : source.paths) {
    paths.push_back(runtime::resolvePath(plan.directory, path));
  }
  bool rowsTaken = source.kind != plan::Source::Kind::Text || source.text.lines; // windows are not split by rows
  plan::Source whole = source;
  if (rowsTaken) {
    whole.split = 0;
    whole.fold = 0;
  }
  std::optional<Examples> all = examplesOf(whole, paths, memory);
  if (!all) {
    return {};
  }
  uint64_t most = all->bytes + whileReading(source, paths, all->bytes);
  bool part = rowsTaken && (source.split != 0 || source.fold != 0);
  Loading loading{all->rows, all->bytes, most};
  if (part) { // the part taken stands beside all rows, with the order that picks them
    std::vector<uint32_t> taken;
    runtime::takenRows(source, all->rows, taken);
    loading.rows = taken.size();
    loading.held = all->bytes / std::max<uint64_t>(all->rows, 1) * loading.rows;
    loading.most = std::max(most, all->bytes + loading.held + all->rows * sizeof(uint32_t));
  }
  if (all->stay) { // where each row begins, and which are taken
    uint64_t places = (all->rows + (part ? loading.rows : 0)) * sizeof(uint32_t);
    loading.held += places;
    loading.most += places;
  }
  return loading;
}

Loading loadingOf(const plan::Source& source, const plan::Plan& plan, uint64_t memory) {
  uint64_t bytes = source.rows * rowBytes(source);
  switch (source.kind) {
  case plan::Source::Kind::Table: return {source.rows, 2 * bytes, 2 * bytes}; // the plan holds them too
  case plan::Source::Kind::Generate:
    return source.fresh ? Loading{source.rows, 0, 0} : Loading{source.rows, bytes, bytes};
  case plan::Source::Kind::Npy:
  case plan::Source::Kind::Npz:
  case plan::Source::Kind::Images:
  case plan::Source::Kind::Cifar:
  case plan::Source::Kind::Text:
  case plan::Source::Kind::Csv:
  case plan::Source::Kind::Idx: break;
  }
  return loadingOfFiles(source, plan, memory);
}

constexpr uint64_t largePage = 2 << 20;
/// Of parameters and of the arena: large pages, but where a quarter of the last one and more would not be used.
uint64_t regionBytes(uint64_t bytes) { return std::max(bytes, (bytes + largePage / 4) / largePage * largePage); }

/// Of what kernels take: large pages, if they fill one.
uint64_t scratchPages(uint64_t bytes) {
  return bytes < largePage ? bytes : (bytes + largePage - 1) / largePage * largePage;
}

} // namespace

MemoryEstimate estimateMemory(const plan::Plan& plan, const graph::Module& module, uint64_t scratch) {
  MemoryEstimate estimate{.program = programBytes + (usesLibm(module) ? libmBytes : 0),
                          .persistent = regionBytes(plan.persistentBytes),
                          .arena = regionBytes(plan.arenaBytes),
                          .scratch = scratchPages(scratch)};
  uint64_t held = 0;
  uint64_t memory = runtime::defaultDataMemory();
  uint64_t batch = 0; // where it is large a thread reads the next one, while this one waits to be copied
  for (const plan::Source& source : plan.sources) {
    Loading loading = loadingOf(source, plan, memory - std::min(memory, held));
    estimate.data = std::max(estimate.data, held + loading.most);
    held += loading.held;
    if (!source.fresh) { // sequences are mostly shorter than they may be
      batch = std::max(batch, std::min(static_cast<uint64_t>(source.batch) * rowBytes(source), loading.held));
    }
    if (source.shuffle) {
      held += loading.rows * sizeof(uint32_t); // the order of an epoch
    }
  }
  constexpr uint64_t worthwhile = 1 << 16;
  held += batch >= worthwhile ? 2 * batch : 0;
  // A checkpoint is written when the loading is long over.
  uint64_t image = plan.checkpoint.path.empty() ? 0 : plan.persistentBytes;
  estimate.data = std::max(estimate.data, held);
  estimate.checkpoint = image - std::min(image, estimate.data - held);
  return estimate;
}

} // namespace dnn::driver
