#include "bench/schedules/product.h"

#include "compiler/codegen/compile_kernel.h"
#include "compiler/support/assert.h"

#include "HalideRuntime.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <sys/mman.h>
#include <unistd.h>

namespace dnn::bench {

namespace {

/// Operands lie in one region of large pages, as the tensors of a program do.
float* allocate(int64_t elements) {
  constexpr size_t region = size_t{1} << 30, large = size_t{2} << 20;
  static char* next = [] {
    void* memory = mmap(nullptr, region, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    DNN_ASSERT(memory != MAP_FAILED, "a gigabyte of addresses");
    auto start = (reinterpret_cast<uintptr_t>(memory) + large - 1) / large * large;
    madvise(reinterpret_cast<void*>(start), region - large, MADV_HUGEPAGE);
    return reinterpret_cast<char*>(start);
  }();
  float* result = reinterpret_cast<float*>(next);
  next += (static_cast<size_t>(elements) * sizeof(float) + 63) / 64 * 64;
  return result;
}

std::string dims(const std::string& a, const std::string& b) { return "f32[" + a + ", " + b + "]"; }

std::string textOf(const Shape& s) {
  bool left = s.operands[0] == 't', right = s.operands[1] == 't';
  std::string m = std::to_string(s.rows), n = std::to_string(s.columns), k = std::to_string(s.reduction), head;
  if (s.dynamic) {
    head = " [N <= " + (left ? k : m) + "]";
    (left ? k : m) = "N";
  }
  std::string text = "func @product helper" + head + " {\n  %a = input \"0\" : " + (left ? dims(k, m) : dims(m, k)) +
                     "\n  %b = input \"1\" : " + (right ? dims(n, k) : dims(k, n)) + "\n";
  std::string domain = "[m:" + m + ", n:" + n + "]";
  std::string product = "  %c = comp " + domain + " add [k:" + k + "] : f32 { mul(%a" + (left ? "[k, m]" : "[m, k]") +
                        ", %b" + (right ? "[n, k]" : "[k, n]") + ") }\n";
  switch (s.epilogue) {
  case Epilogue::None: return text + product + "  return %c\n}\n";
  case Epilogue::Relu:
    return text + "  %d = input \"2\" : f32[" + n + "]\n" + product + "  %y = comp " + domain +
           " : f32 { max(add(%c[m, n], %d[n]), 0.0) }\n  return %y\n}\n";
  case Epilogue::Sgd:
    return text + "  %w = input \"2\" : " + dims(m, n) + "\n" + product + "  %y = comp " + domain +
           " : f32 { sub(%w[m, n], mul(0.0001, %c[m, n])) }\n  return %y\n}\n";
  case Epilogue::Adam:
    return text + "  %p = input \"2\" : " + dims(m, n) + "\n  %q = input \"3\" : " + dims(m, n) +
           "\n  %w = input \"4\" : " + dims(m, n) + "\n" + product + "  %x = comp " + domain +
           " : f32 { add(mul(0.9, %p[m, n]), mul(0.1, %c[m, n])) }\n  %y = comp " + domain +
           " : f32 { add(mul(0.999, %q[m, n]), mul(0.001, mul(%c[m, n], %c[m, n]))) }\n  %z = comp " + domain +
           " : f32 { sub(%w[m, n], div(mul(0.001, %x[m, n]), add(sqrt(%y[m, n]), 0.00000001))) }\n"
           "  return %x, %y, %z\n}\n";
  }
  DNN_UNREACHABLE("every epilogue has a text");
}

} // namespace

struct Product::Buffer {
  float* data = nullptr;
  std::vector<halide_dimension_t> dimensions;
  halide_buffer_t descriptor = {};

  explicit Buffer(const std::vector<int64_t>& extents) : dimensions(extents.size()) {
    int64_t elements = 1;
    for (size_t d = 0; d < extents.size(); ++d) {
      int64_t extent = extents[extents.size() - 1 - d];
      dimensions[d] = halide_dimension_t(0, static_cast<int32_t>(extent), static_cast<int32_t>(elements));
      elements *= extent;
    }
    data = allocate(elements);
    for (int64_t i = 0; i < elements; ++i) {
      data[i] = static_cast<float>(i * 7 % 17 - 8) / 8; // eighths: sums are exact
    }
    descriptor.host = reinterpret_cast<uint8_t*>(data);
    descriptor.type = halide_type_t(halide_type_float, 32);
    descriptor.dimensions = static_cast<int32_t>(extents.size());
    descriptor.dim = dimensions.data();
  }
};

Product::Product(const Shape& shape) : shape_(shape) {
  auto module = graph::parseModule(textOf(shape), "product");
  DNN_ASSERT(bool(module), "the text of a product parses");
  module_ = std::move(*module);
  kernel_.function = module_->functions[0].get();
  if (shape.epilogue == Epilogue::Sgd) {
    kernel_.inPlace = {2};
  } else if (shape.epilogue == Epilogue::Adam) {
    kernel_.inPlace = {2, 3, 4};
  }
  std::vector<int64_t> symbols(kernel_.function->symbols.size(), 0);
  for (size_t s = 0; s < symbols.size(); ++s) {
    symbols[s] = kernel_.function->symbols[s].max;
  }
  auto add = [&](const TensorType& type) {
    std::vector<int64_t> extents;
    for (const Dim& dim : type.dims) {
      extents.push_back(dim.evaluate(symbols));
    }
    buffers_.push_back(std::make_unique<Buffer>(extents));
  };
  for (const graph::Op* op : kernel_.function->body.ops) {
    if (op->kind == graph::OpKind::Input) {
      add(op->results[0]->type);
    }
  }
  for (const graph::Value* v : kernel_.function->returns) {
    add(v->type);
    results_.push_back(buffers_.back().get());
  }
}

Product::~Product() {
  for (void* library : libraries_) {
    dlclose(library);
  }
}

std::vector<schedule::ContractionPlan> Product::plans(const schedule::Machine& machine) const {
  schedule::Analysis analysis(kernel_);
  return schedule::contractionPlans(analysis, machine);
}

std::string Product::compile(const schedule::Machine& machine, const schedule::ContractionPlan& plan) {
  using Kind = schedule::KernelArg::Kind;
  schedule::Analysis analysis(kernel_);
  auto how = schedule::scheduleContraction(analysis, machine, plan);
  if (!how) {
    return "the plan does not fit";
  }
  auto object = codegen::compileKernel(codegen::lowerKernels, kernel_, *how, machine, {}, "product");
  if (!object) {
    return object.error().message;
  }
  std::string folder = "/tmp/schedule_bench_XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) {
    return "no temporary folder";
  }
  std::string path = folder + "/product.o", library = folder + "/product.so";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(object->bytes.data()), static_cast<std::streamsize>(object->bytes.size()));
  int linked = std::system((std::string(DNN_LLD) + " -shared -o " + library + " " + path).c_str());
  void* loaded = linked == 0 ? dlopen(library.c_str(), RTLD_LOCAL | RTLD_NOW) : nullptr;
  std::string problem = loaded == nullptr ? "the kernel cannot be loaded" : "";
  for (const std::string& file : {path, library}) {
    unlink(file.c_str());
  }
  rmdir(folder.c_str());
  if (loaded == nullptr) {
    return problem;
  }
  libraries_.push_back(loaded);
  codes_.push_back(reinterpret_cast<Code>(dlsym(loaded, "product")));
  std::array<uint64_t, 6> arguments = {};
  size_t count = 0;
  for (const schedule::KernelArg& arg : object->args) {
    if (arg.kind == Kind::Symbol) {
      arguments.at(count++) = static_cast<uint64_t>(kernel_.function->symbols.at(arg.index).max);
    } else {
      Buffer& buffer = arg.kind == Kind::Output ? *results_.at(arg.index) : *buffers_.at(arg.index);
      arguments.at(count++) = reinterpret_cast<uint64_t>(&buffer.descriptor);
    }
  }
  arguments_.push_back(arguments);
  return {};
}

std::string Product::text(const schedule::Machine& machine, const schedule::ContractionPlan& plan) const {
  schedule::Analysis analysis(kernel_);
  auto how = schedule::scheduleContraction(analysis, machine, plan);
  if (!how) {
    return "the plan does not fit\n";
  }
  auto nest = codegen::loopNest(kernel_, *how, machine, "product");
  auto code = codegen::assembleKernel(codegen::lowerKernels, kernel_, *how, machine, "product");
  return schedule::print(*how) + (nest ? *nest : nest.error().message) + (code ? *code : code.error().message);
}

void Product::run(size_t kernel) const {
  const std::array<uint64_t, 6>& a = arguments_[kernel];
  codes_[kernel](a[0], a[1], a[2], a[3], a[4], a[5]);
}

float* Product::operand(size_t number) const { return buffers_.at(number)->data; }

double Product::error(size_t kernel) {
  if (!kernel_.inPlace.empty()) {
    return 0;
  }
  run(kernel);
  double worst = 0;
  for (int64_t probe = 0; probe < 200; ++probe) {
    bool last = probe % 4 == 0; // the edges more often than others
    int64_t m = last ? shape_.rows - 1 : probe * 53 % shape_.rows, n = probe * 37 % shape_.columns;
    n = probe % 7 == 0 ? shape_.columns - 1 : n;
    double sum = 0;
    for (int64_t k = 0; k < shape_.reduction; ++k) {
      double a = shape_.operands[0] == 't' ? operand(0)[k * shape_.rows + m] : operand(0)[m * shape_.reduction + k];
      double b = shape_.operands[1] == 't' ? operand(1)[n * shape_.reduction + k] : operand(1)[k * shape_.columns + n];
      sum += a * b;
    }
    if (shape_.epilogue == Epilogue::Relu) {
      sum = std::max(sum + static_cast<double>(operand(2)[n]), 0.0);
    }
    worst = std::max(worst, std::abs(sum - static_cast<double>(results_[0]->data[m * shape_.columns + n])));
  }
  return worst;
}

} // namespace dnn::bench
