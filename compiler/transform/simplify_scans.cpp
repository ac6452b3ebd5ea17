// What a scan carries, slices and emits without need.
//
//   - a carry that is its own next value is its initial value, in every step and at the end;
//   - slices of one value are one slice, equal emitted values are one result;
//   - an emitted slice is the sliced value.
//
// What nobody uses then, dce removes.
#include "compiler/graph/scan.h"
#include "compiler/transform/pass_manager.h"

#include <algorithm>

namespace dnn::transform {

namespace {

using graph::Op;
using graph::OpKind;
using graph::Value;

class ScanSimplifier {
public:
  explicit ScanSimplifier(graph::Function& function) : function_(function) {}

  Changed run() {
    graph::forEachBlock(function_.body, [&](graph::Block& block) {
      for (Op* op : block.ops) {
        if (op->kind == OpKind::Scan) {
          replaceUnchangedCarries(*op);
          joinSlices(*op);
          joinEmits(*op);
        }
      }
    });
    return changed_;
  }

private:
  bool used(const Value* v) const { return !graph::Uses(function_).unused(v); }

  void replace(Value* from, Value* to) {
    if (used(from)) {
      graph::replaceAllUses(function_, from, to);
      changed_ = Changed::Yes;
    }
  }

  void replaceUnchangedCarries(Op& scan) {
    for (size_t i = scan.carryCount; i-- > (scan.ends ? 1U : 0U);) {
      if (graph::nextsOf(scan)[i] == graph::carryOf(scan, i)) {
        Value* initial = scan.operands[i];
        graph::replaceAllUses(function_, graph::carryOf(scan, i), initial); // its next value too
        graph::replaceAllUses(function_, graph::finalOf(scan, i), initial);
        graph::removeCarry(scan, i);
        changed_ = Changed::Yes;
      }
    }
  }

  void joinSlices(Op& scan) {
    for (size_t i = 0; i < scan.sliceCount; ++i) {
      for (size_t k = 0; k < i; ++k) {
        if (scan.operands[scan.carryCount + k] == scan.operands[scan.carryCount + i]) {
          replace(graph::sliceOf(scan, i), graph::sliceOf(scan, k));
          break;
        }
      }
    }
  }

  void joinEmits(Op& scan) {
    const std::vector<Value*>& emits = graph::emitsOf(scan);
    for (size_t i = 0; i < emits.size(); ++i) {
      for (size_t s = 0; s < scan.sliceCount; ++s) {
        if (emits[i] == graph::sliceOf(scan, s)) {
          replace(scan.results[i], scan.operands[scan.carryCount + s]);
        }
      }
      auto first = static_cast<size_t>(std::ranges::find(emits, emits[i]) - emits.begin());
      if (first < i) {
        replace(scan.results[i], scan.results[first]);
      }
    }
  }

  graph::Function& function_;
  Changed changed_ = Changed::No;
};

} // namespace

Result<Changed> simplifyScans(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    changed = changed | ScanSimplifier(*function).run();
  }
  return changed;
}

} // namespace dnn::transform
