#include "test/property/kernel_runner.h"

#include "HalideRuntime.h"
#include "runtime/types/half.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <mutex>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace {

int threadCount = 1;
std::mutex errorLock;
std::string halideError;

} // namespace

namespace dnn::test {

int reportHalideError(const char* what) {
  std::lock_guard lock(errorLock);
  halideError = what;
  return -1;
}

} // namespace dnn::test

// What kernels import. The library is loaded with this program's symbols visible.
extern "C" {

int halide_do_par_for(void* context, halide_task_t task, int min, int size, uint8_t* closure) {
  if (threadCount == 1) {
    for (int i = min; i < min + size; ++i) {
      if (int code = task(context, i, closure)) {
        return code;
      }
    }
    return 0;
  }
  std::atomic<int> next{min};
  std::atomic<int> result{0};
  auto work = [&] {
    for (int i = next++; i < min + size; i = next++) {
      if (int code = task(context, i, closure)) {
        result = code;
      }
    }
  };
  std::vector<std::jthread> threads;
  for (int t = 1; t < threadCount; ++t) {
    threads.emplace_back(work);
  }
  work();
  threads.clear();
  return result;
}

void* halide_malloc(void*, size_t bytes) { return std::aligned_alloc(128, (bytes + 127) / 128 * 128); }
void halide_free(void*, void* memory) { std::free(memory); }
}

namespace dnn::test {

namespace {

constexpr uint8_t mark = 0xa5;
constexpr size_t marked = 256;

/// Memory of whole pages that ends at an unreadable one, filled up to the next multiple of `alignment` bytes.
class GuardedBuffer {
public:
  GuardedBuffer(size_t bytes, size_t alignment)
      : bytes_(bytes), slot_((bytes + alignment - 1) / alignment * alignment) {
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_t pages = (slot_ + marked + page - 1) / page * page;
    size_ = pages + page;
    memory_ = static_cast<uint8_t*>(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(memory_ + pages, page, PROT_NONE);
    data_ = memory_ + pages - slot_;
    std::memset(memory_, mark, pages);
  }
  ~GuardedBuffer() { munmap(memory_, size_); }
  GuardedBuffer(const GuardedBuffer&) = delete;

  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  bool marksIntact() const {
    for (const uint8_t* p = data_ - marked; p < data_; ++p) {
      if (*p != mark) {
        return false;
      }
    }
    for (const uint8_t* p = data_ + bytes_; p < data_ + slot_; ++p) {
      if (*p != mark) {
        return false;
      }
    }
    return true;
  }

private:
  uint8_t* memory_ = nullptr;
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
  size_t slot_ = 0;
  size_t size_ = 0;
};

template <class T> void put(uint8_t* at, double value) {
  T converted = static_cast<T>(value);
  std::memcpy(at, &converted, sizeof converted);
}
template <class T> double get(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return static_cast<double>(value);
}

void store(uint8_t* to, const graph::Tensor& from) {
  for (int64_t i = 0; i < from.size(); ++i, to += byteSize(from.dtype)) {
    switch (from.dtype) {
    case DType::F32: put<float>(to, from.get(i)); break;
    case DType::F64: put<double>(to, from.get(i)); break;
    case DType::I32: put<int32_t>(to, from.get(i)); break;
    case DType::I64: put<int64_t>(to, from.get(i)); break;
    case DType::U32: put<uint32_t>(to, from.get(i)); break;
    case DType::BF16: put<Bf16>(to, from.get(i)); break;
    case DType::F16: put<F16>(to, from.get(i)); break;
    case DType::U8:
    case DType::Bool: put<uint8_t>(to, from.get(i)); break;
    }
  }
}

double load(const uint8_t* from, DType dtype) {
  switch (dtype) {
  case DType::F32: return get<float>(from);
  case DType::F64: return get<double>(from);
  case DType::I32: return get<int32_t>(from);
  case DType::I64: return get<int64_t>(from);
  case DType::U32: return get<uint32_t>(from);
  case DType::BF16: return get<Bf16>(from);
  case DType::F16: return get<F16>(from);
  case DType::U8:
  case DType::Bool: return get<uint8_t>(from);
  }
  return 0;
}

halide_type_t halideType(DType dtype) {
  uint8_t bits = static_cast<uint8_t>(8 * byteSize(dtype));
  switch (dtype) {
  case DType::F32:
  case DType::F64: return halide_type_t(halide_type_float, bits);
  case DType::I32:
  case DType::I64: return halide_type_t(halide_type_int, bits);
  case DType::U32:
  case DType::U8:
  case DType::BF16:
  case DType::F16:
  case DType::Bool: return halide_type_t(halide_type_uint, bits);
  }
  return {};
}

struct Argument {
  std::vector<halide_dimension_t> dims;
  halide_buffer_t buffer = {};

  Argument(uint8_t* host, DType dtype, const std::vector<int64_t>& extents) : dims(extents.size()) {
    int32_t stride = 1;
    for (size_t d = 0; d < extents.size(); ++d) {
      int32_t extent = static_cast<int32_t>(extents[extents.size() - 1 - d]);
      dims[d] = halide_dimension_t(0, extent, stride);
      stride *= extent;
    }
    buffer.host = host;
    buffer.type = halideType(dtype);
    buffer.dimensions = static_cast<int32_t>(extents.size());
    buffer.dim = dims.data();
  }
};

} // namespace

LoadedKernels::LoadedKernels(const std::vector<schedule::KernelObject>& objects) {
  if (objects.empty()) {
    return;
  }
  std::string folder = "/tmp/kernel_property_XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) {
    error_ = "no temporary folder";
    return;
  }
  std::string library = folder + "/kernels.so", command = std::string(DNN_LLD) + " -shared -o " + library;
  for (size_t i = 0; i < objects.size(); ++i) {
    std::string path = folder + "/" + std::to_string(i) + ".o";
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(objects[i].bytes.data()),
               static_cast<std::streamsize>(objects[i].bytes.size()));
    command += " " + path;
  }
  if (std::system(command.c_str()) != 0) {
    error_ = "the linker failed: " + command;
  } else if ((library_ = dlopen(library.c_str(), RTLD_LOCAL | RTLD_NOW)) == nullptr) {
    error_ = dlerror();
  }
  [[maybe_unused]] int ignored = std::system(("rm -rf " + folder).c_str());
}

LoadedKernels::~LoadedKernels() {
  if (library_ != nullptr) {
    dlclose(library_);
  }
}

void* LoadedKernels::find(const std::string& name) const {
  return library_ != nullptr ? dlsym(library_, name.c_str()) : nullptr;
}

std::string takeHalideError() {
  std::lock_guard lock(errorLock);
  return std::exchange(halideError, {});
}

KernelRun runKernel(void* code, const schedule::KernelObject& object, const schedule::Kernel& kernel,
                    const graph::Environment& environment, int threads) {
  using schedule::KernelArg;
  const graph::Function& function = *kernel.function;
  std::vector<int64_t> symbols;
  for (const Symbol& symbol : function.symbols) {
    symbols.push_back(environment.symbols.at(symbol.name));
  }
  std::map<uint32_t, uint32_t> overwritten; // return → input
  for (uint32_t r = 0; r < kernel.inPlace.size(); ++r) {
    if (kernel.inPlace[r]) {
      overwritten[r] = *kernel.inPlace[r];
    }
  }
  std::vector<std::unique_ptr<GuardedBuffer>> buffers;
  std::vector<std::unique_ptr<Argument>> arguments;
  std::vector<const graph::Tensor*> inputs; // of buffers that must not change
  std::map<uint32_t, const GuardedBuffer*> outputs;
  std::map<uint32_t, uint64_t> shared; // descriptors of outputs that are inputs as well
  std::vector<uint64_t> values;
  auto addBuffer = [&](DType dtype, const std::vector<int64_t>& dims, const graph::Tensor* content, bool aligned) {
    int64_t count = 1;
    for (int64_t d : dims) {
      count *= d;
    }
    buffers.push_back(std::make_unique<GuardedBuffer>(static_cast<size_t>(count * byteSize(dtype)),
                                                      aligned ? 64 : static_cast<size_t>(byteSize(dtype))));
    if (content != nullptr) {
      store(buffers.back()->data(), *content);
    }
    arguments.push_back(std::make_unique<Argument>(buffers.back()->data(), dtype, dims));
    values.push_back(reinterpret_cast<uint64_t>(&arguments.back()->buffer));
    return buffers.back().get();
  };
  auto isAligned = [](const std::vector<bool>& unaligned, uint32_t index) {
    return unaligned.empty() || !unaligned.at(index);
  };
  for (const KernelArg& arg : object.args) {
    switch (arg.kind) {
    case KernelArg::Kind::Input: {
      bool aligned = isAligned(kernel.unalignedInputs, arg.index);
      // A kernel that overwrites it row by row gets the same buffer twice.
      auto result = std::ranges::find_if(overwritten, [&](const auto& entry) { return entry.second == arg.index; });
      if (result != overwritten.end()) {
        const graph::Tensor& tensor = environment.inputs.at(std::to_string(arg.index));
        outputs[result->first] = addBuffer(tensor.dtype, tensor.dims, &tensor, aligned);
        shared[result->first] = values.back();
        break;
      }
      const graph::Tensor& tensor = environment.inputs.at(std::to_string(arg.index));
      addBuffer(tensor.dtype, tensor.dims, &tensor, aligned);
      inputs.resize(buffers.size());
      inputs.back() = &tensor;
      break;
    }
    case KernelArg::Kind::Output: {
      if (shared.contains(arg.index)) {
        values.push_back(shared.at(arg.index));
        break;
      }
      const TensorType& type = function.returns.at(arg.index)->type;
      std::vector<int64_t> dims;
      for (const Dim& dim : type.dims) {
        dims.push_back(dim.evaluate(symbols));
      }
      auto old = overwritten.find(arg.index);
      const graph::Tensor* content =
          old == overwritten.end() ? nullptr : &environment.inputs.at(std::to_string(old->second));
      outputs[arg.index] = addBuffer(type.dtype, dims, content, isAligned(kernel.unalignedReturns, arg.index));
      shared[arg.index] = values.back(); // a kernel that reads it again gets it twice
      break;
    }
    case KernelArg::Kind::Symbol: values.push_back(static_cast<uint64_t>(symbols.at(arg.index))); break;
    case KernelArg::Kind::SeedLo: values.push_back(static_cast<uint32_t>(environment.seed)); break;
    case KernelArg::Kind::SeedHi: values.push_back(environment.seed >> 32); break;
    case KernelArg::Kind::Site: values.push_back(arg.index); break;
    case KernelArg::Kind::Step: values.push_back(environment.step); break;
    case KernelArg::Kind::Epoch: values.push_back(environment.epoch); break;
    }
  }
  inputs.resize(buffers.size());
  KernelRun run;
  constexpr size_t most = 16;
  if (values.size() > most) {
    run.error = "too many arguments for this test";
    return run;
  }
  values.resize(most);
  threadCount = threads;
  // All arguments are integers or pointers, so more of them than the kernel takes do no harm.
  auto call =
      reinterpret_cast<int (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                               uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t)>(code);
  const std::vector<uint64_t>& v = values;
  int result =
      call(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15]);
  std::string check = takeHalideError();
  if (result != 0 || !check.empty()) {
    run.error = "the kernel returned " + std::to_string(result) + " " + check;
    return run;
  }
  for (size_t i = 0; i < buffers.size(); ++i) {
    if (!buffers[i]->marksIntact()) {
      run.error = "a write outside of buffer " + std::to_string(i);
    }
    if (inputs[i] != nullptr) {
      std::vector<uint8_t> before(buffers[i]->bytes());
      store(before.data(), *inputs[i]);
      if (std::memcmp(before.data(), buffers[i]->data(), before.size()) != 0) {
        run.error = "a write into input buffer " + std::to_string(i);
      }
    }
  }
  for (const auto& [index, buffer] : outputs) {
    const TensorType& type = function.returns.at(index)->type;
    graph::Tensor tensor = graph::Tensor::zeros(type.dtype, {});
    std::vector<int64_t> dims;
    for (const Dim& dim : type.dims) {
      dims.push_back(dim.evaluate(symbols));
    }
    tensor = graph::Tensor::zeros(type.dtype, dims);
    for (int64_t i = 0; i < tensor.size(); ++i) {
      tensor.set(i, load(buffer->data() + i * byteSize(type.dtype), type.dtype));
    }
    run.returns.push_back(std::move(tensor));
    run.bytes.emplace_back(buffer->data(), buffer->data() + buffer->bytes());
  }
  return run;
}

} // namespace dnn::test
