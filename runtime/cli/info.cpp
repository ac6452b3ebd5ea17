#include "runtime/cli/info.h"

#include "runtime/support/extent.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace dnn::runtime {

namespace {

std::string portList(const std::vector<plan::Port>& ports) {
  std::string text;
  for (const plan::Port& port : ports) {
    std::string type = describe(port.dtype, port.dims);
    if (port.batched) {
      size_t bracket = type.find('[');
      type = bracket == std::string::npos ? type + "[N]" : type.replace(bracket, 1, "[N, ");
    }
    text += (text.empty() ? "" : ", ") + port.name + ": " + type;
    if (port.bound > 0) {
      text += format(" < %lld", static_cast<long long>(port.bound));
    }
  }
  return text;
}

void printPersistents(const plan::Plan& plan, plan::Persistent::Kind kind, const char* title) {
  uint64_t total = 0;
  std::string lines;
  size_t width = 0;
  for (const plan::Persistent& tensor : plan.persistents) {
    width = tensor.kind == kind ? std::max(width, tensor.path.size()) : width;
  }
  for (const plan::Persistent& tensor : plan.persistents) {
    if (tensor.kind == kind) {
      uint64_t count = 0;
      elementCount(tensor.dims, count);
      total += count;
      lines += format("  %-*s  %s\n", static_cast<int>(width), tensor.path.c_str(),
                      describe(tensor.dtype, tensor.dims).c_str());
    }
  }
  if (!lines.empty()) {
    std::printf("%s: %s values\n%s", title, grouped(total).c_str(), lines.c_str());
  }
}

void printSource(const plan::Source& source) {
  std::vector<plan::Port> fields = source.fields; // the types of one row
  for (plan::Port& field : fields) {
    field.batched = true;
  }
  std::string from;
  for (const std::string& path : source.paths) {
    from += (from.empty() ? "" : ", ") + path;
  }
  switch (source.kind) {
  case plan::Source::Kind::Idx: from = "idx " + from; break;
  case plan::Source::Kind::Csv: from = "csv " + from; break;
  case plan::Source::Kind::Text:
    from = format("text %s, windows of %lld tokens every %lld", from.c_str(),
                  static_cast<long long>(source.text.window), static_cast<long long>(source.text.stride));
    break;
  case plan::Source::Kind::Npy: from = "npy " + from; break;
  case plan::Source::Kind::Npz: from = "npz " + from; break;
  case plan::Source::Kind::Cifar: from = "cifar " + from; break;
  case plan::Source::Kind::Table: from = "table of " + grouped(source.rows) + " rows"; break;
  case plan::Source::Kind::Generate: from = "generated, " + grouped(source.rows) + " rows"; break;
  }
  if (source.split != 0) {
    from += format(", split %g", source.split);
  }
  if (source.fold != 0) {
    from += format(", %sfold %d of %d", source.fold < 0 ? "all but " : "", std::abs(source.fold), source.folds);
  }
  std::printf("  %s: %s, batch %lld%s (%s)\n", source.name.c_str(), from.c_str(), static_cast<long long>(source.batch),
              source.shuffle ? ", shuffled" : "", portList(fields).c_str());
}

void printEntry(const plan::Entry& entry) {
  std::string in = portList(entry.inputs);
  std::string out = portList(entry.outputs);
  switch (entry.kind) {
  case plan::Entry::Kind::Init:
  case plan::Entry::Kind::Generate: break;
  case plan::Entry::Kind::Step: std::printf("  step in %s logs %s\n", entry.source.c_str(), out.c_str()); break;
  case plan::Entry::Kind::Eval:
    std::printf("  eval in %s every %u epochs logs %s\n", entry.source.c_str(), entry.every, out.c_str());
    break;
  case plan::Entry::Kind::Predict:
    std::printf("  predict %s(%s) -> %s\n", entry.name.c_str(), in.c_str(), out.c_str());
    break;
  }
}

} // namespace

void printInfo(const plan::Plan& plan) {
  std::printf("%s, compiled by %s for %s, fingerprint %s\n", plan.program.c_str(), plan.compilerVersion.c_str(),
              plan.target.c_str(), plan.fingerprint.c_str());
  printPersistents(plan, plan::Persistent::Kind::Parameter, "parameters");
  printPersistents(plan, plan::Persistent::Kind::State, "states");
  printPersistents(plan, plan::Persistent::Kind::OptimizerState, "optimizer states");
  std::printf("memory: %s bytes persistent, %s bytes arena\n", grouped(plan.persistentBytes).c_str(),
              grouped(plan.arenaBytes).c_str());
  std::printf("data\n");
  for (const plan::Source& source : plan.sources) {
    printSource(source);
  }
  std::printf("entry points\n");
  for (const plan::Entry& entry : plan.entries) {
    printEntry(entry);
  }
  std::printf("run: %s %s, seed %llu\n", grouped(plan.epochs > 0 ? plan.epochs : plan.steps).c_str(),
              plan.epochs > 0 ? "epochs" : "steps", static_cast<unsigned long long>(plan.seed));
  if (plan.patience.epochs > 0) {
    std::printf("patience: %u epochs on %s\n", plan.patience.epochs, plan.patience.metric.c_str());
  }
  if (!plan.checkpoint.path.empty()) {
    std::printf("checkpoint: %s every %u epochs%s%s\n", plan.checkpoint.path.c_str(), plan.checkpoint.everyEpochs,
                plan.checkpoint.best.empty() ? "" : ", keeps best ", plan.checkpoint.best.c_str());
  }
}

} // namespace dnn::runtime
