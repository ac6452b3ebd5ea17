#include "runtime/cli/info.h"

#include "runtime/support/extent.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace dnn::runtime {

namespace {

/// "i32[N, T <= 128]"
std::string typeOf(const plan::Port& port) {
  std::string extents = port.batched ? "N" : "";
  for (size_t d = 0; d < port.dims.size(); ++d) {
    extents += extents.empty() ? "" : ", ";
    bool varies = std::ranges::find(port.varying, d, &plan::VaryingExtent::dim) != port.varying.end();
    extents += format(varies ? "T <= %lld" : "%lld", static_cast<long long>(port.dims[d]));
  }
  return std::string(name(port.dtype)) + (extents.empty() ? "" : "[" + extents + "]");
}

std::string portList(const std::vector<plan::Port>& ports) {
  std::string text;
  for (const plan::Port& port : ports) {
    std::string type = typeOf(port);
    text += (text.empty() ? "" : ", ") + port.name + ": " + type;
    if (port.bound > 0) {
      text += format(" < %lld", static_cast<long long>(port.bound));
    }
  }
  return text;
}

std::string text(const plan::Every& every) {
  return format(" every %u %s", every.count, every.steps ? "steps" : "epochs");
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
    if (source.text.lines) {
      from = format("text %s, lines of at most %lld tokens", from.c_str(), static_cast<long long>(source.maxLength));
      break;
    }
    from = format("text %s, windows of %lld tokens every %lld", from.c_str(),
                  static_cast<long long>(source.text.window), static_cast<long long>(source.text.stride));
    break;
  case plan::Source::Kind::Npy: from = "npy " + from; break;
  case plan::Source::Kind::Npz: from = "npz " + from; break;
  case plan::Source::Kind::Cifar: from = "cifar " + from; break;
  case plan::Source::Kind::Images:
    from = "images " + from + (source.labels > 0 ? ", " + grouped(source.classes.size()) + " classes" : "");
    break;
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
              source.shuffle && source.bucket ? ", shuffled by length"
              : source.shuffle                ? ", shuffled"
              : source.bucket                 ? ", by length"
                                              : "",
              portList(fields).c_str());
}

void printEntry(const plan::Entry& entry) {
  std::string in = portList(entry.inputs);
  std::string out = portList(entry.outputs);
  switch (entry.kind) {
  case plan::Entry::Kind::Init:
  case plan::Entry::Kind::Generate:
  case plan::Entry::Kind::Step:
  case plan::Entry::Kind::Eval:
  case plan::Entry::Kind::Whole: break; // with their phase
  case plan::Entry::Kind::Predict:
    std::printf("  predict %s(%s) -> %s\n", entry.name.c_str(), in.c_str(), out.c_str());
    break;
  }
}

std::string sourcesOf(const plan::Entry& entry) {
  std::string names;
  for (const std::string& source : entry.sources) {
    names += (names.empty() ? " in " : ", ") + source;
  }
  return names;
}

void printPhase(const plan::Plan& plan, const plan::Phase& phase) {
  if (!phase.name.empty()) {
    std::printf("phase %s\n", phase.name.c_str());
  }
  for (const plan::InitRule& rule : phase.inits) {
    std::printf("  init %s from %s\n", rule.target.c_str(), rule.path.c_str());
  }
  for (const plan::Turn& turn : phase.turns) {
    const plan::Entry& entry = plan.entries[turn.cycle[0]];
    std::printf("  step%s logs %s\n", sourcesOf(entry).c_str(), portList(entry.outputs).c_str());
  }
  for (uint32_t eval : phase.evals) {
    const plan::Entry& entry = plan.entries[eval];
    std::string logs = portList(entry.outputs);
    if (!entry.collected.empty()) {
      logs += (logs.empty() ? "" : ", ") + portList(plan.entries[eval + 1].outputs);
    }
    std::printf("  eval%s %s logs %s\n", sourcesOf(entry).c_str(), text(entry.every).c_str(), logs.c_str());
  }
  if (phase.turns.empty()) {
    return;
  }
  std::printf("  run: %s %s\n", grouped(phase.epochs > 0 ? phase.epochs : phase.steps).c_str(),
              phase.epochs > 0 ? "epochs" : "steps");
  if (phase.patience.epochs > 0) {
    std::printf("  patience: %u epochs on %s%s\n", phase.patience.epochs, phase.patience.metric.c_str(),
                phase.patience.restoreBest ? ", then the best parameters" : "");
  }
  if (phase.plateau.epochs > 0) {
    std::printf("  plateau: %u epochs on %s\n", phase.plateau.epochs, phase.plateau.metric.c_str());
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
  if (!plan.variant.empty()) {
    std::string names;
    for (const plan::Setting& setting : plan.variant) {
      names += (names.empty() ? "" : ", ") + setting.name;
    }
    std::printf("sweep over %s; what follows is its first combination\n", names.c_str());
  }
  for (const plan::Phase& phase : plan.phases) {
    printPhase(plan, phase);
  }
  std::printf("seed %llu\n", static_cast<unsigned long long>(plan.seed));
  if (!plan.checkpoint.path.empty()) {
    std::printf("checkpoint: %s%s%s%s\n", plan.checkpoint.path.c_str(), text(plan.checkpoint.every).c_str(),
                plan.checkpoint.best.empty() ? "" : ", keeps best ", plan.checkpoint.best.c_str());
  }
  for (const plan::PartRule& part : plan.parts) {
    std::printf("checkpoint: %s of %s%s\n", part.path.c_str(), part.part.c_str(), text(part.every).c_str());
  }
}

} // namespace dnn::runtime
