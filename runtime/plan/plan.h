// The plan: everything the runtime must know about a compiled program besides its machine code. The compiler writes it,
// encodes it into the executable (or hands the same bytes to the JIT), the runtime decodes it.
#pragma once

#include "runtime/types/dtype.h"

#include <cstdint>
#include <string>
#include <vector>

namespace dnn::plan {

using dnn::byteSize;
using dnn::DType;

/// A tensor that lives as long as the program: parameter, layer state or optimizer state.
struct Persistent {
  enum class Kind : uint8_t { Parameter = 0, State = 1, OptimizerState = 2 };
  Kind kind = Kind::Parameter;
  std::string path; // "net.fc1.w", "net.bn.rm", "o.m/net.fc1.w": unique, the key in checkpoints
  DType dtype = DType::F32;
  std::vector<int64_t> dims;
  uint64_t offset = 0; // bytes in the persistent region, a multiple of 64
  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t follows = kNone; // of a state that starts as the copy of a parameter: which one
};

/// How often something happens: every `count` epochs, or steps.
struct Every {
  uint32_t count = 1; // at least 1
  bool steps = false;
};

/// An extent of a row that is known at run time: constant + Σ factor · symbol.
struct VaryingExtent {
  struct Term {
    uint32_t symbol = 0; // 0: the batch, k: the entry's length k - 1
    int64_t factor = 1;
  };
  uint32_t dim = 0; // of the port's `dims`
  int64_t constant = 0;
  std::vector<Term> terms;
};

/// A tensor that the runtime writes before, or reads after, an entry runs.
struct Port {
  std::string name; // field or log name
  DType dtype = DType::F32;
  bool batched = false; // the leading dimension is the batch; `dims` then holds the dimensions of one row
  std::vector<int64_t> dims;
  std::vector<VaryingExtent> varying; // of these the largest extent stands in `dims`
  uint32_t lengthOf = 0; // > 0: the values are the lengths of the rows' sequences, whose extent is this symbol
  int64_t bound = 0;     // > 0: integer values must satisfy 0 ≤ v < bound; checked when data is loaded
  std::string text;      // the values are tokens of this source's text; "" = plain numbers
  uint64_t offset = 0;   // bytes in the arena
  bool image = false;    // logs: grey or colour values in rows, shown as pictures
  Every every;           // logs of a step: when they are told
};

struct Entry {
  enum class Kind : uint8_t { Init = 0, Step = 1, Eval = 2, Predict = 3, Generate = 4, Whole = 5 };
  Kind kind = Kind::Step;
  std::string name;         // "init", "step", "te" (eval, whole: the source), predict's name, generate's source
  int64_t batch = 0;        // largest number of rows a call; 0 = no batch
  bool rowwise = true;      // false: rows influence each other, so a set cannot be cut into batches without changing it
  std::vector<Port> inputs; // step, eval: fields of the source, in order; predict: its parameters
  std::vector<Port> outputs;    // step, eval, whole: logs (averaged over examples); predict: results; generate: fields
  std::vector<int64_t> lengths; // extents of sequences besides the batch: their largest values, at least 1
  std::vector<std::string> sources; // step: read in lock-step, their fields one after the other; eval: the one read
  Every every;                      // eval
  /// eval: values with a row for each example. The entry behind it is then a `whole`: it has them as its inputs, of all
  /// examples together.
  std::vector<Port> collected;
  /// generate: the persistent tensors read. Sets are made before their phase changes any of these.
  std::vector<uint32_t> reads;
  /// Parameters that this entry changes and losses it minimises are checked for NaN and infinity after each call:
  std::vector<uint32_t> watchedPersistents; // indices into Plan::persistents
  std::vector<uint32_t> watchedTables;      // the same, of large tables of which a step changes few rows
  std::vector<uint32_t> watchedOutputs;     // indices into outputs
};

/// A run of columns of a CSV file, by the names in its header; one column is a run of its own.
struct CsvRun {
  std::string first;
  std::string last;
};

/// The columns of a field, and how their cells become values.
struct CsvField {
  std::vector<CsvRun> runs;
  bool tokens = false;                 // a cell is a text, whose tokens are a sequence
  bool categorical = false;            // the cells are names; a value is the place of its name in `categories`
  bool missingCategory = false;        // an empty cell is the category behind the named ones
  std::vector<std::string> categories; // sorted; found when the program is compiled
  std::vector<double> fills;           // what stands for a missing cell, by column; empty = that is an error
};

/// A statistic of a field, which the runtime computes over the examples of its source before training starts, into a
/// state of the program.
struct Statistic {
  enum class Kind : uint8_t { Mean = 0, Deviation = 1 };
  Kind kind = Kind::Mean;
  uint32_t field = 0;
  uint32_t persistent = 0;
};

/// How a text becomes examples: tokens, cut into windows or at the ends of lines.
struct TextRule {
  enum class Unit : uint8_t { Byte = 0, Char = 1, Word = 2 };
  Unit unit = Unit::Char;
  bool lines = false;   // a line is an example, of at most the source's maxLength tokens
  int64_t window = 1;   // else: tokens of an example
  int64_t stride = 1;   // tokens from the start of one example to that of the next
  bool unknown = false; // token 0 stands for everything that the vocabulary lacks
};

/// Where examples come from. Paths are as written in the source file; relative ones resolve against Plan::directory.
struct Source {
  enum class Kind : uint8_t {
    Idx = 0,
    Csv = 1,
    Table = 2,
    Generate = 3,
    Text = 4,
    Npy = 5,
    Npz = 6,
    Cifar = 7,
    Images = 8
  };
  Kind kind = Kind::Table;
  std::string name;
  std::vector<std::string> paths; // idx: one file a field; csv: one file
  std::vector<Port> fields;       // row types (offset unused)
  std::vector<CsvField> columns;  // csv: one a field
  int64_t maxLength = 0;          // > 0: examples have sequences of their own lengths, none longer than this
  bool bucket = false;            // batches are put together from examples of similar length
  TextRule text;                  // text; csv: of a column of tokens
  /// text: the tokens, in the order of their numbers; found when the program is compiled. Bytes need none.
  std::vector<std::string> vocabulary;
  std::vector<std::string> members; // npz: the array of each field
  std::vector<std::string> offsets; // npz: of a field with sequences the array that says where each begins; "" = none
  uint8_t labels = 1;               // cifar: in a record; the second of two is the fine one; images: 0 = no classes
  bool coarse = false;              // cifar: take the first of two labels, the coarse one
  /// images: the folders of the classes, in the order of their numbers; found when the program is compiled.
  std::vector<std::string> classes;
  bool resize = false; // images: those of another size than the field's rows are stretched, else refused
  /// Files of rows: the rows are put into an order fixed by splitSeed alone (a permutation by the counter-based
  /// generator; tables are often sorted by class), then split > 0 takes the first floor(split·rows), split < 0 the rows
  /// that split = 1-|split| leaves (1797 rows: 0.8 → 1437, -0.2 → 360); 0 = all rows, in the file's order.
  double split = 0;
  /// fold > 0 takes fold `fold` of `folds` of the rows in the split's order, fold < 0 all others; 0 = all.
  int32_t fold = 0;
  int32_t folds = 0;
  uint64_t splitSeed = 0;
  std::vector<std::vector<uint8_t>> table; // table: the bytes of each field, row-major
  uint64_t rows = 0; // table, generate: number of examples; npy, npz, cifar, images, text: as compiled, before a split
  uint32_t generateEntry = 0; // generate: index into Plan::entries
  uint64_t seed = 0;          // generate
  bool fresh = false;         // generate: computed anew for each batch; nothing is kept
  uint64_t knownRows = 0;     // > 0: the program was compiled with this number of examples in its numbers
  int64_t batch = 1;
  bool shuffle = false;
  std::vector<Statistic> statistics;
};

struct Patience {
  uint32_t epochs = 0;      // 0 = no early stopping
  std::string metric;       // "te.loss"
  bool restoreBest = false; // at the end of the phase the parameters are those of its best epoch
};

/// The number of times that a metric has not improved for so many epochs, in a state that schedules read.
struct Plateau {
  uint32_t epochs = 0; // 0 = none
  std::string metric;
  uint32_t persistent = 0; // an i32
};

/// One `step` statement. Its k-th turn in a phase runs the entry cycle[k mod the cycle's length]: entries of one
/// statement differ in what they minimise.
struct Turn {
  std::vector<uint32_t> cycle; // indices into Plan::entries; not empty
};

/// Tensors taken from a checkpoint when a phase starts, matched by path: TARGET.rest from SOURCE.rest.
struct InitRule {
  std::string target;
  std::string path;
  std::string source;
};

/// A part of a training program with its own steps. An epoch lets each step statement run in turns until every example
/// of the longest source was used.
struct Phase {
  std::string name;            // "" in a program without phases
  std::vector<Turn> turns;     // none: there is nothing to train
  std::vector<uint32_t> evals; // indices into Plan::entries
  uint64_t epochs = 0;         // exactly one of epochs and steps is > 0 where there is a turn
  uint64_t steps = 0;
  Patience patience;
  Plateau plateau;
  std::vector<InitRule> inits;
  bool keepStart = false; // its generated data depends on values that it changes: those of its start are kept
};

struct CheckpointRule {
  std::string path;          // "" = none
  Every every;               // steps and epochs of all phases
  std::string best;          // "te.acc": keep the best too, beside the path with ".best"; "" = none
  bool bestIsLargest = true; // false for metrics named loss or error
};

/// A file with a part of the parameters and states.
struct PartRule {
  std::string path;
  std::string part; // "net.enc"
  Every every;
};

/// A name of a sweep, with its value in one of the combinations.
struct Setting {
  std::string name;
  std::string value;
};

struct Plan {
  std::string program;          // name of the train block
  std::vector<Setting> variant; // in the order of the sweep; empty: the program has none
  std::string directory;        // absolute directory of the source file
  std::string fingerprint;      // hash of the compiled program: checkpoints of other programs are refused with a reason
  std::string target;           // "x86-64-v3": what the machine code needs
  std::string compilerVersion;
  uint64_t persistentBytes = 0;
  uint64_t arenaBytes = 0;
  std::vector<Persistent> persistents;
  std::vector<Entry> entries;
  std::vector<Source> sources;
  uint64_t seed = 0;
  std::vector<Phase> phases; // in order, at least one
  CheckpointRule checkpoint;
  std::vector<PartRule> parts;
};

/// A file's name for one combination of a sweep: "run.ckpt" becomes "run.lr=0.01,seed=2.ckpt".
std::string variantPath(const Plan& plan, const std::string& path);

/// Deterministic bytes; decode(encode(p)) == p. Decode refuses bytes of another version and never reads past the end.
std::vector<uint8_t> encode(const Plan& plan);
bool decode(const uint8_t* bytes, uint64_t size, Plan& plan, std::string& error);

} // namespace dnn::plan
