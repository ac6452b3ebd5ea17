// Reads the extremum of a window in the place of the element that is the extremum, so that only the former has to be
// kept.
//
//   %m = comp [i:4] max [u:2] : f32 { %x[2*i + u] }      %k = comp [i:4] argmax [u:2] : i32 { %x[2*i + u] }
//   %g = comp [j:8] : f32 { select(and(gt(%x[j], 0.0), eq(%k[j/2], mod(j, 2))), %d[j/2], 0.0) }
//     →   %h = comp [i:4] : f32 { select(gt(%m[i], 0.0), %d[i], 0.0) }
//         %g = comp [j:8] : f32 { select(eq(%k[j/2], mod(j, 2)), %h[j/2], 0.0) }
//
// Where %k[j/2] is j's own position, %x[j] is %m[j/2]. What then depends on the window alone is computed once for each.
// A sum over all j of %g is one over all windows of %h. With %x read by nobody else, it need not be kept from the
// step's first half to its second, nor leave the kernel that makes it (fuse.cpp). Windows must neither overlap nor have
// gaps; they may reach out of %x, whose element is read where it exists. A window that holds a NaN has that as its
// extremum, so a test of it fails where one of the other elements might have passed.
#include "compiler/algebra/builder.h"
#include "compiler/algebra/reindex.h"
#include "compiler/transform/pass_manager.h"

#include <algorithm>
#include <unordered_map>

namespace dnn::transform {

namespace {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

bool isPosition(const Op& op) {
  return op.kind == OpKind::Comp && isArg(op.reduction);
}

class ExtremumReuser {
public:
  explicit ExtremumReuser(graph::Function& function) : function_(function), b_(function.module.exprs) {}

  Changed run() {
    for (size_t i = 0; i < function_.body.ops.size(); ++i) {
      position_[function_.body.ops[i]] = i;
    }
    graph::Uses uses(function_); // extrema get more readers, none is lost that is asked for
    std::vector<Op*> ops;
    Changed changed = Changed::No;
    for (Op* op : function_.body.ops) {
      if (op->kind == OpKind::Comp && op->reduction == Reduction::None) {
        changed = changed | rewrite(*op, uses, ops);
        changed = changed | sumWindows(*op, uses);
      }
      ops.push_back(op);
    }
    function_.body.ops = std::move(ops);
    return changed;
  }

private:
  /// The test that an element is the one that its window has chosen.
  struct Chosen {
    ExprRef test = nullptr;
    ExprRef position = nullptr; // the access
    const Op* choice = nullptr; // argmax or argmin
    Op* extremum = nullptr;     // of the same windows
    std::vector<ExprRef> place; // the element
  };

  graph::Function& function_;
  algebra::Builder b_;
  std::unordered_map<const Op*, size_t> position_;

  Changed rewrite(Op& op, const graph::Uses& uses, std::vector<Op*>& before) {
    ExprRef old = op.body;
    op.body = withFactorsInside(op);
    std::vector<ExprRef> selects;
    graph::forEachNode(op.body, [&](ExprRef e) {
      if (algebra::isApply(e, ScalarOp::Select)) {
        selects.push_back(e);
      }
    });
    for (ExprRef select : selects) {
      std::vector<ExprRef> tests;
      collectTests(select->args[0], tests);
      for (ExprRef test : tests) {
        std::optional<Chosen> chosen = chosenBy(op, test, uses);
        // Outside of all windows the position is a fill value, which may be the own one: nothing is chosen there.
        if (chosen && (!chosen->position->fill || isNothingOutside(op, select, *chosen))) {
          if (replace(op, select, tests, *chosen, before)) {
            return Changed::Yes;
          }
        }
      }
    }
    op.body = old;
    return Changed::No;
  }

  /// Products with what is 0 unless an element is chosen, as products where it is: mul(select(c, t, 0.0), f) as
  /// select(c, mul(t, f), 0.0).
  ExprRef withFactorsInside(const Op& op) const {
    auto chooses = [&](ExprRef e) {
      std::vector<ExprRef> tests;
      if (algebra::isApply(e, ScalarOp::Select) && algebra::isConstant(e->args[2], 0)) {
        collectTests(e->args[0], tests);
      }
      return std::ranges::any_of(tests, [&](ExprRef test) {
        return algebra::isApply(test, ScalarOp::Eq) && std::ranges::any_of(test->args, [&](ExprRef side) {
                 return side->kind == ExprKind::Access && isPosition(*op.operands[side->operand]->def);
               });
      });
    };
    return algebra::rebuild(b_, op.body, [&](ExprRef node, const std::vector<ExprRef>& args) -> ExprRef {
      if (!algebra::isApply(node, ScalarOp::Mul) || (!chooses(args[0]) && !chooses(args[1]))) {
        return nullptr;
      }
      size_t side = chooses(args[0]) ? 0 : 1;
      ExprRef select = args[side];
      return b_.select(select->args[0], b_.mul(select->args[1], args[1 - side]), select->args[2]);
    });
  }

  /// Sums of all places, of which each window has chosen one, are sums of what stands there:
  ///   Σj select(eq(%k[j/2], mod(j, 2)), %h[j/2], 0.0) = Σi %h[i]
  Changed sumWindows(const Op& op, const graph::Uses& uses) {
    std::optional<Chosen> chosen =
        algebra::isApply(op.body, ScalarOp::Select) ? chosenBy(op, op.body->args[0], uses) : std::nullopt;
    if (!chosen || chosen->choice->body->fill) {
      return Changed::No;
    }
    ExprRef then = op.body->args[1];
    const std::vector<Dim>& windows = chosen->choice->results[0]->type.dims;
    bool plain = then->kind == ExprKind::Access && then->args == chosen->position->args &&
                 algebra::isConstant(op.body->args[2], 0) && then->fill.value_or(0) == 0 &&
                 op.operands[then->operand]->type.dims == windows &&
                 op.results[0]->type.dims == chosen->choice->operands[0]->type.dims;
    std::vector<bool> windowed(windows.size());
    for (uint32_t d = 0; plain && d < windows.size(); ++d) {
      windowed[d] = chosen->place[d] != then->args[d];
      plain = chosen->place[d] == b_.pool().index(d) && (windowed[d] || windows[d] == op.dims[d].extent);
    }
    Changed changed = Changed::No;
    for (Op* reader : plain ? uses.of(op.results[0]) : std::vector<Op*>{}) {
      bool sum = position_.contains(reader) && reader->kind == OpKind::Comp && reader->reduction == Reduction::Add &&
                 reader->body->kind == ExprKind::Access && !reader->body->fill;
      std::vector<bool> seen(sum ? reader->dims.size() + reader->reduced.size() : 0);
      for (size_t d = 0; sum && d < windows.size(); ++d) {
        ExprRef subscript = reader->body->args[d];
        sum = subscript->kind == ExprKind::Index && !seen[subscript->index] &&
              (!windowed[d] || (subscript->index >= reader->dims.size() &&
                                reader->reduced[subscript->index - reader->dims.size()].extent == op.dims[d].extent));
        if (sum) {
          seen[subscript->index] = true;
        }
      }
      if (sum) {
        for (size_t d = 0; d < windows.size(); ++d) {
          if (windowed[d]) {
            reader->reduced[reader->body->args[d]->index - reader->dims.size()].extent = windows[d];
          }
        }
        reader->operands = {op.operands[then->operand]};
        changed = Changed::Yes;
      }
    }
    return changed;
  }

  static void collectTests(ExprRef condition, std::vector<ExprRef>& tests) {
    if (algebra::isApply(condition, ScalarOp::And)) {
      collectTests(condition->args[0], tests);
      collectTests(condition->args[1], tests);
    } else {
      tests.push_back(condition);
    }
  }

  /// The select has the same value with and without the element where the position is read outside.
  static bool isNothingOutside(const Op& op, ExprRef select, const Chosen& chosen) {
    ExprRef then = select->args[1], otherwise = select->args[2];
    return then->kind == ExprKind::Access && otherwise->kind == ExprKind::Const && then->fill == otherwise->number &&
           then->args == chosen.position->args &&
           op.operands[then->operand]->type.dims == chosen.choice->results[0]->type.dims;
  }

  std::optional<Chosen> chosenBy(const Op& op, ExprRef test, const graph::Uses& uses) {
    if (!algebra::isApply(test, ScalarOp::Eq)) {
      return std::nullopt;
    }
    for (size_t side : {0, 1}) {
      ExprRef access = test->args[side];
      if (access->kind != ExprKind::Access || !isPosition(*op.operands[access->operand]->def)) {
        continue;
      }
      Chosen chosen{test, access, op.operands[access->operand]->def, nullptr, {}};
      if (findPlace(chosen, test->args[1 - side]) && findExtremum(chosen, uses) &&
          position_.contains(chosen.extremum) && position_.at(chosen.extremum) < position_.at(&op)) {
        return chosen;
      }
    }
    return std::nullopt;
  }

  /// The element that has this position within the window of the access: subscripts of the choice are an index of its
  /// own, or s·i + u + c with u < s.
  bool findPlace(Chosen& chosen, ExprRef within) {
    const Op& choice = *chosen.choice;
    if (choice.body->kind != ExprKind::Access) {
      return false;
    }
    size_t rank = choice.dims.size();
    std::vector<ExprRef> places = placesOf(choice, within);
    if (places.size() != choice.reduced.size()) {
      return false;
    }
    std::vector<ExprRef> indices = chosen.position->args;
    indices.insert(indices.end(), places.begin(), places.end());
    for (ExprRef subscript : choice.body->args) {
      std::optional<graph::LinearForm> form = graph::linearForm(subscript);
      if (!form || !form->isAffine()) {
        return false;
      }
      chosen.place.push_back(algebra::substituteIndices(b_, subscript, indices));
      for (const graph::LinearTerm& term : form->terms) {
        if (term.atom->index < rank) {
          continue;
        }
        uint32_t q = term.atom->index - static_cast<uint32_t>(rank);
        bool window = form->terms.size() == 2 && term.factor == 1 && choice.reduced[q].extent.isStatic();
        bool fits = false; // the window's own number and the place within are quotient and remainder of one value
        for (const graph::LinearTerm& other : window ? form->terms : std::vector<graph::LinearTerm>{}) {
          ExprRef number = other.atom->index < rank ? indices[other.atom->index] : nullptr;
          fits |= number != nullptr && graph::isDivByConstant(number) && graph::isModByConstant(places[q]) &&
                  number->args[0] == places[q]->args[0] && other.factor == choice.reduced[q].extent.constant() &&
                  graph::divisorOf(number) == other.factor && graph::divisorOf(places[q]) == other.factor;
        }
        if (!fits) {
          return false;
        }
      }
    }
    return true;
  }

  /// A position, row-major, as one remainder for each reduced index; nothing if it has another form.
  std::vector<ExprRef> placesOf(const Op& choice, ExprRef within) const {
    std::vector<ExprRef> places(choice.reduced.size());
    std::optional<graph::LinearForm> form = graph::linearForm(within);
    if (!form || !(form->constant == Dim(0)) || form->terms.size() != places.size()) {
      return {};
    }
    int64_t step = 1;
    for (size_t q = places.size(); q-- > 0;) {
      const Dim& extent = choice.reduced[q].extent;
      if (!extent.isStatic() || extent.constant() < 2) {
        return {};
      }
      auto term = std::ranges::find(form->terms, step, &graph::LinearTerm::factor);
      bool remainder = term != form->terms.end() && graph::isModByConstant(term->atom) &&
                       graph::divisorOf(term->atom) == extent.constant();
      if (!remainder) {
        return {};
      }
      places[q] = term->atom;
      step *= extent.constant();
    }
    return places;
  }

  static bool findExtremum(Chosen& chosen, const graph::Uses& uses) {
    const Op& choice = *chosen.choice;
    Reduction wanted = choice.reduction == Reduction::ArgMax ? Reduction::Max : Reduction::Min;
    auto same = [](const graph::IndexVar& a, const graph::IndexVar& b) { return a.extent == b.extent; };
    for (Op* op : uses.of(choice.operands[0])) {
      if (op->kind == OpKind::Comp && op->reduction == wanted && op->body == choice.body &&
          op->operands == choice.operands && std::ranges::equal(op->dims, choice.dims, same) &&
          std::ranges::equal(op->reduced, choice.reduced, same)) {
        chosen.extremum = op;
        return true;
      }
    }
    return false;
  }

  /// The select with the extremum in the place of the element; if that occurs in it.
  bool replace(Op& op, ExprRef select, const std::vector<ExprRef>& tests, const Chosen& chosen,
               std::vector<Op*>& before) {
    const Value* element = chosen.choice->operands[0];
    std::vector<Value*> operands = op.operands;
    uint32_t position = algebra::operandPosition(op.operands, chosen.extremum->results[0]);
    std::optional<double> fill = chosen.position->fill ? std::optional(0.0) : std::nullopt;
    ExprRef extremum = b_.pool().access(position, element->type.dtype, chosen.position->args, fill);
    bool found = false;
    auto replaced = [&](ExprRef e) {
      return algebra::rebuild(b_, e, [&](ExprRef node, const std::vector<ExprRef>&) -> ExprRef {
        bool is = node->kind == ExprKind::Access && op.operands[node->operand] == element && !node->fill &&
                  node->args == chosen.place;
        found |= is;
        return is ? extremum : nullptr;
      });
    };
    std::vector<ExprRef> others;
    for (ExprRef test : tests) {
      if (test != chosen.test) {
        others.push_back(replaced(test));
      }
    }
    ExprRef then = fill ? select->args[1] : replaced(select->args[1]);
    if (!found) {
      op.operands = std::move(operands);
      return false;
    }
    ExprRef made = onceForEach(op, chosen, others, then, select->args[2], before);
    if (made == nullptr) {
      ExprRef condition = chosen.test;
      for (size_t i = others.size(); i-- > 0;) {
        condition = b_.both(others[i], condition);
      }
      made = b_.select(condition, then, select->args[2]);
    }
    op.body = algebra::rebuild(
        b_, op.body, [&](ExprRef node, const std::vector<ExprRef>&) { return node == select ? made : nullptr; });
    graph::normalizeOperands(b_.pool(), op);
    return true;
  }

  /// The select with all but the choice itself in a comp over the windows; nullptr if that depends on more than the
  /// window.
  ExprRef onceForEach(Op& op, const Chosen& chosen, const std::vector<ExprRef>& tests, ExprRef then, ExprRef otherwise,
                      std::vector<Op*>& before) {
    ExprRef body = lifted(op, chosen, then);
    ExprRef nothing = otherwise->kind == ExprKind::Const ? otherwise : nullptr;
    bool something = !tests.empty() || then->kind != ExprKind::Access;
    if (body == nullptr || nothing == nullptr || !something || !isFloat(otherwise->dtype)) {
      return nullptr;
    }
    ExprRef condition = b_.pool().boolean(true);
    for (ExprRef test : tests) {
      ExprRef one = lifted(op, chosen, test);
      if (one == nullptr) {
        return nullptr;
      }
      condition = b_.both(condition, one);
    }
    const Op& choice = *chosen.choice;
    Op* once = function_.createOp(OpKind::Comp, op.operands,
                                  {TensorType{body->dtype, choice.results[0]->type.dims, std::nullopt}}, op.loc);
    once->dims = choice.dims;
    once->body = b_.select(condition, body, nothing);
    graph::normalizeOperands(b_.pool(), *once);
    before.push_back(once);
    uint32_t position = algebra::operandPosition(op.operands, once->results[0]);
    std::optional<double> fill = chosen.position->fill ? std::optional(nothing->number) : std::nullopt;
    ExprRef element = b_.pool().access(position, body->dtype, chosen.position->args, fill);
    return b_.select(chosen.test, element, nothing);
  }

  /// The expression with the numbers of the window as the indices; nullptr if it depends on others.
  ExprRef lifted(const Op& op, const Chosen& chosen, ExprRef e) const {
    const std::vector<ExprRef>& window = chosen.position->args;
    if (auto number = std::ranges::find(window, e); number != window.end()) {
      return b_.pool().index(static_cast<uint32_t>(number - window.begin()));
    }
    if (e->kind == ExprKind::Index || e->kind == ExprKind::Draw) {
      return nullptr;
    }
    std::vector<ExprRef> args;
    for (ExprRef arg : e->args) {
      args.push_back(lifted(op, chosen, arg));
      if (args.back() == nullptr) {
        return nullptr;
      }
    }
    if (e->kind != ExprKind::Access) {
      return algebra::withArgs(b_, e, args);
    }
    const std::vector<Dim>& there = op.operands[e->operand]->type.dims;
    const std::vector<Dim>& here = chosen.choice->results[0]->type.dims;
    for (size_t d = 0; d < args.size(); ++d) { // in range at every window
      if (args[d]->kind != ExprKind::Index || !(there[d] == here[args[d]->index])) {
        return nullptr;
      }
    }
    return b_.pool().access(e->operand, e->dtype, args);
  }
};

} // namespace

Result<Changed> reuseExtrema(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    changed = changed | ExtremumReuser(*function).run();
  }
  return changed;
}

} // namespace dnn::transform
