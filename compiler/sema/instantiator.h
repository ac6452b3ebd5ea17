// Instantiation: evaluates the train block, inlining every fn, layer and optimizer that it uses. What is known now
// (extents, static arguments, closures) is computed; what is known at run time becomes statements of the function under
// construction.
//
// An expression has one of two surroundings. At the level of statements it speaks of whole tensors: `(a + b) * 2` is an
// element expression over indices of its own, and a name that is bound to it becomes a variable. Inside an indexed let
// or a reduction (`Env::element`) it speaks of one element: scalars are expressions over the indices around them and
// are never stored.
#pragma once

#include "compiler/diag/diagnostics.h"
#include "compiler/sema/scalar.h"
#include "compiler/sema/sema.h"
#include "compiler/sema/value.h"

#include <deque>
#include <functional>
#include <set>

namespace dnn::sema {

using diag::DiagId;

/// The indexed let that draws of random numbers belong to: one draw per point.
struct DrawSite {
  std::vector<IndexId> coordinates;
  std::string path;
  int draws = 0; // so far
};

/// The body that is being inlined.
struct Frame {
  enum class Kind : uint8_t { Fn, Layer, Optimizer, Entry, Initial };
  Kind kind = Kind::Fn;
  std::string path;                             // of the calls down to here; the stem of draw sites
  InstancePtr instance;                         // Layer
  std::string optimizer;                        // Optimizer: "o"
  std::string parameter;                        // Optimizer: "net.fc1.w"
  std::string statement;                        // name of what is being defined
  std::map<std::string, int> ordinals;          // of calls, by statement
  std::map<std::string, SourceRange> instances; // made in this body, by name
  bool failed = false;                          // a `when` could not be decided: that nothing is returned is no news
  std::optional<Dim> examples;                  // Entry of a generated source: how many
  std::map<std::string, PersistentId> states;   // what `update` may name
};

struct OpenScan; // scan.h

struct Env {
  ScopePtr scope;
  Frame* frame = nullptr;
  OpenScan* scan = nullptr; // whose body this is, in this frame
  bool element = false;
  DrawSite* draws = nullptr;
  int reductions = 0; // that enclose this, within the let of `draws`
  /// Whole tensors under subscripts, evaluated while indices were given their ranges; so that each is evaluated once.
  std::map<const ast::Expr*, Value>* bases = nullptr;
};

/// The body of an entry point: its frame, and names of its own within those around it.
struct EntryBody {
  EntryBody(const Env& around, std::string path) : env(around) {
    frame.kind = Frame::Kind::Entry;
    frame.path = std::move(path);
    env.frame = &frame;
    env.scope = std::make_shared<Scope>(around.scope);
  }
  EntryBody(const EntryBody&) = delete;
  EntryBody& operator=(const EntryBody&) = delete;

  Frame frame;
  Env env;
};

class Instantiator {
public:
  Instantiator(const Options& options, DataProbe& probe, diag::Diagnostics& diags)
      : options_(options), probe_(probe), diags_(diags) {}
  ~Instantiator();
  Instantiator(const Instantiator&) = delete;

  /// Adds the definitions of these files to a new scope above `parent`.
  ScopePtr fileScope(const std::vector<const ast::File*>& files, ScopePtr parent);
  /// Evaluates every constant of the scope.
  void checkConstants(const ScopePtr& scope);
  /// None if there were errors.
  std::optional<Program> instantiate(const ast::TrainDecl& train, const ScopePtr& scope);

private:
  // --- expressions.cpp ---
  Value eval(const ast::Expr& e, Env& env);
  Value evalName(const ast::Name& name, Env& env);
  Value evalMember(const ast::Expr& e, const ast::Member& member, Env& env);
  /// The instance, parameter or part of an instance with the path of `base` and `part`.
  Value findPart(const Instance& base, const std::string& part, SourceRange partRange, SourceRange range);
  Value evalReduce(const ast::Expr& e, const ast::Reduce& reduce, Env& env);
  /// A closure without parameters that stands where a value is needed is called.
  Value forced(Value value, SourceRange range, Env& env);
  /// As a run-time value; reports what cannot be one. None: reported.
  std::optional<Tensor> evalTensor(const ast::Expr& e, Env& env);
  std::optional<Tensor> toTensor(const Value& value, SourceRange range);
  /// Static values; each reports what is not one.
  std::optional<Dim> evalDim(const ast::Expr& e, Env& env);
  std::optional<int64_t> evalStaticInt(const ast::Expr& e, Env& env, const char* what);
  std::optional<double> evalStaticNumber(const ast::Expr& e, Env& env, const char* what);
  std::optional<bool> evalStaticBool(const ast::Expr& e, Env& env, const char* what);
  std::optional<std::string> evalString(const ast::Expr& e, Env& env, const char* what);

  // --- operators.cpp ---
  Value evalUnary(const ast::Expr& e, const ast::Unary& unary, Env& env);
  Value evalBinary(const ast::Expr& e, const ast::Binary& binary, Env& env);
  Value evalIf(const ast::Expr& e, const ast::If& branch, Env& env);
  Value binaryValue(ast::BinaryOp op, const Value& a, const Value& b, SourceRange aRange, SourceRange bRange,
                    SourceRange range);
  Value staticBinary(ast::BinaryOp op, const Value& a, const Value& b, SourceRange range);
  /// A scalar operator on run-time values, elementwise.
  Value applyOp(ScalarOp op, std::vector<Tensor> args, const std::vector<SourceRange>& ranges, SourceRange range);
  /// Gives literals the element type of the others; reports operands of unlike types.
  bool unifyTypes(std::vector<Tensor>& args, const std::vector<SourceRange>& ranges, std::string_view what,
                  SourceRange range);
  /// Equal shapes, or scalars. `make` gets one element of each.
  Value pointwise(const std::vector<Tensor>& args, const std::vector<SourceRange>& ranges, std::string_view what,
                  SourceRange range, const std::function<ScalarPtr(std::vector<ScalarPtr>)>& make);
  /// Literals take any type that holds them, and 16-bit floats become f32; nothing else converts by itself.
  bool convertTo(Tensor& t, DType to);
  /// For what is stored into a place of this type: rounds f32 to floats of 16 bits besides.
  bool storeAs(Tensor& t, DType to, SourceRange range);
  /// 16-bit floats as f32; anything else as it is.
  Tensor widened(const Tensor& t, SourceRange range);

  // --- tensors.cpp ---
  Tensor variable(VarId var);
  Tensor scalar(ScalarPtr body);
  ScalarPtr element(const Tensor& t, std::vector<ScalarPtr> subscripts, SourceRange range);
  /// What an expression's values are below, so that they can subscript; none where that, or that they are 0 or more, is
  /// not proved.
  std::optional<Dim> provedBound(const Tensor& t);
  /// The whole value as a variable.
  VarId store(const Tensor& t, const std::string& name, SourceRange range);
  /// What a name is bound to: a variable, unless the value belongs to the element around it.
  Value bindable(const Value& value, const std::string& name, SourceRange range, const Env& env);
  std::vector<IndexId> freshIndices(const std::vector<Dim>& dims, SourceRange range);
  std::string str(const Dim& dim) const { return dim.str(out_->symbols()); }
  std::string str(const TensorType& type) const { return type.str(out_->symbols()); }

  // --- subscripts.cpp ---
  Value evalSubscript(const ast::Expr& e, const ast::Subscript& subscript, Env& env);
  Value evalBase(const ast::Expr& base, Env& env);
  /// Does the expression name an index, or an element that belongs to indices, around it?
  bool dependsOnElements(const ast::Expr& e, const Env& env) const;
  Value fillDims(const FnValue& fn, const ast::Expr& e, const ast::Subscript& subscript, Env& env);
  bool checkSubscript(const ScalarPtr& value, const ast::Expr& item, const Dim& extent, size_t position,
                      const ast::Expr& base);
  /// One item of a subscript: an expression, or an index of a pack (then `source` is the PackRef).
  struct Item {
    const ast::Expr* source;
    ScalarPtr value;
  };
  void reportSubscriptCount(SourceRange range, size_t count, const ast::Expr& base, const TensorType& type);
  std::optional<std::vector<Item>> evalItems(const std::vector<ast::ExprPtr>& items, Env& env);

  // --- indices.cpp ---
  /// Binds the indices in a new scope of `env`, with ranges from their extents or from bare subscripts in `bodies`.
  /// `examples`: the extent of the first index if nothing else gives it one.
  bool bindIndices(const std::vector<ast::IndexBinder>& binders, const std::vector<const ast::Expr*>& bodies, Env& env,
                   std::vector<IndexId>& indices, const std::optional<Dim>& examples = std::nullopt);

  // --- types.cpp ---
  /// A type with every name known.
  std::optional<TensorType> evalType(const ast::Type& type, Env& env);
  std::optional<DType> evalDType(const ast::Name& name);
  std::optional<std::vector<Dim>> evalDims(const std::vector<ast::ExprPtr>& items, Env& env);
  /// Checks that a value has the declared type, and binds the dimensions that the type names for the first time.
  /// `fixed`: names that are no new dimensions. `what`: "argument `x`". Converts literals.
  bool matchType(const ast::Type& type, Value& value, SourceRange valueRange, Env& env,
                 const std::set<std::string>& fixed, const std::string& what);
  bool matchTensor(const ast::TensorType& type, SourceRange typeRange, Tensor& value, SourceRange valueRange, Env& env,
                   const std::set<std::string>& fixed, const std::string& what);
  bool matchDim(const ast::Expr& declared, const Dim& actual, size_t position, const Tensor& value,
                SourceRange valueRange, Env& env, const std::set<std::string>& fixed, const std::string& what);
  static bool isScalarType(const ast::Type& type);
  bool bindWheres(const ast::Signature& signature, Env& env);

  // --- calls.cpp ---
  struct Argument {
    const ast::Name* name; // null: positional
    Value value;
    SourceRange range;
  };
  Value evalCall(const ast::Expr& e, const ast::Call& call, Env& env);
  /// So that parameters that the call would have made are not told as missing.
  void noteBrokenCall(const Value& callee);
  Value callValue(const Value& callee, std::vector<Argument> args, SourceRange calleeRange, SourceRange range,
                  Env& env);
  std::optional<std::vector<Argument>> evalArgs(const ast::Call& call, Env& env);
  Value callFn(const FnValue& fn, std::vector<Argument> args, SourceRange range, Env& env);
  /// A schedule at update t, with the epoch and the number of plateaus that it asks for besides.
  Value callSchedule(const FnValue& fn, std::vector<Argument> args, SourceRange range, Env& env);
  Tensor epochNumber(SourceRange range);
  Value applyStatics(const FnValue& fn, const std::vector<Argument>& args, SourceRange range);
  Value callLayer(const InstancePtr& instance, std::vector<Argument> args, SourceRange range, Env& env);
  /// The statics of a definition from arguments and defaults, on top of `base`. None: reported.
  std::optional<Statics> bindStatics(const ast::Signature& signature, const ScopePtr& scope, const Statics& base,
                                     const std::vector<Argument>& args, SourceRange range);
  std::optional<Value> checkKind(const ast::StaticDecl& decl, Value value, SourceRange range,
                                 const ast::Signature* callee);
  /// In the order of the params. None: reported.
  std::optional<std::vector<Argument>> orderArgs(const ast::Signature& signature, std::vector<Argument> args,
                                                 SourceRange range);
  /// Runs a body with its params bound and checks what it returns. `expected`: the type that the caller wants, which
  /// binds dimensions of the result type before the body runs.
  Value runBody(const ast::Signature& signature, const ast::Block& body, const ScopePtr& scope, const Statics& statics,
                std::vector<Argument> args, SourceRange range, Frame& frame, const Env& caller,
                const TensorType* expected = nullptr);
  /// A scalar fn on tensors.
  Value lift(const FnValue& fn, std::vector<Argument> args, SourceRange range, Env& env);
  bool mentionsWholeTensor(const ast::Expr& e, const Env& env) const;
  /// Where a call or a let stands among the instantiations: the stem of draw sites.
  std::string callPath(Env& env);

  // --- core_calls.cpp ---
  Value callCore(const CoreFn& fn, const ast::Expr& e, const ast::Call& call, Env& env);
  Value callCast(DType to, const Tensor& value, SourceRange valueRange, SourceRange range);
  Value callDraw(Distribution distribution, SourceRange range, Env& env);
  Value callReshape(const ast::Call& call, SourceRange range, Env& env);
  Value callConcat(const ast::Call& call, SourceRange range, Env& env);
  Value callRecompute(const ast::Call& call, Env& env);
  /// bf16(Dense(64)): the instance, whose parameters are kept in this type.
  Value withStorage(const Value& value, DType type, SourceRange range);
  Value callChain(const ast::Call& call, SourceRange range, Env& env);
  Value callRepeat(const ast::Call& call, SourceRange range, Env& env);
  Value callGrad(const ast::Call& call, SourceRange range, Env& env);
  Value callSize(const ast::Call& call, SourceRange range, Env& env);

  // --- parameters.cpp ---
  /// sum[p in net] …
  Value evalFold(const ast::Expr& e, const ast::Fold& fold, Env& env);
  /// let fast = net with p = …
  Value withValues(const ast::Let& let, const Value& base, Env& env);
  /// The instance or list, called with these values.
  static Value replaced(const Value& value, const std::shared_ptr<const ParameterValues>& values);
  /// The parameters under an instance's path, in the order of their declaration; and the value of one of them.
  std::vector<PersistentId> parametersOf(const std::string& path) const;
  /// Whether a call failed that may have made the parameters at and below `path`.
  bool callFailed(const std::string& path) const;
  Tensor parameterValue(PersistentId id, const ParameterValues* values, SourceRange range);
  /// The path of an instance or of a list of instances; reports what is neither or has no parameters. `values`: those
  /// that stand for its parameters, if any.
  std::optional<std::string> parameterOwner(const Value& value, const ast::Expr& e,
                                            std::shared_ptr<const ParameterValues>& values);

  // --- scans.cpp ---
  /// `let`: the statement whose whole right side it is, if any; it may take the carries too.
  Value evalScan(const ast::Expr& e, const ast::Scan& scan, Env& env, const ast::Let* let);
  /// The results of a call, computed in a scan of one step that keeps nothing.
  Value recomputed(const Value& callee, std::vector<Argument> args, SourceRange calleeRange, SourceRange range,
                   Env& env);
  Value scanResults(const ast::Expr& e, Scan node, const OpenScan& open, const ast::Let* let);
  std::optional<VarId> initialCarry(const ast::Carry& carry, Env& env);
  /// The same value as a variable of exactly this type, which differs in the bound at most.
  VarId withType(VarId var, const TensorType& type, const std::string& name, SourceRange range);
  void runNext(const ast::Stmt& stmt, const ast::Next& next, Env& env);
  void runEmit(const ast::Emit& emit, Env& env);
  void runUntil(const ast::Stmt& stmt, const ast::Until& until, Env& env);
  /// In a body whose `until` has a bool for each row: rows that have ended keep their carries and emit zeros. A carry
  /// for which they are is added, to which beginRows gives its first value outside of the body. False: reported.
  bool endRows(Scan& node, OpenScan& open);
  void beginRows(Scan& node, SourceRange range);

  // --- per_element.cpp ---
  /// What `evaluate` makes of whole values, for each element around the expression.
  Value evalPerElement(const ast::Expr& e, Env& env, const std::function<Value(Env&)>& evaluate);
  /// The same; `evaluate` also gets the values used, as variables of an element.
  Value perElement(std::vector<Value> used, SourceRange range, Env& env,
                   const std::function<Value(Env&, const std::vector<Value>&)>& evaluate);
  /// An element that draws, read from a tensor of all: wherever it is computed, it is one draw.
  Value ofEveryElement(const Value& value, SourceRange range);
  std::vector<VarId> scanElements(std::vector<Statement> body, const std::vector<IndexId>& indices, VarId first,
                                  std::vector<VarId> results, SourceRange range);
  Tensor elementAt(VarId all, const std::vector<IndexId>& outer, const TensorType& type, SourceRange range);
  /// Does the function, or one that it calls, take a gradient of its own values?
  bool takesGradient(const FnValue& fn);

  // --- vjp.cpp ---
  Value callWithRule(const FnValue& fn, std::vector<Argument> args, SourceRange range, Env& env);

  // --- statements.cpp ---
  /// Runs statements in a new scope; the value returned, if any.
  std::optional<Value> runBlock(const ast::Block& block, Env env);
  std::optional<Value> runStmts(const ast::Block& block, Env& env);
  void runLet(const ast::Stmt& stmt, const ast::Let& let, Env& env);
  void runIndexedLet(const ast::Stmt& stmt, const ast::Let& let, Env& env);
  /// False if it does not hold.
  bool runRequire(const ast::Stmt& stmt, const ast::Require& require, Env& env);
  /// "7 <= 5": the comparison, with its numbers, that makes a condition false; empty if it has none.
  std::string whatFails(const ast::Expr& condition, Env& env);
  void runParam(const ast::Stmt& stmt, const ast::Param& param, Env& env);
  void runState(const ast::Stmt& stmt, const ast::State& state, Env& env);
  void runUpdate(const ast::Stmt& stmt, const ast::Update& update, Env& env);
  std::optional<Value> runWhen(const ast::When& when, Env& env);
  void assignPath(Value& value, const std::string& path, bool copy, std::optional<DType> storage);
  Value nameInstances(Value value, const ast::Name& name, Env& env);
  Value returned(const ast::Stmt& stmt, const std::vector<ast::ExprPtr>& values, Env& env);

  // --- persistents.cpp ---
  /// The persistent tensor with this path; made, with its initial value in `init`, at its first declaration.
  std::optional<PersistentId> declare(plan::Persistent::Kind kind, const std::string& path, const TensorType& type,
                                      SourceRange where, const ast::Expr& initial, const Env& env);
  void emitInitial(PersistentId id, const ast::Expr& initial, Env env);
  Tensor readPersistent(PersistentId id, SourceRange range);

  /// A persistent tensor that starts with zeros.
  PersistentId declareZero(plan::Persistent::Kind kind, const std::string& path, const TensorType& type,
                           SourceRange range);
  /// The tensor takes this value when the function ends; reports a value of another type.
  void updateWith(PersistentId id, const Value& value, SourceRange range);

  // --- train.cpp ---
  /// The statements of a training program, or of one of its phases.
  struct Part {
    std::string name;
    SourceRange range;
    bool phased = false;                       // it has phases, which have the steps
    std::map<std::string, SourceRange> single; // run, checkpoint
    size_t steps = 0;
  };
  void runTrain(const ast::TrainDecl& train, Env& env);
  void runPart(const ast::Block& body, Env& env, Part& part);
  void runTrainLet(const ast::Stmt& stmt, const ast::Let& let, Env& env);
  void runOpt(const ast::Opt& opt, Env& env);
  void runCheckpoint(const ast::Checkpoint& checkpoint, Env& env);
  std::string metricPath(const ast::Expr& e);

  // --- phases.cpp ---
  void runPhase(const ast::Phase& phase, Env& env);
  void runRun(const ast::Stmt& stmt, const ast::Run& run, Env& env);
  void runInit(const ast::Init& init, Env& env);
  void checkPart(const Part& part);
  void checkMetrics();
  /// How often the metric of the plateau rule has stopped improving; the rule is the phase's.
  Tensor plateauCount(SourceRange range);
  void finishProgram();
  /// Marks the phases whose generated data is made from values that they change.
  void keepStarts();

  // --- sweep.cpp ---
  /// Binds each name to its value in the combination that is compiled.
  void runSweep(const ast::Sweep& sweep, Env& env);
  std::vector<Value> sweepValues(const ast::Sweep::Item& item, Env& env);

  // --- tracks.cpp ---
  struct Track {
    std::string name;
    std::string of;
    FnValue rule;
    SourceRange range;
    std::vector<std::pair<PersistentId, PersistentId>> pairs; // follower, leader
  };
  void runTrack(const ast::Stmt& stmt, const ast::Track& track, Env& env);
  /// The track whose instance, or part of it, has this path; null if none has.
  Track* trackOf(const std::string& path);
  PersistentId declareFollower(Track& track, const std::string& path, PersistentId leader, SourceRange range);
  void updateFollowers();

  // --- entries.cpp ---
  void runStep(const ast::Stmt& stmt, const ast::Step& step, Env& env);
  /// One entry for a step: what each `minimize` does in it is `modes_`.
  uint32_t makeStep(const ast::Stmt& stmt, const ast::Step& step, const std::string& function, const std::string& path,
                    Env& env);
  /// The last statements of a step, which need to know all parameters of the program.
  void finishStep(size_t position);
  void runWhole(const ast::Stmt& stmt, const ast::Whole& whole, Env& env);
  void finishWhole(size_t evalPosition, Env& env);
  void runEval(const ast::Stmt& stmt, const ast::Eval& eval, Env& env);
  void runPredict(const ast::Stmt& stmt, const ast::Predict& predict, Env& env);
  /// The largest values of the dimensions that a prediction leaves open. False: an error was reported.
  bool readLimits(const ast::Predict& predict, Env& inner, std::map<std::string, int64_t>& limits);
  /// Gives the dimensions of a prediction's parameter, of at most `batch` rows, that nothing else names their symbols.
  bool bindOpenDims(const ast::TensorType& type, const std::map<std::string, int64_t>& limits, int64_t batch,
                    Env& inner);
  void returnResults(const ast::Stmt& stmt, const ast::Predict& predict, const Value& result, Env& inner);
  /// The source whose tokens the values of this type are: `< tr.vocab` says so. "" = of none.
  std::string textOf(const ast::Type& type, Env& env);
  void runLog(const ast::Log& log, Env& env);
  /// Adds the fields of a source to the entry's inputs; false: reported, the names are poison.
  bool bindFields(const std::vector<ast::Name>& fields, const ast::Name& source, Env& env);
  bool checkFields(const std::vector<ast::Name>& fields, const ast::Name& source, Env& env);
  std::optional<plan::Every> everyOf(const std::optional<ast::Every>& every, Env& env);
  FunctionBuilder& beginEntry(plan::Entry::Kind kind, const std::string& function, const std::string& name);
  void endEntry(size_t position);
  /// Kernels count elements in 32 bits.
  void checkSizes(const FunctionBuilder& function, const std::vector<Statement>& body);

  // --- rhythm.cpp ---
  /// What a `minimize` does in a step.
  enum class Mode : uint8_t { Rest, Gather, Apply };
  struct Rhythm {
    const ast::Minimize* minimize = nullptr;
    int64_t every = 1;
    int64_t accumulate = 1;
    Mode at(int64_t turn) const;
  };
  /// Does every `minimize` update in every step, so that updates need no count of their own?
  static bool updatesInEveryStep(const ast::Block& program);
  std::optional<std::vector<Rhythm>> rhythmsOf(const ast::Block& body, Env& env);
  /// The length after which the step repeats itself; none: reported.
  std::optional<int64_t> cycleOf(const std::vector<Rhythm>& rhythms);
  /// The number of this optimizer's update, from 1.
  Tensor updateCount(const std::string& optimizer, SourceRange range);
  /// The number of the step, from 1.
  Tensor stepCount(SourceRange range);
  /// The averages over the batches so far, this one included; the sums start anew.
  void averageGathered(const ast::Minimize& minimize, const std::string& optimizer,
                       const std::vector<PersistentId>& parameters, std::vector<Value>& gradients, SourceRange range);
  void gather(const ast::Minimize& minimize, const std::string& optimizer, const std::vector<PersistentId>& parameters,
              const std::vector<Value>& gradients, SourceRange range);
  void passThrough(const ast::Minimize& minimize, const std::string& optimizer,
                   const std::vector<PersistentId>& parameters, std::vector<Value>& gradients, Env& env);

  // --- minimize.cpp ---
  void runMinimize(const ast::Stmt& stmt, const ast::Minimize& minimize, Env& env);
  std::optional<std::vector<PersistentId>> selectParameters(const ast::Minimize& minimize, Env& env);
  std::optional<std::string> selectionPath(const ast::Expr& e, Env& env);
  std::set<VarId> dependencies(VarId root) const;

  // --- sources.cpp ---
  struct Source {
    ast::Name name;
    std::vector<TensorType> rows; // of one example, in order
    bool failed = false;          // reported; its fields are poison
    std::optional<size_t> phase;  // that it belongs to
    std::optional<int64_t> count; // examples, when the program is compiled
  };
  /// Examples of a source, as its files are now. None: reported.
  std::optional<int64_t> exampleCount(size_t source, SourceRange range);
  void runData(const ast::Data& data, Env& env);
  bool readOptions(const ast::Data& data, plan::Source& plan, Env& env);
  bool readTable(const ast::TableSource& table, plan::Source& plan, Source& source, Env& env);
  bool readGenerate(const ast::GenerateSource& generate, plan::Source& plan, Source& source, Env& env);
  /// `tr.vocab`, `tr.count`, `tr.steps` (of an epoch), `tr.x`: what the program may know of a source.
  Value sourceMember(const SourceRef& ref, const ast::Member& member);

  /// `tr.x.mean`: what it may know of a field.
  Value fieldMember(const SourceField& ref, const ast::Member& member, SourceRange range, Env& env);

  // --- source_files.cpp ---
  bool readCall(const ast::Expr& e, plan::Source& plan, Source& source, Env& env);
  bool readCsv(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env);
  /// What `missing` says: stop, a number (NaN: the mean of the column), or the same as in another source.
  struct MissingCells {
    bool given = false;
    double value = 0;
    std::optional<size_t> like;
  };
  /// Adds a run of columns to the rule; how many they are.
  std::optional<int64_t> readRun(const ast::Expr& e, const std::vector<std::string>* header, const std::string& path,
                                 plan::CsvField& rule, Env& env);
  bool readMissing(const ast::Expr& e, plan::Source& plan, MissingCells& missing, Env& env);
  /// Finds categories and what stands for missing cells.
  bool describeColumns(SourceRange range, plan::Source& plan, Source& source, const MissingCells& missing,
                       int64_t limit, const std::string& vocabularyFile);
  bool readIdx(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env);
  bool readNpy(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env);
  bool readNpz(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env);
  /// `ragged("values", "begins", max = 128)`: sequences that lie in one array, and the field with their lengths.
  bool readRagged(const ast::Name& name, const ast::Call& words, std::optional<int64_t> bound, plan::Source& plan,
                  Env& env);
  bool readCifar(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env);
  bool readImages(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env);
  /// The numbering of another source's classes.
  bool readClasses(const ast::Expr& e, plan::Source& plan, Env& env);
  // --- source_text.cpp ---
  struct TokenOptions {
    std::optional<int64_t> most;
    const ast::Expr* vocabulary = nullptr;
  };
  /// `unit`, `max` and `vocab`; none: it is another option.
  std::optional<bool> readTokenOption(const ast::Arg& arg, plan::Source& plan, TokenOptions& options, Env& env);
  /// A field of a table whose cells are texts, and the field with their lengths.
  bool readTokens(const ast::Name& field, const ast::Call& call, const std::vector<std::string>* header,
                  plan::Source& plan, TokenOptions& options, Env& env);
  bool readText(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env);
  bool readVocabulary(const ast::Expr& e, plan::Source& plan, int64_t& limit, std::string& file, Env& env);
  bool readPaths(const ast::Call& call, plan::Source& plan, Env& env);
  /// Of a kind of source that takes `one`: a file or a folder.
  bool readPath(const ast::Expr& e, const ast::Call& call, std::string_view kind, std::string_view one,
                plan::Source& plan, Env& env);
  bool readArrayOptions(const std::string& kind, const ast::Call& call, plan::Source& plan,
                        std::optional<int64_t>& classes, Env& env);
  /// Types the fields by a look into the files.
  bool lookUp(SourceRange range, plan::Source& plan, Source& source, int64_t limit = 0,
              const std::string& vocabularyFile = "");
  void unreadable(SourceRange range, const std::string& message, const plan::Source& plan);
  bool unknownOption(const std::string& kind, const ast::Name& name, const std::vector<std::string>& known);
  std::optional<int64_t> evalOption(const ast::Expr& e, Env& env, const char* name, int64_t least, int64_t most);
  /// An option whose values are words of its own: `unit = char`.
  std::optional<std::string> evalWord(const ast::Arg& arg, const std::vector<std::string>& words);
  /// `field < K`: takes the bound off the expression.
  bool readBound(const ast::Expr*& e, std::optional<int64_t>& bound, Env& env);
  /// `split`, `split_seed`, `fold`, `folds`.
  bool readRowOption(const ast::Arg& arg, plan::Source& plan, Env& env);
  bool checkFolds(SourceRange range, const plan::Source& plan);

  template <DiagId Id, class... Args> diag::DiagBuilder error(SourceRange range, const Args&... args) {
    return diags_.report<Id>(range, args...);
  }
  Poison unsupported(SourceRange range, std::string_view what);

  const Options& options_;
  DataProbe& probe_;
  diag::Diagnostics& diags_;

  Program program_;
  std::deque<FunctionBuilder> entries_;               // parallel to program_.plan.entries
  FunctionBuilder* out_ = nullptr;                    // the function that statements go to
  FunctionBuilder train_;                             // what the train block itself would compute: nothing
  std::map<std::string, PersistentId> persistentIds_; // by path
  std::vector<Source> sources_;                       // parallel to program_.plan.sources
  std::set<const ast::ConstDecl*> openConstants_;
  std::map<const ast::ConstDecl*, Value> constants_;
  struct MetricUse {
    std::string metric;
    SourceRange range;
    std::optional<size_t> phase; // of which it must be; none: of any
  };
  std::vector<MetricUse> metrics_;                         // what `run` and `checkpoint` name
  std::set<std::string> brokenCalls_;                      // paths of instances of which a call failed, with an error
  std::set<std::string> brokenEvals_;                      // by their data: an error says why not all is logged
  std::vector<std::pair<std::string, SourceRange>> parts_; // what `init` and `checkpoint … of` name
  std::map<size_t, std::set<VarId>> minimised_;            // losses, by entry
  std::map<size_t, VarId> stepCounts_;                     // the number of the step from 1, by entry; when first used
  std::map<std::pair<size_t, std::string>, VarId> updateCounts_; // by entry and optimizer
  std::map<const ast::Minimize*, Mode> modes_;                   // in the step that is made
  std::map<const ast::FnDecl*, bool> takesGradient_;
  std::set<std::pair<size_t, PersistentId>> gathered_; // sums of gradients that an entry has used
  bool everyStepUpdates_ = true;
  std::optional<size_t> phase_; // whose statements run; none: those beside the phases
  std::vector<size_t> openSteps_;
  std::vector<uint32_t> sharedEvals_; // beside phases: of each phase
  std::vector<plan::InitRule> sharedInits_;
  std::vector<Track> tracks_;
  struct PlateauUse {
    std::optional<SourceRange> read;
    std::optional<SourceRange> rule;
    PersistentId persistent = 0;
  };
  std::map<size_t, PlateauUse> plateaus_; // by phase
  std::optional<SourceRange> seed_;
  struct WholeUse {
    const ast::Whole* whole;
    SourceRange range;
    std::vector<TensorType> types;
  };
  std::optional<WholeUse> whole_;                // of the eval that is made
  std::map<std::string, InstancePtr> instances_; // by path
  std::map<std::string, InstanceList> lists_;    // by path
  std::vector<ScopePtr> fileScopes_;
  std::vector<ScopePtr> trainScopes_;
  std::vector<SourceRange> openCalls_; // whose bodies are being inlined, the outermost first
  SourceRange returnRange_;            // of the last `return` that ran
  bool training_ = false;
  std::shared_ptr<const ParameterValues> values_; // what parameters are in the call that is being inlined
  /// Calls inside calls; more is a recursion that does not end. And what the stack holds of nested expressions.
  static constexpr int kMaxDepth = 100;
  static constexpr int kMaxEvalDepth = 1500;
  /// Scans in scans, as the graph allows.
  static constexpr size_t kMaxScans = 16;
  /// Calls in all; more is an explosion (`f` calls `g` twice, which calls `h` twice, …).
  static constexpr int kMaxCalls = 200000;
  int calls_ = 0;
  int depth_ = 0;
  int evalDepth_ = 0;
  bool tooDeep_ = false; // reported; unwinds without further words
};

} // namespace dnn::sema
