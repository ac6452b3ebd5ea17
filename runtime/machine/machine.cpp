#include "runtime/machine/machine.h"

#include "runtime/pool/pool.h"
#include "runtime/support/extent.h"
#include "runtime/support/text.h"
#include "runtime/train/clock.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>

namespace dnn::runtime {

using plan::Entry;

Status checkCpu(const std::string& target) {
#if defined(__x86_64__)
  bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
            __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
  bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl");
  if (target == "x86-64-v4" && !v4) {
    return failure(ExitCode::BadInput,
                   "this program was compiled for x86-64-v4, and this CPU has no AVX-512; compile "
                   "it again with --target=%s",
                   v3 ? "x86-64-v3" : "host");
  }
  if (target == "x86-64-v3" && !v3) {
    return failure(ExitCode::BadInput, "this program was compiled for x86-64-v3, and this CPU has no AVX2 with FMA");
  }
#endif
  return success();
}

void Machine::Free::operator()(uint8_t* memory) const {
  if (mapped > 0) {
    munmap(begin, mapped);
  } else {
    std::free(memory);
  }
}

// The system zeroes what is mapped page by page, each when a kernel first needs it, on the thread that does: half of
// the time that writing zeros before the first step takes. A large page takes a fifth of the time of as many small
// ones; where a quarter of the last one and more would not be used, small ones are taken there.
Machine::Region Machine::allocate(uint64_t bytes) {
  constexpr uint64_t hugePage = 2 << 20, line = 64, leastMapped = 128 << 10;
  auto up = [](uint64_t value, uint64_t to) { return (value + to - 1) / to * to; };
  if (bytes < leastMapped) {
    uint64_t rounded = up(std::max<uint64_t>(bytes, 1), line);
    auto* memory = static_cast<uint8_t*>(std::aligned_alloc(line, rounded));
    if (memory != nullptr) {
      std::memset(memory, 0, rounded);
    }
    return Region(memory);
  }
  uint64_t huge = (bytes + hugePage / 4) / hugePage * hugePage;
  uint64_t mapped = std::max(bytes, huge) + (huge > 0 ? hugePage : 0);
  void* begin = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED) {
    return Region(nullptr);
  }
  auto* memory = static_cast<uint8_t*>(begin);
  if (huge > 0) {
    memory = reinterpret_cast<uint8_t*>(up(reinterpret_cast<uintptr_t>(begin), hugePage));
    madvise(memory, huge, MADV_HUGEPAGE); // a wish; refusal costs only speed
  }
  return Region(memory, Free(begin, mapped));
}

namespace {

bool fits(const plan::Port& port, size_t lengths) {
  bool ok = port.lengthOf <= lengths;
  for (const plan::VaryingExtent& extent : port.varying) {
    ok = ok && extent.dim < port.dims.size();
    for (const plan::VaryingExtent::Term& term : extent.terms) {
      ok = ok && term.symbol <= lengths;
    }
  }
  return ok;
}

} // namespace

Status Machine::checkPlan() const {
  // What the compiler promises; checked once, because everything later copies by these numbers.
  for (const plan::Persistent& tensor : plan_.persistents) {
    uint64_t bytes = byteCount(tensor.dtype, tensor.dims);
    if (tensor.offset > plan_.persistentBytes || bytes > plan_.persistentBytes - tensor.offset) {
      return failure(ExitCode::Internal, "the plan puts `%s` outside its region", tensor.path.c_str());
    }
    if (tensor.follows != plan::Persistent::kNone &&
        (tensor.follows >= plan_.persistents.size() || plan_.persistents[tensor.follows].dims != tensor.dims)) {
      return failure(ExitCode::Internal, "the plan lets `%s` follow a tensor that does not exist", tensor.path.c_str());
    }
  }
  for (const Entry& entry : plan_.entries) {
    for (const std::vector<plan::Port>* ports : {&entry.inputs, &entry.outputs, &entry.collected}) {
      for (const plan::Port& port : *ports) {
        if (!fits(port, entry.lengths.size())) {
          return failure(ExitCode::Internal, "the plan's extents of `%s` of `%s` do not fit", port.name.c_str(),
                         entry.name.c_str());
        }
        uint64_t rows = port.batched ? static_cast<uint64_t>(std::max<int64_t>(entry.batch, 0)) : 1;
        uint64_t bytes = byteCount(port.dtype, port.dims);
        if (port.offset > plan_.arenaBytes || (bytes > 0 && rows > (plan_.arenaBytes - port.offset) / bytes)) {
          return failure(ExitCode::Internal, "the plan puts `%s` of `%s` outside the arena", port.name.c_str(),
                         entry.name.c_str());
        }
      }
    }
    for (const auto* watched : {&entry.watchedPersistents, &entry.watchedTables}) {
      if (std::any_of(watched->begin(), watched->end(), [&](uint32_t i) { return i >= plan_.persistents.size(); })) {
        return failure(ExitCode::Internal, "the plan watches a tensor that does not exist");
      }
    }
    for (uint32_t index : entry.watchedOutputs) {
      if (index >= entry.outputs.size()) {
        return failure(ExitCode::Internal, "the plan watches an output that does not exist");
      }
    }
    if (Status status = checkReads(entry); !status.ok()) {
      return status;
    }
  }
  return checkPhases();
}

Status Machine::checkReads(const Entry& entry) const {
  if (entry.sources.empty()) {
    return success();
  }
  std::vector<plan::Port> fields;
  for (const std::string& name : entry.sources) {
    int source = findSource(name);
    if (source < 0) {
      return failure(ExitCode::Internal, "the plan reads source `%s`, which does not exist", name.c_str());
    }
    const plan::Source& found = plan_.sources[static_cast<size_t>(source)];
    fields.insert(fields.end(), found.fields.begin(), found.fields.end());
  }
  bool fits = entry.batch > 0 && fields.size() == entry.inputs.size();
  for (size_t i = 0; fits && i < fields.size(); ++i) {
    fits = entry.inputs[i].batched && entry.inputs[i].dtype == fields[i].dtype &&
           entry.inputs[i].dims == fields[i].dims && entry.inputs[i].varying.size() == fields[i].varying.size();
  }
  return fits ? success()
              : failure(ExitCode::Internal, "the inputs of `%s` are not the fields of `%s`", entry.name.c_str(),
                        entry.sources[0].c_str());
}

Status Machine::checkPhases() const {
  auto is = [&](uint32_t entry, Entry::Kind kind) {
    return entry < plan_.entries.size() && plan_.entries[entry].kind == kind;
  };
  bool ok = !plan_.phases.empty();
  for (const plan::Phase& phase : plan_.phases) {
    for (const plan::Turn& turn : phase.turns) {
      ok = ok && !turn.cycle.empty();
      for (uint32_t entry : turn.cycle) {
        ok = ok && is(entry, Entry::Kind::Step) && plan_.entries[entry].sources == plan_.entries[turn.cycle[0]].sources;
      }
    }
    for (uint32_t entry : phase.evals) {
      ok = ok && is(entry, Entry::Kind::Eval) &&
           (plan_.entries[entry].collected.empty() || is(entry + 1, Entry::Kind::Whole));
    }
    ok = ok && (phase.turns.empty() || (phase.epochs > 0) != (phase.steps > 0));
    ok = ok && (phase.plateau.epochs == 0 || (phase.plateau.persistent < plan_.persistents.size() &&
                                              plan_.persistents[phase.plateau.persistent].dtype == plan::DType::I32));
  }
  return ok ? success() : failure(ExitCode::Internal, "the plan's phases do not fit its entries");
}

Status Machine::load(const DnnModule& module) {
  if (module.abi_version != DNN_ABI_VERSION) {
    return failure(ExitCode::Internal, "the program was compiled for runtime interface %u, this is %u",
                   module.abi_version, DNN_ABI_VERSION);
  }
  std::string error;
  if (!plan::decode(module.plan, module.plan_size, plan_, error)) {
    return failure(ExitCode::Internal, "%s", error.c_str());
  }
  if (module.entry_count != plan_.entries.size()) {
    return failure(ExitCode::Internal, "the program has %u entries, its plan %zu", module.entry_count,
                   plan_.entries.size());
  }
  if (Status status = checkPlan(); !status.ok()) {
    return status;
  }
  if (Status status = checkCpu(plan_.target); !status.ok()) {
    return status;
  }
  persistents_ = allocate(plan_.persistentBytes);
  arena_ = allocate(plan_.arenaBytes);
  if (!persistents_ || !arena_) {
    return failure(ExitCode::Io, "not enough memory: the program needs %s bytes",
                   grouped(plan_.persistentBytes + plan_.arenaBytes).c_str());
  }
  module_ = &module;
  choices_.resize(plan_.entries.size());
  module.bind(persistents_.get(), arena_.get());
  return success();
}

int32_t Machine::callOnThreads(uint32_t entry, const DnnCall& call) {
  Pool& pool = Pool::global();
  if (pool.threads() == 1) {
    return module_->entries[entry](&call);
  }
  ThreadChoice& choice = choices_[entry];
  pool.setAlone(choice.alone());
  double start = secondsNow();
  int32_t code = module_->entries[entry](&call);
  choice.took(static_cast<int64_t>((secondsNow() - start) * 1e9));
  pool.setAlone(false);
  return code;
}

Status Machine::call(uint32_t entry, int64_t rows, const Moment& moment) {
  if (lengths_.size() < plan_.entries[entry].lengths.size()) {
    return failure(ExitCode::Internal, "`%s` is called without the lengths of its sequences",
                   plan_.entries[entry].name.c_str());
  }
  DnnCall call{rows, moment.seed, static_cast<uint32_t>(moment.step), static_cast<uint32_t>(moment.epoch),
               lengths_.data()};
  if (int32_t code = callOnThreads(entry, call)) {
    return failure(ExitCode::Internal, "a kernel of `%s` failed with code %d", plan_.entries[entry].name.c_str(), code);
  }
  return success();
}

int Machine::findEntry(Entry::Kind kind, const std::string& name) const {
  for (size_t i = 0; i < plan_.entries.size(); ++i) {
    if (plan_.entries[i].kind == kind && (name.empty() || plan_.entries[i].name == name)) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

int Machine::findSource(const std::string& name) const {
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    if (plan_.sources[i].name == name) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

} // namespace dnn::runtime
