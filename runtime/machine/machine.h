// A compiled program with its memory: decodes the plan, allocates the two regions, calls entries.
#pragma once

#include "runtime/include/dnn/abi.h"
#include "runtime/plan/plan.h"
#include "runtime/pool/thread_choice.h"
#include "runtime/support/status.h"

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace dnn::runtime {

/// When and with what randomness an entry runs.
struct Moment {
  uint64_t seed = 0;
  uint64_t step = 0;
  uint64_t epoch = 0;
};

class Machine {
public:
  /// Checks the interface version, the plan and the CPU; allocates and binds. `module` must outlive the machine.
  Status load(const DnnModule& module);

  const plan::Plan& plan() const { return plan_; }
  uint8_t* arena(uint64_t offset) { return arena_.get() + offset; }
  uint8_t* persistents() { return persistents_.get(); }
  uint8_t* persistent(const plan::Persistent& tensor) { return persistents_.get() + tensor.offset; }
  const uint8_t* persistent(const plan::Persistent& tensor) const { return persistents_.get() + tensor.offset; }

  /// What call() gives as lengths of sequences: who writes an entry's input ports says how long these are there.
  void setLengths(std::vector<int64_t> lengths) { lengths_ = std::move(lengths); }
  const std::vector<int64_t>& lengths() const { return lengths_; }

  /// Runs an entry on `rows` examples that lie in its input ports, on the threads that the last calls of it showed to
  /// be the better choice.
  Status call(uint32_t entry, int64_t rows, const Moment& moment);

  /// Whether the next call of an entry will be on the calling thread alone.
  bool isAlone(uint32_t entry) const { return choices_[entry].alone(); }

  /// The first entry of the kind and, unless it is empty, the name; -1 if there is none.
  int findEntry(plan::Entry::Kind kind, const std::string& name = "") const;
  int findSource(const std::string& name) const;

  bool hasParameters() const { return !plan_.persistents.empty(); }

private:
  struct Free {
    Free() : Free(nullptr, 0) {}
    Free(void* begin, uint64_t mapped) : begin(begin), mapped(mapped) {}
    void operator()(uint8_t* memory) const;
    void* begin;     ///< of a mapping
    uint64_t mapped; ///< its bytes; 0 for what is malloc's
  };
  using Region = std::unique_ptr<uint8_t[], Free>;

  /// Zeros, in large pages from 1.5 MB on; null if there is not so much memory.
  static Region allocate(uint64_t bytes);
  int32_t callOnThreads(uint32_t entry, const DnnCall& call);
  Status checkPlan() const;
  Status checkReads(const plan::Entry& entry) const;
  Status checkPhases() const;

  const DnnModule* module_ = nullptr;
  plan::Plan plan_;
  std::vector<int64_t> lengths_;
  std::vector<ThreadChoice> choices_; // of each entry
  Region persistents_;
  Region arena_;
};

/// Fails with a sentence if this CPU lacks what machine code for `target` ("x86-64-v3", "x86-64-v4") needs.
Status checkCpu(const std::string& target);

} // namespace dnn::runtime
