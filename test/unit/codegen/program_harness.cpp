#include "test/unit/codegen/program_harness.h"

#include "compiler/support/assert.h"
#include "compiler/transform/pass_manager.h"
#include "runtime/pool/kernel_abi.h"
#include "runtime/types/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <stdexcept>

namespace dnn::codegen {

namespace {

plan::Port portOf(const std::string& name, const TensorType& type) {
  plan::Port port;
  port.name = name;
  port.dtype = type.dtype;
  port.batched = !type.dims.empty() && !type.dims[0].isStatic();
  for (size_t d = port.batched ? 1 : 0; d < type.dims.size(); ++d) {
    port.dims.push_back(type.dims[d].constant());
  }
  port.bound = type.bound ? type.bound->constant() : 0;
  return port;
}

template <class T> void putAs(uint8_t* at, double value) {
  T converted = static_cast<T>(value);
  std::memcpy(at, &converted, sizeof converted);
}
template <class T> double getAs(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return static_cast<double>(value);
}

void put(uint8_t* at, DType t, double value) {
  switch (t) {
  case DType::F32: putAs<float>(at, value); break;
  case DType::F64: putAs<double>(at, value); break;
  case DType::I32: putAs<int32_t>(at, value); break;
  case DType::I64: putAs<int64_t>(at, value); break;
  case DType::U32: putAs<uint32_t>(at, value); break;
  case DType::BF16: putAs<Bf16>(at, value); break;
  case DType::F16: putAs<F16>(at, value); break;
  case DType::U8:
  case DType::Bool: putAs<uint8_t>(at, value); break;
  }
}

double get(const uint8_t* at, DType t) {
  switch (t) {
  case DType::F32: return getAs<float>(at);
  case DType::F64: return getAs<double>(at);
  case DType::I32: return getAs<int32_t>(at);
  case DType::I64: return getAs<int64_t>(at);
  case DType::U32: return getAs<uint32_t>(at);
  case DType::BF16: return getAs<Bf16>(at);
  case DType::F16: return getAs<F16>(at);
  case DType::U8:
  case DType::Bool: return getAs<uint8_t>(at);
  }
  DNN_UNREACHABLE("every element type can be read");
}

void write(uint8_t* at, const graph::Tensor& t) {
  for (int64_t i = 0; i < t.size(); ++i) {
    put(at + i * byteSize(t.dtype), t.dtype, t.get(i));
  }
}

void expectEqual(const std::string& what, const uint8_t* at, const graph::Tensor& expected, double tolerance) {
  double scale = 1;
  for (int64_t i = 0; i < expected.size(); ++i) {
    scale = std::max(scale, std::abs(expected.get(i)));
  }
  for (int64_t i = 0; i < expected.size(); ++i) {
    double value = get(at + i * byteSize(expected.dtype), expected.dtype);
    ASSERT_NEAR(value, expected.get(i), tolerance * scale) << what << ", element " << i;
  }
}

std::vector<uint8_t> aligned(uint64_t bytes) { return std::vector<uint8_t>(bytes + 64); }
uint8_t* base(std::vector<uint8_t>& memory) {
  return reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
}

} // namespace

std::unique_ptr<graph::Module> parseProgram(const std::string& text) {
  auto module = graph::parseModule(text, "test.dnir");
  EXPECT_TRUE(module.ok()) << module.error().where << ": " << module.error().message;
  Status status = graph::verify(**module);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return std::move(*module);
}

plan::Plan planOf(const graph::Module& module) {
  plan::Plan plan;
  plan.program = "test";
  plan.phases.emplace_back();
  for (const graph::Persistent& p : module.persistents) {
    plan::Persistent persistent;
    persistent.kind = static_cast<plan::Persistent::Kind>(p.kind);
    persistent.path = p.path;
    persistent.dtype = p.type.dtype;
    for (const Dim& dim : p.type.dims) {
      persistent.dims.push_back(dim.constant());
    }
    plan.persistents.push_back(std::move(persistent));
  }
  for (const auto& function : module.functions) {
    if (function->kind == graph::FunctionKind::Helper) {
      continue;
    }
    plan::Entry entry;
    entry.kind = static_cast<plan::Entry::Kind>(function->kind);
    entry.name = function->name;
    entry.batch = function->symbols.empty() ? 0 : function->symbols[0].max;
    for (const graph::Op* op : function->body.ops) {
      if (op->kind == graph::OpKind::Input) {
        entry.inputs.push_back(portOf(op->symbol, op->results[0]->type));
      } else if (op->kind == graph::OpKind::Output) {
        entry.outputs.push_back(portOf(op->symbol, op->operands[0]->type));
      }
    }
    plan.entries.push_back(std::move(entry));
  }
  return plan;
}

namespace {

/// Stands for every function that a checked kernel calls when a check fails; the kernel returns the code.
int checkFailed(void*, ...) { return -1; }

constexpr const char* checkFunctions[] = {
    "halide_error_access_out_of_bounds",
    "halide_error_bad_dimensions",
    "halide_error_bad_extern_fold",
    "halide_error_bad_fold",
    "halide_error_bad_type",
    "halide_error_bounds_inference_call_failed",
    "halide_error_buffer_allocation_too_large",
    "halide_error_buffer_argument_is_null",
    "halide_error_buffer_extents_negative",
    "halide_error_buffer_extents_too_large",
    "halide_error_buffer_is_null",
    "halide_error_constraint_violated",
    "halide_error_constraints_make_required_region_smaller",
    "halide_error_debug_to_file_failed",
    "halide_error_device_crop_failed",
    "halide_error_device_dirty_with_no_device_support",
    "halide_error_device_interface_no_device",
    "halide_error_explicit_bounds_too_small",
    "halide_error_extern_stage_failed",
    "halide_error_fold_factor_too_small",
    "halide_error_host_and_device_dirty",
    "halide_error_host_is_null",
    "halide_error_no_device_interface",
    "halide_error_out_of_memory",
    "halide_error_param_too_large_f64",
    "halide_error_param_too_large_i64",
    "halide_error_param_too_large_u64",
    "halide_error_param_too_small_f64",
    "halide_error_param_too_small_i64",
    "halide_error_param_too_small_u64",
    "halide_error_requirement_failed",
    "halide_error_specialize_fail",
    "halide_error_split_factor_not_positive",
    "halide_error_storage_bound_too_small",
    "halide_error_unaligned_host_ptr",
    "halide_error_vscale_invalid",
};

} // namespace

std::vector<HostSymbol> runtimeSymbols() {
  std::vector<HostSymbol> symbols = {{"halide_do_par_for", reinterpret_cast<void*>(&halide_do_par_for)},
                                     {"halide_malloc", reinterpret_cast<void*>(&halide_malloc)},
                                     {"halide_free", reinterpret_cast<void*>(&halide_free)}};
  for (const char* name : checkFunctions) {
    symbols.push_back({name, reinterpret_cast<void*>(&checkFailed)});
  }
  return symbols;
}

SideBySide::SideBySide(const std::string& text, const CompileOptions& options) : module_(parseProgram(text)) {
  auto compiledModule = parseProgram(text);
  const transform::Pass* fuse = transform::findPass("fuse");
  auto reports = transform::runPasses(*compiledModule, {{fuse}}, {.verifyEach = true});
  EXPECT_TRUE(reports.ok()) << reports.error().message;
  auto compiled = compileProgram(*compiledModule, planOf(*module_), options);
  if (!compiled) {
    throw std::runtime_error(compiled.error().message);
  }
  compiled_ = std::move(*compiled);
  auto jit = JitProgram::load(compiled_.objects, runtimeSymbols());
  if (!jit) {
    throw std::runtime_error(jit.error().message);
  }
  jit_ = std::move(*jit);
  persistent_ = aligned(compiled_.plan.persistentBytes);
  arena_ = aligned(compiled_.plan.arenaBytes);
  jit_->module().bind(base(persistent_), base(arena_));
  for (const plan::Persistent& p : compiled_.plan.persistents) {
    environment_.persistents[p.path] = graph::Tensor::zeros(p.dtype, p.dims);
  }
}

graph::Tensor SideBySide::randomInput(const plan::Port& port, int64_t rows) {
  std::vector<int64_t> dims = port.dims;
  if (port.batched) {
    dims.insert(dims.begin(), rows);
  }
  graph::Tensor t = graph::Tensor::zeros(port.dtype, dims);
  std::normal_distribution<double> normal;
  for (int64_t i = 0; i < t.size(); ++i) {
    if (isFloat(t.dtype)) {
      t.set(i, static_cast<float>(normal(random_)));
    } else {
      t.set(i, static_cast<double>(random_() % static_cast<uint64_t>(port.bound > 0 ? port.bound : 100)));
    }
  }
  return t;
}

void SideBySide::run(const std::string& entryName, int64_t rows, double tolerance) {
  size_t index = 0;
  while (compiled_.plan.entries.at(index).name != entryName) {
    ++index;
  }
  const plan::Entry& entry = compiled_.plan.entries[index];
  const graph::Function& function = *module_->findFunction(entryName);
  environment_.inputs.clear();
  environment_.symbols.clear();
  for (const Symbol& symbol : function.symbols) {
    environment_.symbols[symbol.name] = rows;
  }
  for (const plan::Port& port : entry.inputs) {
    graph::Tensor t = randomInput(port, rows);
    write(base(arena_) + port.offset, t);
    environment_.inputs[port.name] = std::move(t);
  }
  environment_.seed = 0x123456789abcdefULL;
  DnnCall call{entry.batch > 0 ? rows : 0, environment_.seed, environment_.step, environment_.epoch, nullptr};
  ASSERT_EQ(jit_->module().entries[index](&call), 0) << "a kernel failed, or a check in a checked kernel";
  auto outputs = graph::run(function, environment_);
  ASSERT_TRUE(outputs.ok()) << outputs.error().message;
  for (const plan::Port& port : entry.outputs) {
    expectEqual(entryName + " output " + port.name, base(arena_) + port.offset, outputs->outputs.at(port.name),
                tolerance);
  }
  for (const plan::Persistent& p : compiled_.plan.persistents) {
    expectEqual("after " + entryName + ", " + p.path, base(persistent_) + p.offset, environment_.persistents.at(p.path),
                tolerance);
  }
  ++environment_.step;
}

} // namespace dnn::codegen
