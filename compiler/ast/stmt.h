// Statements: of definitions, and of a training program. The parser checks where each kind may stand (Stmt::Node says
// it), so that later stages need not.
#pragma once

#include "compiler/ast/expr.h"

namespace dnn::ast {

struct Stmt;
struct FnDecl;
using StmtPtr = std::unique_ptr<Stmt>;

struct Block {
  SourceRange range; // with its braces
  std::vector<StmtPtr> stmts;
};

/// A parameter of a definition or an entry point. x: f32[N, K]
struct ParamDecl {
  Name name;
  TypePtr type;
};

// --- Statements of definitions ---

/// let y = value; let y[n, *b, i: Ho] = value; let (a, b) = value; let fast = net with p = each
struct Let {
  std::vector<Name> names; // two or more only without indices
  bool tuple = false;      // written with parentheses
  bool indexed = false;    // written with brackets
  std::vector<IndexBinder> indices;
  ExprPtr value;
  std::optional<Name> parameter; // of an instance with other values for its parameters: each one's value, by name
  ExprPtr each;                  // and what stands for it; null without
};
/// const D = C / heads
struct Const {
  Name name;
  ExprPtr value;
};
/// param w: f32[K, out] ~ init
struct Param {
  Name name;
  TypePtr type;
  ExprPtr init;
};
/// state m: f32[*S] = value
struct State {
  Name name;
  TypePtr type;
  ExprPtr init;
};
/// update m = value
struct Update {
  Name name;
  ExprPtr value;
};
/// require condition, "message"
struct Require {
  ExprPtr condition;
  std::optional<std::string> message;
};
/// when a { … } else when b { … } else { … }
struct When {
  struct Branch {
    ExprPtr condition;
    Block body;
  };
  std::vector<Branch> branches; // at least one
  std::optional<Block> otherwise;
};
/// return a, b. `return (a, b)` is the same.
struct Return {
  std::vector<ExprPtr> values;
};
/// next h = value
struct Next {
  Name name;
  ExprPtr value;
};
/// emit a, b
struct Emit {
  std::vector<ExprPtr> values;
};
/// until done
struct Until {
  ExprPtr condition;
};

// --- Statements of a training program ---

/// One field of `table { x: f32 = [[0, 1]], y: i32 < 10 = [3] }`. The extents come from the value; a type may state
/// them.
struct TableField {
  Name name;
  TypePtr type;
  ExprPtr value;
};
struct TableSource {
  SourceRange range;
  std::vector<TableField> fields;
};
/// generate COUNT seed S { let … return … }
struct GenerateSource {
  SourceRange range;
  ExprPtr count;
  ExprPtr seed; // may be null
  Block body;
};
/// data tr = SOURCE, batch = 64, shuffle = true. A source that is an ExprPtr is a Call or a name.
struct Data {
  Name name;
  std::variant<ExprPtr, TableSource, GenerateSource> source;
  std::vector<Arg> options; // all named
};
/// opt o = adam(lr = 1e-3)
struct Opt {
  Name name;
  ExprPtr value;
};
/// every epoch, every 5 epochs, every 100 steps
struct Every {
  enum class Unit : uint8_t { Epoch, Step };
  SourceRange range;
  ExprPtr count; // null: 1
  Unit unit = Unit::Epoch;
};
/// step (x, y) in tr, (u) in un { … }; step { … } has no data
struct Step {
  struct Read {
    std::vector<Name> fields;
    Name source;
  };
  std::vector<Read> reads;
  Block body;
};
/// eval (x, y) in te every epoch { … }
struct Eval {
  std::vector<Name> fields;
  Name source;
  std::optional<Every> every;
  Block body;
};
/// whole (p, y) { log auc = auc(p, y) }: values with an element or row for each example, of all examples together
struct Whole {
  std::vector<Name> values;
  Block body;
};
/// predict digit(img: u8[N, 28, 28]) -> i32[N] { … }; behind the result `where T <= 128`
struct Predict {
  struct Limit {
    Name dim;
    ExprPtr most;
  };
  Name name;
  std::vector<ParamDecl> params;
  TypePtr result;
  std::vector<Limit> limits;
  Block body;
};
/// minimize loss over net, head.w except net.fc1 with o every 5 steps accumulate 4 through clip_norm(1)
struct Minimize {
  ExprPtr loss;
  std::vector<ExprPtr> over;   // NameRefs, Members, Subscripts of them
  std::vector<ExprPtr> except; // the same
  Name optimizer;
  std::optional<Every> every;
  ExprPtr accumulate; // may be null
  std::vector<ExprPtr> through;
};
/// log loss = a, acc = b, image digits = x every 100 steps
struct Log {
  struct Entry {
    Name name;
    ExprPtr value;
    bool image = false;
  };
  std::vector<Entry> entries;
  std::optional<Every> every;
};
/// run epochs = 10, seed = 42, patience = 5 on te.loss
struct Run {
  struct Option {
    Name name;
    ExprPtr value;
    ExprPtr on; // may be null
  };
  std::vector<Option> options;
};
/// checkpoint "mnist.ckpt" every epoch keep best te.acc; checkpoint "enc.ckpt" of net.enc
struct Checkpoint {
  SourceRange pathRange;
  std::string path;
  ExprPtr of; // may be null
  std::optional<Every> every;
  ExprPtr best; // may be null
};
/// track slow = net with ema(decay = 0.999)
struct Track {
  Name name;
  Name of;
  ExprPtr rule;
};
/// init net.enc from "ae.ckpt" as "ae.enc"
struct Init {
  ExprPtr target;
  SourceRange pathRange;
  std::string path;
  std::optional<std::string> as;
};
/// sweep lr in [1e-3, 1e-2], seed in 1..5
struct Sweep {
  struct Item {
    Name name;
    ExprPtr values;
  };
  std::vector<Item> items;
};
/// phase pretrain { … }
struct Phase {
  Name name;
  Block body;
};
/// fn … inside a training program
struct LocalFn {
  std::unique_ptr<FnDecl> fn;
};

/// The bodies that statements stand in.
enum class Context : uint8_t { Fn, Layer, Optimizer, Vjp, Scan, Train, Phase, Step, Eval, Whole, Predict, Generate };

struct Stmt {
  // Everywhere: Let, Const, Require; When (its blocks are of the context it stands in) everywhere but in Train and
  // Phase. Fn, Vjp, Predict, Generate: Return.   Layer: Return, Param, State, Update.   Optimizer: Return, State,
  // Update. Scan: Next, Emit, Until.   Train, Phase: Data, Opt, LocalFn, Step, Eval, Run, Init.   Train: Predict,
  // Track, Sweep, Phase, Checkpoint.   Step: Minimize, Log.   Eval: Log, Whole.   Whole: Log.
  using Node = std::variant<Let, Const, Param, State, Update, Require, When, Return, Next, Emit, Until, Data, Opt, Step,
                            Eval, Whole, Predict, Phase, Track, Init, Sweep, Minimize, Log, Run, Checkpoint, LocalFn>;
  SourceRange range;
  Node node;

  Stmt(SourceRange range, Node node);
  ~Stmt();
};

} // namespace dnn::ast
