#include "compiler/driver/interpreted_program.h"

#include "compiler/codegen/lower_program.h"
#include "compiler/support/assert.h"
#include "runtime/support/extent.h"
#include "runtime/types/half.h"

#include <cstdio>
#include <cstring>
#include <utility>

namespace dnn::driver {

namespace {

constexpr size_t kMaxEntries = 64;

/// Entry points are plain functions, so the program that they belong to is known to the process.
InterpretedProgram* current = nullptr;

template <class T> void copyElements(graph::Tensor& tensor, uint8_t* memory, bool load) {
  for (int64_t i = 0; i < tensor.size(); ++i) {
    T element;
    uint8_t* place = memory + static_cast<size_t>(i) * sizeof(T);
    if (load) {
      std::memcpy(&element, place, sizeof(T));
      tensor.set(i, static_cast<double>(element));
    } else {
      element = static_cast<T>(tensor.get(i));
      std::memcpy(place, &element, sizeof(T));
    }
  }
}

void copyTensor(graph::Tensor& tensor, uint8_t* memory, bool load) {
  switch (tensor.dtype) {
  case DType::F32: return copyElements<float>(tensor, memory, load);
  case DType::F64: return copyElements<double>(tensor, memory, load);
  case DType::I32: return copyElements<int32_t>(tensor, memory, load);
  case DType::I64: return copyElements<int64_t>(tensor, memory, load);
  case DType::U32: return copyElements<uint32_t>(tensor, memory, load);
  case DType::BF16: return copyElements<Bf16>(tensor, memory, load);
  case DType::F16: return copyElements<F16>(tensor, memory, load);
  case DType::U8:
  case DType::Bool: return copyElements<uint8_t>(tensor, memory, load);
  }
}

graph::Tensor loadTensor(plan::DType dtype, std::vector<int64_t> dims, uint8_t* memory) {
  graph::Tensor tensor = graph::Tensor::zeros(dtype, std::move(dims));
  copyTensor(tensor, memory, true);
  return tensor;
}

/// Reserves room behind what is there; returns where it begins.
uint64_t reserve(uint64_t& end, plan::DType dtype, const std::vector<int64_t>& dims, int64_t rows) {
  uint64_t bytes = static_cast<uint64_t>(byteSize(dtype)) * static_cast<uint64_t>(rows);
  for (int64_t dim : dims) {
    bytes *= static_cast<uint64_t>(dim);
  }
  uint64_t offset = end;
  end += (bytes + 63) / 64 * 64;
  return offset;
}

} // namespace

template <size_t I> int32_t InterpretedProgram::entryPoint(const DnnCall* call) { return current->call(I, *call); }

template <size_t... I> const DnnEntryFn* InterpretedProgram::entryPoints(std::index_sequence<I...>) {
  static constexpr DnnEntryFn functions[] = {entryPoint<I>...};
  return functions;
}

Result<std::unique_ptr<InterpretedProgram>> InterpretedProgram::make(const graph::Module& module, plan::Plan plan) {
  if (plan.entries.size() > kMaxEntries) {
    return Error{"the interpreter runs programs with at most " + std::to_string(kMaxEntries) + " entries", ""};
  }
  DNN_ASSERT(current == nullptr, "a process has one program at a time");
  std::unique_ptr<InterpretedProgram> program(new InterpretedProgram);
  program->plan_ = std::move(plan);
  program->place();
  program->encoded_ = plan::encode(program->plan_);
  for (size_t i = 0; i < program->plan_.entries.size(); ++i) {
    program->functions_.push_back(module.functions[i].get());
    program->interpreters_.emplace_back(*module.functions[i]);
  }
  current = program.get();
  program->abi_ = {DNN_ABI_VERSION,
                   static_cast<uint32_t>(program->plan_.entries.size()),
                   program->encoded_.data(),
                   program->encoded_.size(),
                   [](uint8_t* persistent, uint8_t* arena) {
                     current->persistent_ = persistent;
                     current->arena_ = arena;
                   },
                   entryPoints(std::make_index_sequence<kMaxEntries>()),
                   nullptr};
  return program;
}

InterpretedProgram::~InterpretedProgram() { current = nullptr; }

/// One tensor behind the other: nothing is shared, there are no intermediate values.
void InterpretedProgram::place() {
  for (plan::Persistent& p : plan_.persistents) {
    p.offset = reserve(plan_.persistentBytes, p.dtype, p.dims, 1);
  }
  for (plan::Entry& entry : plan_.entries) {
    for (std::vector<plan::Port>* ports : {&entry.inputs, &entry.outputs, &entry.collected}) {
      for (plan::Port& port : *ports) {
        port.offset = reserve(plan_.arenaBytes, port.dtype, port.dims, port.batched ? entry.batch : 1);
      }
    }
  }
  plan_.fingerprint = codegen::fingerprintOf(plan_);
}

graph::Environment InterpretedProgram::environment(size_t index, const DnnCall& call) const {
  graph::Environment environment;
  environment.seed = call.seed;
  environment.step = call.step;
  environment.epoch = call.epoch;
  const std::vector<Symbol>& symbols = functions_[index]->symbols;
  std::vector<int64_t> lengths(plan_.entries[index].lengths.size());
  for (size_t i = 0; i < symbols.size(); ++i) {
    int64_t value = i == 0 ? call.rows : call.lengths[i - 1];
    environment.symbols[symbols[i].name] = value;
    if (i > 0) {
      lengths[i - 1] = value;
    }
  }
  for (const plan::Persistent& p : plan_.persistents) {
    environment.persistents[p.path] = loadTensor(p.dtype, p.dims, persistent_ + p.offset);
  }
  for (const plan::Port& port : plan_.entries[index].inputs) {
    std::vector<int64_t> dims = runtime::rowDims(port, call.rows, lengths);
    if (port.batched) {
      dims.insert(dims.begin(), call.rows);
    }
    environment.inputs[port.name] = loadTensor(port.dtype, std::move(dims), arena_ + port.offset);
  }
  return environment;
}

int32_t InterpretedProgram::call(size_t index, const DnnCall& call) {
  const plan::Entry& entry = plan_.entries[index];
  graph::Environment environment = this->environment(index, call);
  Result<graph::Outputs> outputs = interpreters_[index].run(environment);
  if (!outputs) {
    std::fprintf(stderr, "dnnc: %s: %s\n", entry.name.c_str(), outputs.error().message.c_str());
    return 1;
  }
  for (const plan::Persistent& p : plan_.persistents) {
    copyTensor(environment.persistents.at(p.path), persistent_ + p.offset, false);
  }
  for (const std::vector<plan::Port>* ports : {&entry.outputs, &entry.collected}) {
    for (const plan::Port& port : *ports) {
      copyTensor(outputs->outputs.at(port.name), arena_ + port.offset, false);
    }
  }
  return 0;
}

} // namespace dnn::driver
