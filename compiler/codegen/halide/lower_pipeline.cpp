// Halide::Internal::lower runs over forty passes. Left out here is what a kernel never has (tracing, storage that is
// folded or slides, asynchronous producers, GPUs), what LLVM does again, what is repeated to clean up for those, and
// the checks of arguments: Halide makes them first, takes them along, and throws them away at the end. Instead the
// shapes that the pipeline fixes take the place of the variables for them before the first simplification, so that
// every pass works on numbers.
#include "compiler/codegen/halide/lower_pipeline.h"

#include <unordered_set>

namespace dnn::codegen {

namespace {

using Halide::Expr;
using Halide::Parameter;
using namespace Halide::Internal;

using Environment = std::map<std::string, Function>;

/// What Halide's variables for the bounds of buffers are known to be takes their places, and what becomes a number by
/// that those of others.
class FixedShapes : public IRMutator {
public:
  FixedShapes(const std::vector<Halide::Argument>& arguments, const std::vector<Function>& outputs,
              const std::map<std::string, Parameter>& inputs) {
    for (const Halide::Argument& argument : arguments) {
      if (auto input = inputs.find(argument.name); input != inputs.end()) {
        add(input->second, input->second);
      }
    }
    for (const Function& output : outputs) {
      for (const Parameter& buffer : output.output_buffers()) {
        add(buffer, output.output_buffers()[0]); // all elements of a tuple have the bounds of the first
      }
    }
  }

private:
  std::map<std::string, Expr> known_;
  Scope<Expr> numbers_; ///< for names that are defined by one; undefined for others, which hide those outside

  using IRMutator::visit;

  void add(const Parameter& buffer, const Parameter& bounds) {
    for (int d = 0; d < buffer.dimensions(); ++d) {
      std::string dim = "." + std::to_string(d);
      for (const auto& [what, value] : {std::pair(".min", bounds.min_constraint(d)),
                                        {".extent", bounds.extent_constraint(d)},
                                        {".stride", buffer.stride_constraint(d)}}) {
        if (value.defined()) {
          known_[buffer.name() + what + dim] = value;
        }
      }
    }
  }

  Expr visit(const Variable* op) override {
    if (const Expr* number = numbers_.find(op->name)) {
      return number->defined() ? *number : Expr(op);
    }
    auto found = known_.find(op->name);
    return found == known_.end() ? Expr(op) : found->second;
  }

  Stmt visit(const LetStmt* op) override {
    Expr value = mutate(op->value);
    if (!value.same_as(op->value)) {
      value = simplify(value);
    }
    bool number = is_const(value);
    ScopedBinding<Expr> bound(numbers_, op->name, number ? value : Expr());
    Stmt body = mutate(op->body);
    if (number) {
      return body;
    }
    return value.same_as(op->value) && body.same_as(op->body) ? Stmt(op) : LetStmt::make(op->name, value, body);
  }

  Stmt visit(const Block* op) override {
    const auto* first = op->first.as<Evaluate>();
    bool checksFollow =
        first != nullptr && Call::as_intrinsic(first->value, {Call::add_image_checks_marker}) != nullptr;
    return checksFollow ? mutate(op->rest) : IRMutator::visit(op);
  }
};

/// The buffers among the arguments that the loops name.
class InputBuffers : public IRGraphVisitor {
public:
  std::map<std::string, Parameter> found;

private:
  using IRGraphVisitor::visit;

  void note(const Parameter& parameter) {
    if (parameter.defined() && parameter.is_buffer()) {
      found.emplace(parameter.name(), parameter);
    }
  }
  void visit(const Call* op) override {
    note(op->param);
    IRGraphVisitor::visit(op);
  }
  void visit(const Variable* op) override { note(op->param); }
};

/// Leaves definitions out whose names are not read. Halide makes about six for each loop and for each dim of what a
/// stage computes; when they are simplified, hardly any is read, and the passes that infer regions walk over all of
/// them once for each stage.
class UnusedLets : public IRMutator {
public:
  using IRMutator::mutate;
  Expr mutate(const Expr& e) override {
    e.accept(&names_);
    return e;
  }

private:
  class Names : public IRGraphVisitor {
  public:
    std::unordered_set<std::string> read;

  private:
    using IRGraphVisitor::visit;
    void visit(const Variable* op) override { read.insert(op->name); }
  };
  Names names_;

  using IRMutator::visit;

  Stmt visit(const LetStmt* op) override {
    std::vector<const LetStmt*> lets;
    Stmt body;
    for (const LetStmt* let = op; let != nullptr; let = body.as<LetStmt>()) {
      lets.push_back(let);
      body = let->body;
    }
    Stmt s = mutate(body);
    for (; !lets.empty(); lets.pop_back()) {
      const LetStmt* let = lets.back();
      if (names_.read.contains(let->name) || endOfLoop(*let)) {
        mutate(let->value);
        s = s.same_as(let->body) ? Stmt(let) : LetStmt::make(let->name, let->value, s);
      }
    }
    return s;
  }

  /// Halide looks for these by their names where it infers regions; of a loop whose ends are numbers it reads the loop.
  static bool endOfLoop(const LetStmt& let) {
    return (ends_with(let.name, ".loop_min") || ends_with(let.name, ".loop_max")) && !is_const(let.value);
  }
};

/// Numbers the names that Halide makes up for values used more than once anew. It counts them for the whole process,
/// and puts things in order by their names: what one kernel becomes would depend on the others and on the threads.
class NumberedNames : public IRMutator {
  using IRMutator::visit;

  Scope<std::string> names_;
  size_t count_ = 0;

  static bool madeUp(const std::string& name) {
    return name.size() > 1 && name[0] == 't' && name.find_first_not_of("0123456789", 1) == std::string::npos;
  }
  /// As long as all others, and one that Halide never makes.
  std::string next() {
    constexpr size_t digits = 8;
    std::string number = std::to_string(count_++);
    return "t" + std::string(digits - std::min(digits, number.size()), '0') + number;
  }

  Expr visit(const Variable* op) override {
    const std::string* name = names_.find(op->name);
    return name == nullptr ? Expr(op) : Variable::make(op->type, *name);
  }
  template <class Definition> auto rename(const Definition* op) -> decltype(op->body) {
    if (!madeUp(op->name)) {
      return IRMutator::visit(op);
    }
    Expr value = mutate(op->value);
    std::string name = next();
    ScopedBinding<std::string> bound(names_, op->name, name);
    return Definition::make(name, value, mutate(op->body));
  }
  Expr visit(const Let* op) override { return rename(op); }
  Stmt visit(const LetStmt* op) override { return rename(op); }
};

/// Whether memory is allocated in a statement.
class Allocates : public IRGraphVisitor {
public:
  explicit Allocates(const Stmt& s) { s.accept(this); }
  bool found = false;

private:
  using IRGraphVisitor::visit;
  void visit(const Allocate*) override { found = true; }
};

/// Whether all of a statement may have nothing to do, because of a condition around it, or because it stores again what
/// is there unless a condition holds. Where it has stages of its own, a test before each time costs nothing.
bool mayBeIdle(const Stmt& s) {
  if (const auto* block = s.as<Block>()) {
    return mayBeIdle(block->first) && mayBeIdle(block->rest);
  }
  if (const auto* let = s.as<LetStmt>()) {
    return mayBeIdle(let->body);
  }
  if (const auto* loop = s.as<For>()) {
    return mayBeIdle(loop->body);
  }
  if (const auto* store = s.as<Store>()) {
    return store->value.as<Select>() != nullptr;
  }
  return s.as<IfThenElse>() != nullptr && !Allocates(s).found;
}

/// Loops that have nothing to do at their ends become shorter. Halide looks for that in every loop and takes long where
/// stores read what they write; here it is asked about the loops where it may find something.
class TrimLoops : public IRMutator {
  using IRMutator::visit;
  Stmt visit(const For* op) override { return mayBeIdle(op->body) ? trim_no_ops(op) : IRMutator::visit(op); }
};

/// Whether Halide would take vectors apart, or put them together, by every second, third or fourth lane: where such
/// lanes are computed or stored. Otherwise it only makes, for each vector that has a name, others that nothing reads,
/// and takes as long as to unroll loops.
class Interleaves : public IRGraphVisitor {
public:
  explicit Interleaves(const Stmt& s) { s.accept(this); }
  bool found = false;

private:
  using IRGraphVisitor::visit;

  template <class Division> void visitDivision(const Division* op) {
    found |= op->a.template as<Ramp>() != nullptr;
    IRGraphVisitor::visit(op);
  }
  void visit(const Mod* op) override { visitDivision(op); }
  void visit(const Div* op) override { visitDivision(op); }
  void visit(const Ramp* op) override {
    found |= op->stride.type().is_vector();
    IRGraphVisitor::visit(op);
  }
  void visit(const Store* op) override {
    const auto* places = op->index.as<Ramp>();
    found |= places != nullptr && !is_const_one(places->stride);
    IRGraphVisitor::visit(op);
  }
};

/// Addresses of buffers are all that a kernel reads of its arguments' descriptors.
Stmt readAddresses(Stmt s, const std::vector<Halide::Argument>& arguments) {
  for (const Halide::Argument& argument : arguments) {
    if (argument.is_buffer()) {
      Expr descriptor = Variable::make(Halide::type_of<halide_buffer_t*>(), argument.name + ".buffer");
      Expr address = Call::make(Halide::type_of<void*>(), Call::buffer_get_host, {descriptor}, Call::Extern);
      s = LetStmt::make(argument.name, address, s);
    }
  }
  return s;
}

/// Loops over the elements of Funcs, with everything that is stored somewhere.
Stmt makeLoops(const std::vector<Function>& outputs, const Environment& env,
               const std::vector<Halide::Argument>& arguments, const Halide::Target& target) {
  auto [order, fused] = realization_order(outputs, const_cast<Environment&>(env));
  bool memoized = false;
  Stmt s = schedule_functions(outputs, fused, env, target, memoized);
  s = add_parameter_checks({}, s, target); // the ranges of scalars
  FuncValueBounds values = compute_function_value_bounds(order, env);
  s = clamp_unsafe_accesses(s, env, values);
  s = bounds_inference(s, outputs, order, fused, env, values, target);
  InputBuffers inputs;
  s.accept(&inputs);
  FixedShapes shapes(arguments, outputs, inputs.found);
  s = NumberedNames().mutate(uniquify_variable_names(UnusedLets().mutate(shapes.mutate(s))));
  s = UnusedLets().mutate(simplify(s, /*remove_dead_code=*/false)); // the next pass looks for the ends of loops
  s = allocation_bounds_inference(s, env, values);
  s = remove_undef(s);
  s = debug_to_file(s, outputs, env); // takes the realizations of outputs away
  s = lower_safe_promises(s);
  s = skip_stages(s, outputs, fused, env);
  s = split_tuples(s, env);
  s = storage_flattening(s, outputs, env, target);
  return simplify(readAddresses(shapes.mutate(s), arguments));
}

/// Vectors, unrolled loops, and what else is decided, in the form that Halide generates code from.
Stmt refineLoops(Stmt s, const Environment& env, const Halide::Target& target) {
  s = simplify_correlated_differences(s);
  s = bound_constant_extent_loops(s);
  s = unroll_loops(s);
  s = simplify(vectorize_loops(s, env));
  s = Interleaves(s).found ? rewrite_interleavings(s) : s;
  if (Stmt parts = partition_loops(s); !parts.same_as(s)) {
    s = simplify(parts);
  }
  s = TrimLoops().mutate(s);
  s = rebase_loops_to_zero(s);
  s = inject_early_frees(s);
  s = bound_small_allocations(s);
  s = NumberedNames().mutate(common_subexpression_elimination(s));
  s = lower_unsafe_promises(s, target);
  s = flatten_nested_ramps(s);
  s = simplify(remove_dead_allocations(s));
  s = hoist_loop_invariant_if_statements(s); // values leave loops in LLVM
  return NumberedNames().mutate(strip_asserts(s));
}

} // namespace

Halide::Module lowerPipeline(BuiltPipeline& built, const std::string& name, const Halide::Target& target) {
  Halide::Module module(name, target);
  run_with_large_stack([&] {
    std::vector<Function> outputs;
    std::vector<Halide::Argument> arguments = built.arguments;
    for (const Halide::Func& func : built.pipeline.outputs()) {
      Halide::Func(func).compute_root().store_root();
      outputs.push_back(func.function());
      for (const Parameter& buffer : outputs.back().output_buffers()) {
        arguments.emplace_back(buffer.name(), Halide::Argument::OutputBuffer, buffer.type(), buffer.dimensions(),
                               buffer.get_argument_estimates());
      }
    }
    Environment env = build_environment(outputs);
    module.set_any_strict_float(strictify_float(env, target));
    for (auto& [_, function] : env) {
      function.lock_loop_levels();
    }
    Stmt s = refineLoops(makeLoops(outputs, env, arguments, target), env, target);
    for (const Halide::CustomLoweringPass& last : built.pipeline.custom_lowering_passes()) {
      s = last.pass->mutate(s);
    }
    std::vector<LoweredFunc> tasks;
    s = lower_parallel_tasks(s, tasks, name, target);
    for (const LoweredFunc& task : tasks) {
      module.append(task);
    }
    module.append(LoweredFunc(name, arguments, s, Halide::LinkageType::External));
  });
  return module;
}

} // namespace dnn::codegen
