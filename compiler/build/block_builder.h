// Where ops go while a function is built: its body, or the body of the scan that is being built.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/sema/program.h"

#include <string>
#include <unordered_map>
#include <vector>

namespace dnn::build {

class BlockBuilder {
public:
  explicit BlockBuilder(graph::Function& to) : function_(to) {}

  graph::Op* append(graph::OpKind kind, std::vector<graph::Value*> operands, std::vector<TensorType> resultTypes,
                    graph::Loc loc);

  /// A scan whose body the next ops go to; `step` is the variable of the step's number.
  graph::Op* beginScan(graph::IndexVar index, bool reverse, sema::VarId step, std::vector<graph::Value*> initial,
                       graph::Loc loc);
  /// The scan, with results, appended to the block around it.
  graph::Op* endScan(std::vector<graph::Value*> nexts, std::vector<graph::Value*> emits);

  /// How deep the scan stands whose step's number this is, from 1; 0 if it is none of an open scan.
  size_t levelOfStep(sema::VarId var) const;
  bool isStep(sema::VarId var) const { return levelOfStep(var) != 0; }
  /// That number as a value of the body.
  graph::Value* counter(sema::VarId step);

  /// A dimension of a tensor that is read at step · factor + offset of the innermost scan that `step` belongs to.
  struct StepSubscript {
    size_t position = 0; // of the dimension
    sema::VarId step = 0;
    int64_t factor = 1;
    Dim offset;
  };
  /// Can a value from outside of the step's scan be cut up beforehand, one piece a step?
  bool canSlice(const graph::Value* value, sema::VarId step) const;
  /// The piece of `value` for the step that the subscripts, all of one step, name: its other dimensions. Equal pieces
  /// are one slice. `fill`: what stands for elements outside of `value`.
  graph::Value* slice(graph::Value* value, const std::vector<StepSubscript>& subscripts, std::optional<double> fill,
                      graph::Loc loc);

private:
  struct OpenScan {
    graph::Op* scan = nullptr;
    sema::VarId step = 0;
    std::unordered_map<std::string, graph::Value*> slices; // by what is read how
  };

  /// Level of the scan in whose body the value is defined; 0 for the function's.
  size_t levelOf(const graph::Value* value) const;
  graph::Op* appendAt(size_t level, graph::OpKind kind, std::vector<graph::Value*> operands,
                      std::vector<TensorType> resultTypes, graph::Loc loc);
  void place(size_t level, graph::Op* op);
  graph::Value* arrange(size_t level, graph::Value* value, const std::vector<StepSubscript>& subscripts,
                        const Dim& steps, std::optional<double> fill, graph::Loc loc);

  graph::Function& function_;
  std::vector<OpenScan> open_;
  std::unordered_map<const graph::Value*, size_t> levels_; // of values in scans
};

} // namespace dnn::build
