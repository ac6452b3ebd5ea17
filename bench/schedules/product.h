// Products of matrices as kernels.
#pragma once

#include "bench/schedules/kernel_set.h"

#include <memory>
#include <string>

namespace dnn::bench {

/// What the product feeds: nothing, bias and ReLU, or a weight (with two moments) that is updated in place.
enum class Epilogue : uint8_t { None, Relu, Sgd, Adam };

struct Product {
  int64_t rows = 1, columns = 1, reduction = 1;
  std::string operands = "nn"; ///< n or t for each: tn is Aᵀ·B
  Epilogue epilogue = Epilogue::None;
  bool dynamic = false; ///< the number of rows (of the batch for Aᵀ·B) is a run-time value, here at its largest
};

/// "64x128x784:nn", rows × columns × terms; nothing if the word is something else.
std::optional<Product> parseProduct(const std::string& word);

/// A module with one function.
std::unique_ptr<graph::Module> moduleOf(const Product& product);
schedule::Kernel kernelOf(const graph::Module& module, const Product& product);

/// The largest difference between elements of the result and their true values; 0 for updates in place.
double errorOf(const KernelSet& kernels, const Product& product);

} // namespace dnn::bench
