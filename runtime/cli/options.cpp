#include "runtime/cli/options.h"

#include "runtime/pool/pool.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <getopt.h>

namespace dnn::runtime {

namespace {

enum Flag : int {
  Epochs = 256,
  Steps,
  Seed,
  Threads,
  Data,
  DataMemory,
  Checkpoint,
  Log,
  Resume,
  Quiet,
  In,
  Out,
  Init,
  Variant,
  Help
};

constexpr option flags[] = {
    {"epochs", required_argument, nullptr, Epochs},
    {"steps", required_argument, nullptr, Steps},
    {"seed", required_argument, nullptr, Seed},
    {"threads", required_argument, nullptr, Threads},
    {"data", required_argument, nullptr, Data},
    {"data-memory", required_argument, nullptr, DataMemory},
    {"checkpoint", required_argument, nullptr, Checkpoint},
    {"log", required_argument, nullptr, Log},
    {"resume", no_argument, nullptr, Resume},
    {"quiet", no_argument, nullptr, Quiet},
    {"in", required_argument, nullptr, In},
    {"out", required_argument, nullptr, Out},
    {"init", required_argument, nullptr, Init},
    {"variant", required_argument, nullptr, Variant},
    {"help", no_argument, nullptr, Help},
    {nullptr, 0, nullptr, 0},
};

Status usage(const std::string& what) { return failure(ExitCode::Usage, "%s; see --help", what.c_str()); }

Status parseNumber(const char* flag, const char* text, uint64_t least, uint64_t most, uint64_t& value) {
  char* end = nullptr;
  errno = 0;
  value = std::strtoull(text, &end, 10);
  if (*text < '0' || *text > '9' || *end != 0 || errno != 0 || value < least || value > most) {
    return usage(format("--%s needs a whole number from %llu to %llu, not `%s`", flag,
                        static_cast<unsigned long long>(least), static_cast<unsigned long long>(most),
                        printable(text).c_str()));
  }
  return success();
}

Status parseNumber(const char* flag, const char* text, uint64_t least, uint64_t most, std::optional<uint64_t>& value) {
  uint64_t number = 0;
  Status status = parseNumber(flag, text, least, most, number);
  value = number;
  return status;
}

std::string namesOf(const plan::Plan& plan, plan::Entry::Kind kind) {
  std::string names;
  for (const plan::Entry& entry : plan.entries) {
    if (entry.kind == kind) {
      names += (names.empty() ? "" : ", ") + entry.name;
    }
  }
  return names;
}

/// `tr=a.gz,b.gz`
Status parseData(const plan::Plan& plan, const std::string& text, DataOverrides& data) {
  size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    return usage(format("--data needs NAME=PATH, not `%s`", printable(text).c_str()));
  }
  std::string name = text.substr(0, equals);
  std::string known;
  bool found = false;
  for (const plan::Source& source : plan.sources) {
    if (!source.paths.empty()) {
      known += (known.empty() ? "" : ", ") + source.name;
      found = found || source.name == name;
    }
  }
  if (!found) {
    return usage(format("--data: this program reads no files for `%s`; it reads files for: %s", printable(name).c_str(),
                        known.empty() ? "nothing" : known.c_str()));
  }
  std::vector<std::string>& paths = data[name];
  for (size_t start = equals + 1; start <= text.size();) {
    size_t end = std::min(text.find(',', start), text.size());
    paths.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return success();
}

/// `x=a.npy`, `a.npy`. An equals sign after a slash belongs to the path.
NamedPath parseNamedPath(const std::string& text) {
  size_t equals = text.find('=');
  size_t slash = text.find('/');
  if (equals == std::string::npos || slash < equals) {
    return {"", text};
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

/// `net.enc=a.ckpt`, or `a.ckpt` where the program has a single `init`.
Status parseInit(const plan::Plan& plan, const char* value, Options& options) {
  NamedPath path = parseNamedPath(value);
  std::string known;
  bool found = false;
  size_t count = 0;
  for (const plan::Phase& phase : plan.phases) {
    for (const plan::InitRule& rule : phase.inits) {
      known += (known.empty() ? "" : ", ") + rule.target;
      found = found || rule.target == path.name;
      ++count;
    }
  }
  if (path.name.empty() ? count != 1 : !found) {
    return usage(path.name.empty() ? format("--init needs NAME=PATH with one of the program's `init`: %s",
                                            known.empty() ? "there is none" : known.c_str())
                                   : format("--init: this program has no `init %s`; it has: %s",
                                            printable(path.name).c_str(), known.empty() ? "none" : known.c_str()));
  }
  options.inits.push_back(std::move(path));
  return success();
}

Status parseFlag(const plan::Plan& plan, int flag, const char* value, Options& options) {
  switch (flag) {
  case Epochs: return parseNumber("epochs", value, 1, UINT32_MAX, options.epochs);
  case Steps: return parseNumber("steps", value, 1, UINT32_MAX, options.steps);
  case Seed: return parseNumber("seed", value, 0, UINT64_MAX, options.seed);
  case Threads: {
    uint64_t threads = 0;
    Status status = parseNumber("threads", value, 1, Pool::maxThreads, threads);
    options.threads = static_cast<int>(threads);
    return status;
  }
  case Data: return parseData(plan, value, options.data);
  case DataMemory: {
    uint64_t megabytes = 0;
    Status status = parseNumber("data-memory", value, 0, UINT32_MAX, megabytes);
    options.dataMemory = megabytes << 20;
    return status;
  }
  case Checkpoint: options.checkpoint = value; break;
  case Log: options.log = value; break;
  case Resume: options.resume = true; break;
  case Quiet: options.quiet = true; break;
  case In: options.inputs.push_back(parseNamedPath(value)); break;
  case Out: options.outputs.push_back(parseNamedPath(value)); break;
  case Init: return parseInit(plan, value, options);
  case Variant:
    options.variant = value;
    return plan.variant.empty() ? usage("--variant: this program has no sweep") : success();
  case 'h':
  case Help: options.command = Options::Command::Help; break;
  }
  return success();
}

Status parseCommand(const plan::Plan& plan, const std::vector<std::string>& words, Options& options) {
  using Command = Options::Command;
  if (options.command == Command::Help) {
    return success();
  }
  std::string command = words.empty() ? "train" : words[0];
  size_t expected = 1;
  if (command == "train") {
    options.command = Command::Train;
  } else if (command == "eval") {
    options.command = Command::Eval;
  } else if (command == "info") {
    options.command = Command::Info;
  } else if (command == "help") {
    options.command = Command::Help;
  } else if (command == "predict") {
    options.command = Command::Predict;
    std::string names = namesOf(plan, plan::Entry::Kind::Predict);
    if (words.size() < 2) {
      return usage(names.empty() ? "this program has no predictions"
                                 : format("predict needs the name of a prediction: %s", names.c_str()));
    }
    auto matches = [&](const plan::Entry& entry) {
      return entry.kind == plan::Entry::Kind::Predict && entry.name == words[1];
    };
    if (std::none_of(plan.entries.begin(), plan.entries.end(), matches)) {
      return usage(format("this program has no prediction `%s`; it has: %s", printable(words[1]).c_str(),
                          names.empty() ? "none" : names.c_str()));
    }
    options.predictName = words[1];
    expected = 2;
  } else {
    return usage(
        format("unknown command `%s`; the commands are train, eval, predict, info", printable(command).c_str()));
  }
  if (words.size() > expected) {
    return usage(format("unexpected argument `%s`", printable(words[expected]).c_str()));
  }
  return success();
}

} // namespace

Status parseOptions(const plan::Plan& plan, int argc, char** argv, Options& options) {
  options = {};
  // getopt moves the words behind the flags, and it is the caller's array.
  std::vector<char*> arguments(argv, argv + argc);
  arguments.push_back(nullptr);
  opterr = 0;
  optind = 0; // start anew: this may be the second call in a process
  while (true) {
    int flag = getopt_long(argc, arguments.data(), ":h", flags, nullptr);
    if (flag == -1) {
      break;
    }
    if (flag == '?' || flag == ':') {
      const char* text = arguments[static_cast<size_t>(std::max(optind - 1, 1))];
      return usage(flag == ':' ? format("`%s` needs a value", printable(text).c_str())
                               : format("unknown or ambiguous option `%s`", printable(text).c_str()));
    }
    if (Status status = parseFlag(plan, flag, optarg, options); !status.ok()) {
      return status;
    }
  }
  if (options.epochs && options.steps) {
    return usage("--epochs and --steps exclude each other");
  }
  return parseCommand(plan, {arguments.begin() + optind, arguments.begin() + argc}, options);
}

std::string helpText(const plan::Plan& plan, const std::string& program) {
  const char* name = program.c_str();
  std::string text = format("%s: train and use the network `%s`\n\nUsage: %s [COMMAND] [OPTIONS]\n\n", name,
                            plan.program.c_str(), name);
  text += "Commands:\n"
          "  train           train the network (default)\n"
          "  eval            evaluate the checkpoint\n";
  std::string predictions = namesOf(plan, plan::Entry::Kind::Predict);
  if (!predictions.empty()) {
    text += format("  predict NAME    run a prediction of the checkpoint on a file: %s\n", predictions.c_str());
  }
  text += "  info            show parameters, data, entry points\n"
          "\n"
          "Options:\n"
          "  --epochs N          train until N epochs are done, in all\n"
          "  --steps N           train until N steps are done, in all\n"
          "  --resume            continue from the checkpoint\n"
          "  --checkpoint PATH   the checkpoint to write and read";
  text += plan.checkpoint.path.empty() ? "\n" : format(" (default: %s)\n", plan.checkpoint.path.c_str());
  text += format("  --seed N            seed of all random numbers (default: %llu)\n",
                 static_cast<unsigned long long>(plan.seed));
  text += "  --data NAME=PATH    read this file instead; several files of one source: NAME=PATH,PATH\n"
          "  --data-memory MB    examples that take more memory than this stay in their files (default: a quarter of\n"
          "                      the machine's)\n"
          "  --in [NAME=]PATH    predict: input, .csv or .npy\n"
          "  --out [NAME=]PATH   predict: result, .csv or .npy (default: csv to the terminal)\n"
          "  --init [NAME=]PATH  take the values of an `init` from this checkpoint\n"
          "  --variant A=1,B=2   the combination of a sweep that is meant; train without it trains all\n"
          "  --threads N         threads to use (default: all CPUs)\n"
          "  --log PATH          write one JSON object a line for each event\n"
          "  --quiet             print errors only\n"
          "  -h, --help          print this text\n"
          "\n"
          "Exit codes: 0 ok, 1 bad input, 2 usage, 3 diverged, 4 file error, 70 internal error, 130 interrupted\n"
          "\n"
          "Examples:\n";
  text += format("  %s --epochs 20 --log events.jsonl\n  %s --resume\n", name, name);
  if (!predictions.empty()) {
    text +=
        format("  %s predict %s --in x.csv --out y.csv\n", name, predictions.substr(0, predictions.find(',')).c_str());
  }
  return text;
}

} // namespace dnn::runtime
