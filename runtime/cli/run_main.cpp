#include "runtime/cli/run_main.h"

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/checkpoint/initial_values.h"
#include "runtime/cli/info.h"
#include "runtime/cli/options.h"
#include "runtime/cli/predict.h"
#include "runtime/cli/sweep.h"
#include "runtime/data/statistics.h"
#include "runtime/pool/pool.h"
#include "runtime/support/file.h"
#include "runtime/support/resources.h"
#include "runtime/support/text.h"
#include "runtime/train/evaluate.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/phase_data.h"
#include "runtime/train/trainer.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>

namespace dnn::runtime {

namespace {

/// Fills parameters and state from the checkpoint for eval and predict.
Status loadTrained(Machine& machine, const Options& options, TrainState& state) {
  const plan::Plan& plan = machine.plan();
  state.seed = options.seed.value_or(plan.seed);
  std::string path = plan::variantPath(plan, options.checkpoint);
  if (path.empty() && !plan.checkpoint.path.empty()) {
    path = plan::variantPath(plan, resolvePath(plan.directory, plan.checkpoint.path));
  }
  if (!machine.hasParameters() && (path.empty() || !fileExists(path))) {
    return success();
  }
  if (path.empty() && plan.phases[0].turns.empty() && !plan.phases[0].inits.empty()) {
    // Nothing is trained here: the parameters are those of other programs.
    int init = machine.findEntry(plan::Entry::Kind::Init);
    Status status = init < 0 ? success() : machine.call(static_cast<uint32_t>(init), 0, {state.seed, 0, 0});
    Options silent = options;
    silent.quiet = true; // standard output is for the results
    if (!status.ok()) {
      return status;
    }
    DataStore store(machine, options.data, options.dataMemory);
    status = fillStatistics(machine, store);
    return status.ok() ? loadInitialValues(machine, plan.phases[0].inits, silent) : status;
  }
  if (path.empty()) {
    return failure(ExitCode::Usage, "which parameters? give --checkpoint PATH: this program has no checkpoint rule");
  }
  Status status = loadCheckpoint(path, plan, machine.persistents(), state);
  if (status.code == ExitCode::Io) {
    status.message += "; train first, or give --checkpoint PATH";
  }
  state.seed = options.seed.value_or(state.seed);
  if (status.ok() && state.ended && !state.bestTensors.empty()) {
    std::copy(state.bestTensors.begin(), state.bestTensors.end(), machine.persistents());
  }
  return status;
}

Status runEval(Machine& machine, const Options& options, LoadAhead* ahead) {
  TrainState state;
  if (Status status = loadTrained(machine, options, state); !status.ok()) {
    return status;
  }
  if (machine.findEntry(plan::Entry::Kind::Eval) < 0) {
    return failure(ExitCode::Usage, "this program has no evaluation; see --help for its commands");
  }
  InterruptGuard guard;
  DataStore store(machine, options.data, options.dataMemory, ahead);
  if (Status status = loadEvaluated(machine, store, state); !status.ok()) {
    return status;
  }
  Evaluation found;
  for (uint32_t entry : machine.plan().phases[state.phase].evals) {
    if (Status status = evaluate(machine, store, entry, state, found); !status.ok()) {
      return status;
    }
  }
  for (const Metric& metric : found.metrics) {
    std::printf("%s\n", text(metric).c_str());
  }
  return success();
}

Status runCommand(Machine& machine, const Options& options, const char* program, LoadAhead* ahead) {
  switch (options.command) {
  case Options::Command::Help: std::fputs(helpText(machine.plan(), program).c_str(), stdout); return success();
  case Options::Command::Info: printInfo(machine.plan()); return success();
  case Options::Command::Train: {
    DataStore store(machine, options.data, options.dataMemory, ahead);
    return Trainer(machine, store, options).run();
  }
  case Options::Command::Eval: return runEval(machine, options, ahead);
  case Options::Command::Predict: {
    TrainState state;
    Status status = loadTrained(machine, options, state);
    return status.ok() ? predict(machine, options, state) : status;
  }
  }
  return success();
}

Status run(const DnnModule& module, int argc, char** argv, LoadAhead* ahead) {
  Machine machine;
  if (Status status = machine.load(module); !status.ok()) {
    return status;
  }
  Options options;
  if (Status status = parseOptions(machine.plan(), argc, argv, options); !status.ok()) {
    return status;
  }
  Pool::global().setThreads(options.threads > 0 ? options.threads : availableCpus());
  bool general = options.command == Options::Command::Help || options.command == Options::Command::Info;
  if (module.next == nullptr || general) {
    return runCommand(machine, options, argv[0], ahead);
  }
  if (options.command == Options::Command::Train && options.variant.empty()) {
    return trainSweep(module, options);
  }
  const DnnModule* chosen = nullptr;
  if (Status status = chooseVariant(module, options, chosen); !status.ok()) {
    return status;
  }
  Machine variant;
  Status status = variant.load(*chosen);
  return status.ok() ? runCommand(variant, options, argv[0], nullptr) : status;
}

} // namespace

std::unique_ptr<LoadAhead> loadAhead(const plan::Plan& plan, int argc, char** argv) {
  Options options;
  bool known = parseOptions(plan, argc, argv, options).ok() && plan.variant.empty() && !plan.phases.empty();
  bool trains = options.command == Options::Command::Train;
  if (!known || (!trains && options.command != Options::Command::Eval)) {
    return nullptr;
  }
  std::vector<std::string> sources; // of the phase that is the first one, but where a checkpoint says otherwise
  auto add = [&](uint32_t entry) {
    for (const std::string& source : plan.entries[entry].sources) {
      if (std::ranges::find(sources, source) == sources.end()) {
        sources.push_back(source);
      }
    }
  };
  const plan::Phase& phase = plan.phases.front();
  if (plan.phases.size() > 1 && (options.resume || !trains)) {
    return nullptr;
  }
  std::ranges::for_each(phase.evals, add);
  for (const plan::Turn& turn : phase.turns) {
    if (trains) {
      add(turn.cycle[0]);
    }
  }
  return std::make_unique<LoadAhead>(plan, options.data, options.dataMemory, std::move(sources));
}

int runMain(const DnnModule& module, int argc, char** argv, LoadAhead* ahead) {
  // A file that grows beyond its limit is a failed write with a sentence, not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
  Status status;
  try {
    status = run(module, argc, argv, ahead);
  } catch (const std::bad_alloc&) {
    status = failure(ExitCode::Io, "not enough memory");
  }
  std::fflush(stdout);
  if (!status.message.empty()) {
    bool error = status.code != ExitCode::Interrupted;
    std::fprintf(stderr, "%s: %s%s\n", argv[0], error ? "error: " : "", status.message.c_str());
  }
  return static_cast<int>(status.code);
}

} // namespace dnn::runtime
