// The rules of the IR, split by construct: verifier.cpp has modules, functions, order of definition and groups,
// verify_ops.cpp the rules of each operation, verify_scan.cpp those of scans, verify_expr.cpp those of bodies. Checks
// stop at the first broken rule, so a check may rely on the ones before it.
#pragma once

#include "compiler/graph/affine.h"
#include "compiler/graph/graph.h"

#include <optional>
#include <string>
#include <unordered_set>

namespace dnn::graph {

/// Limits that hold for every tensor: positions in it are i32.
constexpr int64_t maxElements = (int64_t(1) << 31) - 1;
constexpr size_t maxRank = 16;

class Verifier {
public:
  explicit Verifier(const Module& module) : module_(module) {}
  Status run();

private:
  // verifier.cpp
  void checkPersistents();
  void checkFunction();
  void checkSymbols();
  void checkBlock(const Block& block, const Op* region);
  void checkStructure(const Op& op, const Op* region);
  void checkUse(const Value* v, const Op* region);
  void checkGroup(const Op& op);
  void checkEscapes();
  void checkReturns();
  void checkInit();

  // verify_scan.cpp
  void checkScan(const Op& op);
  void checkScanHead(const Op& op);
  void checkScanBlock(const Op& op);
  void checkScanResults(const Op& op);
  int scanDepth_ = 0;

  // verify_ops.cpp
  void checkOp(const Op& op);
  void checkType(const TensorType& type);
  void checkComp(const Op& op);
  void checkCompType(const Op& op);
  void checkCompBound(const Op& op);
  void checkScatter(const Op& op);
  void checkReshape(const Op& op);
  void checkConcat(const Op& op);
  void checkPersistentAccess(const Op& op);
  void checkCall(const Op& op);
  void checkRule(const Op& op, const Function& callee);
  void checkGrad(const Op& op);
  void checkDistinct(const Op& op);
  void checkUpdate(const Op& op);

  // verify_expr.cpp
  void checkBody(const Op& op);
  void checkOperandsUsed(const Op& op);
  void checkNode(const Op& op, ExprRef e, RangeAnalysis& ranges);
  void checkAccess(const Op& op, ExprRef e, RangeAnalysis& ranges);
  void checkApply(ExprRef e);

  /// Notes that a rule is broken, with the function and the op being checked.
  void fail(std::string message);
  bool failed() const { return error_.has_value(); }
  std::string name(const Value* v) const;
  std::string typeText(const TensorType& type) const { return type.str(function_->symbols); }
  std::string dimText(const Dim& dim) const { return dim.str(function_->symbols); }

  const Module& module_;
  const Function* function_ = nullptr;
  const Op* op_ = nullptr;
  std::unordered_set<const Op*> seenOps_;
  std::unordered_map<const Value*, const Op*> definedIn_; // its group or scan; nullptr = the function's block
  std::unordered_map<const Op*, const Op*> around_;       // the region in which a group or scan stands
  std::unordered_set<const Value*> usedOutside_;          // values of groups
  std::unordered_set<std::string> inputs_, outputs_, updates_;
  std::optional<Error> error_;
};

} // namespace dnn::graph
