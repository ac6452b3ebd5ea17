// One product of matrices, compiled by a plan and ready to run.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/schedule/contraction.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dnn::bench {

/// What the product feeds: nothing, bias and ReLU, or a weight (with two moments) that is updated in place.
enum class Epilogue : uint8_t { None, Relu, Sgd, Adam };

struct Shape {
  int64_t rows = 1, columns = 1, reduction = 1;
  std::string operands = "nn"; ///< n or t for each: tn is Aᵀ·B
  Epilogue epilogue = Epilogue::None;
  bool dynamic = false; ///< the number of rows (of the batch for Aᵀ·B) is a run-time value, here at its largest

  double operations() const {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(reduction);
  }
};

class Product {
public:
  explicit Product(const Shape& shape);
  ~Product();
  Product(const Product&) = delete;

  const Shape& shape() const { return shape_; }
  std::vector<schedule::ContractionPlan> plans(const schedule::Machine& machine) const;
  /// Compiles and loads; an error message or nothing. The kernels of one product share their operands.
  std::string compile(const schedule::Machine& machine, const schedule::ContractionPlan& plan);
  /// The schedule, the loop nest and the assembly of a plan, to look at.
  std::string text(const schedule::Machine& machine, const schedule::ContractionPlan& plan) const;
  /// Number of kernels that were compiled.
  size_t kernels() const { return codes_.size(); }
  void run(size_t kernel) const;
  /// The largest difference between elements of the result and their true values; 0 for updates in place.
  double error(size_t kernel);

private:
  struct Buffer;
  using Code = int (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

  Shape shape_;
  std::unique_ptr<graph::Module> module_;
  schedule::Kernel kernel_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::vector<Buffer*> results_;
  std::vector<Code> codes_;
  std::vector<std::array<uint64_t, 6>> arguments_;
  std::vector<void*> libraries_;

  float* operand(size_t number) const;
};

} // namespace dnn::bench
