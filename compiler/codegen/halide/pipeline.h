// Kernel + schedule → Halide pipeline: the algorithm (stages) and, in apply_schedule.cpp, the loops.
#pragma once

#include "compiler/codegen/halide/expr_lowering.h"
#include "compiler/codegen/halide/fetch_for_tile.h"
#include "compiler/codegen/halide/random.h"
#include "compiler/schedule/schedule.h"

#include "Halide.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace dnn::codegen {

using LoopNames = std::map<std::string, Halide::VarOrRVar>;

/// A Func and, for each definition that a schedule may speak of, its loops by name; none where this kernel's extents
/// make the definition unnecessary.
struct Stage {
  Halide::Func func;
  std::vector<std::optional<LoopNames>> loops;
};

struct BuiltPipeline {
  Halide::Pipeline pipeline;
  std::vector<Halide::Argument> arguments;     ///< without the outputs, which follow
  std::vector<schedule::KernelArg> kernelArgs; ///< all of them
};

/// Builds the Funcs of one kernel. Index variables are i32; bool tensors are stored as bytes 0 and 1.
class PipelineBuilder : private ValueSource {
public:
  PipelineBuilder(const schedule::Kernel& kernel, const schedule::Schedule& schedule);

  BuiltPipeline build();

private:
  const schedule::Kernel& kernel_;
  const graph::Function& function_;
  const schedule::Schedule& schedule_;

  std::vector<Halide::Param<int32_t>> symbols_;
  Halide::Param<uint32_t> seedLo_, seedHi_, step_, epoch_;
  std::map<uint32_t, Halide::Param<uint32_t>> sites_; ///< of the draws
  bool usesSeed_ = false, usesStep_ = false, usesEpoch_ = false;

  std::unordered_map<const graph::Value*, Halide::ImageParam> images_;
  std::unordered_map<const graph::Value*, uint32_t> inputNumber_;
  std::map<uint32_t, Halide::ImageParam> reread_; ///< returns as inputs; Schedule::reread
  /// In-place inputs: the output stage that overwrites them and the element of its tuple.
  struct Overwritten {
    Halide::Func func;
    int element = -1; ///< -1: the stage has one value
  };
  std::unordered_map<const graph::Value*, Overwritten> overwritten_;
  std::unordered_map<const graph::Op*, const schedule::OpSchedule*> scheduleOf_;
  std::map<std::string, Stage> stages_;
  std::unordered_map<const graph::Op*, std::vector<Halide::Func>> once_;           ///< of OpSchedule::once, in order
  std::vector<std::pair<std::string, const schedule::StageSchedule*>> toSchedule_; ///< in order of definition
  std::map<std::string, int32_t> copiedWithUse_;                                   ///< names of Funcs; Pack::ahead

  // ValueSource
  Halide::Expr extent(const Dim& dim) override;
  Halide::Expr element(const graph::Value* v, const std::vector<Halide::Expr>& subscripts) override;
  Halide::Expr drawn(const graph::Expr& e, const Halide::Expr& lo, const Halide::Expr& hi) override;

  /// What ops beside the others read: returns in the place of what would compute them.
  class Written : public ValueSource {
  public:
    explicit Written(PipelineBuilder& builder) : builder_(builder) {}
    Halide::Expr extent(const Dim& dim) override { return builder_.extent(dim); }
    Halide::Expr element(const graph::Value* v, const std::vector<Halide::Expr>& subscripts) override;
    Halide::Expr drawn(const graph::Expr& e, const Halide::Expr& lo, const Halide::Expr& hi) override {
      return builder_.drawn(e, lo, hi);
    }

  private:
    PipelineBuilder& builder_;
  };
  Written written_{*this};

  /// A Func of this name, the same in every kernel: Halide's own constructor appends a number where the name, or
  /// another of the process with the same hash, has been used before. Names are compared and copied millions of times,
  /// so they begin with what tells them apart.
  static Halide::Func named(const std::string& name) { return Halide::Func(Halide::Internal::Function(name)); }
  void declareInputs();
  /// Returns that are read again are arguments twice; their loads are of the outputs' buffers.
  FetchedForTile fetchedFor(const schedule::OpSchedule& how) const;
  void addReread(BuiltPipeline& built, std::vector<Halide::Func>& outputs,
                 const std::vector<schedule::KernelArg>& outputArgs) const;
  /// An input or a return, dense and aligned as the kernel says.
  Halide::ImageParam denseImage(const TensorType& type, const std::string& name, bool aligned);
  void defineOp(uint32_t position);
  void defineReduction(const graph::Op& op, const schedule::OpSchedule& how, const std::string& name);
  /// All terms of a reduction in one expression.
  Halide::Expr writtenOut(const graph::Op& op, const std::vector<Halide::Expr>& point);
  void defineWrittenOut(const graph::Op& op, const std::string& name);
  void defineLanes(const graph::Op& op, const schedule::OpSchedule& how, const std::string& name);
  void defineBlocks(const graph::Op& op, const schedule::OpSchedule& how, const std::string& name);
  void defineWinograd(const graph::Op& op, const schedule::OpSchedule& how, const std::string& name);
  void defineWinogradSums(const graph::Op& op, const schedule::OpSchedule& how, const std::string& name);
  /// The transformed data of either; `varOf`: the loop over a dim outside of the images, which are `outside`.
  Halide::Func defineWinogradData(const graph::Op& op, const schedule::OpSchedule& how, const std::string& name,
                                  const schedule::WinogradData& plan, int64_t step, const Halide::Var& channel,
                                  const std::vector<Halide::Var>& outside,
                                  const std::function<Halide::Var(uint32_t)>& varOf);
  /// A stage with one definition, whose loops are its variables.
  Halide::Func definePure(const std::string& name, const std::vector<Halide::Var>& vars,
                          const std::vector<Halide::Expr>& values, const schedule::StageSchedule& schedule);
  /// The body of a reduction at these values of its indices; packs and halos in the place of what they hold.
  Halide::Expr reductionBody(const graph::Op& op, const schedule::OpSchedule& how, const std::string& name,
                             const std::vector<Halide::Expr>& indices);
  /// What a reduction begins with: its identity, or, if that is another maximum or minimum, the fill value of places
  /// that are left out of a window.
  Halide::Expr startOf(const graph::Op& op, const schedule::OpSchedule& how, const std::vector<Halide::Expr>& indices);
  /// Takes the points out of the domain at which a trimmed access is outside of its operand.
  void leaveOut(const graph::Op& op, const schedule::OpSchedule& how, const std::vector<Halide::Expr>& indices,
                Halide::RDom& domain);
  void defineHalo(const graph::Op& op, const schedule::Halo& halo, const std::string& name);
  void defineAccumulated(const graph::Op& op, const schedule::OpSchedule& how, const std::string& name);
  /// The body of a reduction at each of its points, where the schedule wants a buffer of them.
  void defineValues(const graph::Op& op, const schedule::StageSchedule& how, const std::string& name);
  void defineScatter(const graph::Op& op, const std::string& name);
  /// Lowers bodies of op at this point, with what is computed once taken from there.
  ExprLowering lowering(const graph::Op& op, std::vector<Halide::Expr> point);
  /// The same with the parts that the schedule packs read from there.
  ExprLowering loweringPacked(const graph::Op& op, const schedule::OpSchedule& how,
                              const std::vector<Halide::Var>& vars, const std::vector<Halide::Expr>& indices);
  void defineOnce(const graph::Op& op, const schedule::OpSchedule& how, const std::string& name);
  void definePack(const graph::Op& op, const schedule::Pack& pack, const std::string& name);
  void defineOutput(uint32_t number, BuiltPipeline& built);
  std::vector<uint32_t> storeOrder(const std::vector<uint32_t>& returns) const;
  /// The buffer of return `index`.
  void bindOutput(Halide::OutputImageParam buffer, uint32_t index, bool withBounds);
  /// The value of an op that has no buffer of its own at a point of its dims.
  Halide::Expr inlined(const graph::Op& op, const std::vector<Halide::Expr>& point);
  bool isInline(const graph::Op& op) const;
  /// Of a reduction that is summed with others: its place in their tuple.
  int joinedElement(const schedule::OpSchedule& how) const;
  void addStage(const std::string& name, Stage stage, const schedule::StageSchedule& how);
  Halide::RDom domainOf(const std::vector<Halide::Expr>& extents, const std::string& name) const;
};

/// Applies the directives of the schedule to one stage.
void applySchedule(Stage& stage, const schedule::StageSchedule& how, const std::map<std::string, Stage>& stages);

} // namespace dnn::codegen
