#include "bench/schedules/product.h"

#include "compiler/support/assert.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace dnn::bench {

namespace {

std::string dims(const std::string& a, const std::string& b) { return "f32[" + a + ", " + b + "]"; }

std::string textOf(const Product& s) {
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

std::optional<Product> parseProduct(const std::string& word) {
  long m = 0, n = 0, k = 0;
  char left = 'n', right = 'n';
  int used = 0;
  if (std::sscanf(word.c_str(), "%ldx%ldx%ld:%c%c%n", &m, &n, &k, &left, &right, &used) != 5 || m < 1 || n < 1 ||
      k < 1 || static_cast<size_t>(used) != word.size()) {
    return std::nullopt;
  }
  return Product{m, n, k, {left, right}};
}

std::unique_ptr<graph::Module> moduleOf(const Product& product) {
  auto module = graph::parseModule(textOf(product), "product");
  DNN_ASSERT(bool(module), "the text of a product parses");
  return std::move(*module);
}

schedule::Kernel kernelOf(const graph::Module& module, const Product& product) {
  schedule::Kernel kernel;
  kernel.function = module.functions[0].get();
  if (product.epilogue == Epilogue::Sgd) {
    kernel.inPlace = {2};
  } else if (product.epilogue == Epilogue::Adam) {
    kernel.inPlace = {2, 3, 4};
  }
  return kernel;
}

double errorOf(const KernelSet& kernels, const Product& product) {
  if (!kernels.kernel().inPlace.empty()) {
    return 0;
  }
  auto element = [](std::span<const float> matrix, int64_t place) {
    return static_cast<double>(matrix[static_cast<size_t>(place)]);
  };
  double worst = 0;
  for (int64_t probe = 0; probe < 200; ++probe) {
    bool last = probe % 4 == 0; // the edges more often than others
    int64_t m = last ? product.rows - 1 : probe * 53 % product.rows, n = probe * 37 % product.columns;
    n = probe % 7 == 0 ? product.columns - 1 : n;
    double sum = 0;
    for (int64_t k = 0; k < product.reduction; ++k) {
      bool left = product.operands[0] == 't', right = product.operands[1] == 't';
      sum += element(kernels.operand(0), left ? k * product.rows + m : m * product.reduction + k) *
             element(kernels.operand(1), right ? n * product.reduction + k : k * product.columns + n);
    }
    if (product.epilogue == Epilogue::Relu) {
      sum = std::max(sum + element(kernels.operand(2), n), 0.0);
    }
    worst = std::max(worst, std::abs(sum - element(kernels.result(0), m * product.columns + n)));
  }
  return worst;
}

} // namespace dnn::bench
