// print(MemoryPlan): what `dnnc emit memory` shows.
#include "compiler/transform/plan_memory.h"

#include "compiler/support/assert.h"

#include <algorithm>

namespace dnn::transform {

namespace {

using graph::Op;
using graph::OpKind;
using graph::Value;

/// Rows of cells, printed in columns; numbers to the right, the last column as it is.
class Table {
public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  std::string str() const {
    std::vector<size_t> widths(rows_[0].size());
    for (const auto& row : rows_) {
      for (size_t c = 0; c < row.size(); ++c) {
        widths[c] = std::max(widths[c], row[c].size());
      }
    }
    std::string text;
    for (const auto& row : rows_) {
      for (size_t c = 0; c + 1 < row.size(); ++c) {
        text += "  " + std::string(widths[c] - row[c].size(), ' ') + row[c];
      }
      text += "  " + row.back() + "\n";
    }
    return text;
  }

private:
  std::vector<std::vector<std::string>> rows_;
};

class MemoryPrinter {
public:
  MemoryPrinter(const MemoryPlan& plan, const graph::Module& module) : plan_(plan), module_(module) {}

  std::string run() {
    std::string text = "persistent tensors: " + std::to_string(plan_.persistentBytes) + " bytes\n";
    Table persistents({"offset", "tensor"});
    for (const graph::Persistent& p : module_.persistents) {
      persistents.add({std::to_string(plan_.persistentOffset.at(p.path)), "@" + p.path + " : " + p.type.str({})});
    }
    text += persistents.str() + "\narena of all functions: " + std::to_string(plan_.arenaBytes) + " bytes\n";
    for (const auto& function : module_.functions) {
      auto memory = plan_.functions.find(function.get());
      if (memory != plan_.functions.end()) {
        text += printFunction(*function, memory->second);
      }
    }
    return text;
  }

private:
  const MemoryPlan& plan_;
  const graph::Module& module_;

  std::string printFunction(const graph::Function& function, const FunctionMemory& memory) const {
    std::unordered_map<const Value*, std::string> labels;
    for (size_t i = 0; i < function.body.ops.size(); ++i) {
      const Op& op = *function.body.ops[i];
      const auto& values = op.kind == OpKind::Group ? op.escapes : op.results;
      for (size_t r = 0; r < values.size(); ++r) {
        labels[values[r]] = label(op, i, r, values.size());
      }
    }
    std::string text = "\nfunc @" + function.name + ": peak " + std::to_string(memory.arenaPeak) +
                       " bytes, alive at once " + std::to_string(memory.arenaLowerBound) + "\n";
    std::vector<const ArenaBuffer*> buffers;
    for (const ArenaBuffer& b : memory.buffers) {
      buffers.push_back(&b);
    }
    std::ranges::stable_sort(buffers, {}, [](const ArenaBuffer* b) { return std::pair(b->offset, b->first); });
    Table table({"offset", "bytes", "life", "value"});
    for (const ArenaBuffer* b : buffers) {
      std::string life = std::to_string(b->first) + ".." + std::to_string(b->last);
      std::string value = b->scan != nullptr    ? "each step of the scan at " + std::to_string(b->first)
                          : b->value == nullptr ? "temporary of a copy"
                                                : labels.at(b->value) + " : " + b->value->type.str(function.symbols);
      table.add({std::to_string(b->offset), std::to_string(b->bytes), life, value});
    }
    text += buffers.empty() ? "" : table.str();
    for (const CopyBack& copy : memory.copies) {
      text +=
          "  copy " + place(copy.from) + " to " + place(copy.to) + ", " + std::to_string(copy.to.bytes) + " bytes\n";
    }
    return text;
  }

  /// The value's own name where it has one, and where it comes from: "%y of group 4".
  static std::string label(const Op& op, size_t position, size_t result, size_t results) {
    switch (op.kind) {
    case OpKind::Input:
    case OpKind::Env:
    case OpKind::Param:
    case OpKind::State: return std::string(nameOf(op.kind)) + " " + op.symbol;
    case OpKind::Group: {
      std::string text = "group " + std::to_string(position);
      text += results > 1 ? ", result " + std::to_string(result) : "";
      const std::string& name = op.escapes[result]->name;
      return name.empty() ? text : "%" + name + " of " + text;
    }
    case OpKind::Scan: return "result " + std::to_string(result) + " of the scan at " + std::to_string(position);
    case OpKind::Distinct:
      return "result " + std::to_string(result) + " of the distinct at " + std::to_string(position);
    case OpKind::Reshape: return "a view";
    case OpKind::Comp:
    case OpKind::Scatter:
    case OpKind::Concat:
    case OpKind::CallVjp:
    case OpKind::Grad:
    case OpKind::Update:
    case OpKind::Output:
    case OpKind::Counter:
    case OpKind::Carry:
    case OpKind::Slice:
    case OpKind::Next:
    case OpKind::Emit: break;
    }
    DNN_UNREACHABLE("the other ops define nothing or stand in groups");
  }

  static std::string place(const Slot& slot) {
    return (slot.region == Slot::Region::Arena ? "arena " : "persistent ") + std::to_string(slot.offset);
  }
};

} // namespace

std::string print(const MemoryPlan& plan, const graph::Module& module) { return MemoryPrinter(plan, module).run(); }

} // namespace dnn::transform
