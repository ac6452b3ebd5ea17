#include "bench/schedules/kernel_set.h"

#include "compiler/codegen/compile_kernel.h"
#include "compiler/support/assert.h"
#include "compiler/support/integers.h"

#include "HalideRuntime.h"

#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sys/mman.h>
#include <unistd.h>

namespace dnn::bench {

using Kind = schedule::KernelArg::Kind;

struct KernelSet::Buffer {
  std::span<float> elements;
  int64_t count = 1;
  std::vector<halide_dimension_t> dimensions;
  halide_buffer_t descriptor = {};

  explicit Buffer(const std::vector<int64_t>& extents) : dimensions(extents.size()) {
    for (size_t d = 0; d < extents.size(); ++d) {
      int64_t extent = extents[extents.size() - 1 - d];
      dimensions[d] = halide_dimension_t(0, static_cast<int32_t>(extent), static_cast<int32_t>(count));
      count *= extent;
    }
    descriptor.type = halide_type_t(halide_type_float, 32);
    descriptor.dimensions = static_cast<int32_t>(extents.size());
    descriptor.dim = dimensions.data();
  }
};

KernelSet::KernelSet(schedule::Kernel kernel) : kernel_(std::move(kernel)) {
  const graph::Function& function = *kernel_.function;
  std::vector<int64_t> symbols;
  for (const Symbol& symbol : function.symbols) {
    symbols.push_back(symbol.max);
  }
  auto bufferOf = [&](const TensorType& type) {
    DNN_ASSERT(type.dtype == DType::F32, "operands of f32");
    std::vector<int64_t> extents;
    for (const Dim& dim : type.dims) {
      extents.push_back(dim.evaluate(symbols));
    }
    return std::make_unique<Buffer>(extents);
  };
  for (const graph::Op* op : function.body.ops) {
    if (op->kind == graph::OpKind::Input) {
      operands_.push_back(bufferOf(op->results[0]->type));
    }
  }
  for (const graph::Value* v : function.returns) {
    results_.push_back(bufferOf(v->type));
  }
  allocate();
}

/// Operands lie in one region of large pages, as the tensors of a program do.
void KernelSet::allocate() {
  constexpr int64_t large = int64_t{2} << 20, line = 64;
  auto bytesOf = [](const Buffer& buffer) { return roundUp(buffer.count * static_cast<int64_t>(sizeof(float)), line); };
  int64_t all = large;
  for (const auto* buffers : {&operands_, &results_}) {
    for (const auto& buffer : *buffers) {
      all += bytesOf(*buffer);
    }
  }
  bytes_ = static_cast<size_t>(roundUp(all, large));
  memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  DNN_ASSERT(memory_ != MAP_FAILED, "addresses for the operands");
  auto next = static_cast<uintptr_t>(roundUp(static_cast<int64_t>(reinterpret_cast<uintptr_t>(memory_)), large));
  madvise(reinterpret_cast<void*>(next), bytes_ - static_cast<size_t>(large), MADV_HUGEPAGE);
  for (const auto* buffers : {&operands_, &results_}) {
    for (const auto& buffer : *buffers) {
      buffer->elements = {reinterpret_cast<float*>(next), static_cast<size_t>(buffer->count)};
      buffer->descriptor.host = reinterpret_cast<uint8_t*>(next);
      for (int64_t i = 0; i < buffer->count; ++i) {
        buffer->elements[static_cast<size_t>(i)] = static_cast<float>(i * 7 % 17 - 8) / 8;
      }
      next += static_cast<uintptr_t>(bytesOf(*buffer));
    }
  }
}

KernelSet::~KernelSet() {
  for (void* library : libraries_) {
    dlclose(library);
  }
  munmap(memory_, bytes_);
}

namespace {

/// A library with the kernel `kernel` and, beside it, its arguments: a letter and an index each.
std::string makeLibrary(const schedule::Kernel& kernel, const schedule::Schedule& schedule,
                        const schedule::Machine& machine, const std::string& path) {
  auto object = codegen::compileKernel(codegen::lowerKernels, kernel, schedule, machine, {}, "kernel");
  if (!object) {
    return object.error().message;
  }
  std::ofstream arguments(path + ".args");
  for (const schedule::KernelArg& arg : object->args) {
    arguments << static_cast<int>(arg.kind) << " " << arg.index << "\n";
  }
  std::ofstream(path + ".o", std::ios::binary)
      .write(reinterpret_cast<const char*>(object->bytes.data()), static_cast<std::streamsize>(object->bytes.size()));
  int linked = std::system((std::string(DNN_LLD) + " -shared -o " + path + ".so " + path + ".o").c_str());
  unlink((path + ".o").c_str());
  return linked == 0 ? "" : "the kernel cannot be linked";
}

} // namespace

std::string KernelSet::compile(const schedule::Machine& machine, const schedule::Schedule& schedule,
                               const std::string& folder) {
  std::string temporary = "/tmp/schedule_bench_XXXXXX";
  if (folder.empty() && mkdtemp(temporary.data()) == nullptr) {
    return "no temporary folder";
  }
  size_t key = std::hash<std::string>{}(graph::print(*kernel_.function) + schedule::print(schedule) + machine.target);
  std::string path = (folder.empty() ? temporary : folder) + "/" + std::to_string(key);
  std::string problem;
  if (!std::filesystem::exists(path + ".so")) {
    problem = makeLibrary(kernel_, schedule, machine, path);
    isNew_ = true;
  }
  void* loaded = problem.empty() ? dlopen((path + ".so").c_str(), RTLD_LOCAL | RTLD_NOW) : nullptr;
  std::array<uint64_t, 6> arguments = {};
  std::ifstream list(path + ".args");
  size_t count = 0;
  for (int kind = 0, index = 0; list >> kind >> index;) {
    auto place = static_cast<size_t>(index);
    if (static_cast<Kind>(kind) == Kind::Symbol) {
      arguments.at(count++) = static_cast<uint64_t>(kernel_.function->symbols.at(place).max);
    } else {
      Buffer& buffer = static_cast<Kind>(kind) == Kind::Output ? *results_.at(place) : *operands_.at(place);
      arguments.at(count++) = reinterpret_cast<uint64_t>(&buffer.descriptor);
    }
  }
  if (folder.empty()) {
    std::filesystem::remove_all(temporary);
  }
  if (loaded == nullptr) {
    return problem.empty() ? "the kernel cannot be loaded" : problem;
  }
  libraries_.push_back(loaded);
  codes_.push_back(reinterpret_cast<Code>(dlsym(loaded, "kernel")));
  arguments_.push_back(arguments);
  return {};
}

std::span<const float> KernelSet::operand(size_t number) const { return operands_.at(number)->elements; }

std::span<const float> KernelSet::result(size_t number) const { return results_.at(number)->elements; }

void KernelSet::run(size_t number) const {
  const std::array<uint64_t, 6>& a = arguments_[number];
  codes_[number](a[0], a[1], a[2], a[3], a[4], a[5]);
}

std::string textOf(const schedule::Kernel& kernel, const schedule::Machine& machine,
                   const schedule::Schedule& schedule) {
  auto nest = codegen::loopNest(kernel, schedule, machine, "kernel");
  auto code = codegen::assembleKernel(codegen::lowerKernels, kernel, schedule, machine, "kernel");
  return schedule::print(schedule) + (nest ? *nest : nest.error().message) + (code ? *code : code.error().message);
}

} // namespace dnn::bench
