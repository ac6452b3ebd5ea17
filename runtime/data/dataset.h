// The examples of a source in memory, and the way of a batch into an entry's input ports.
#pragma once

#include "runtime/data/elements.h"
#include "runtime/data/row_file.h"
#include "runtime/machine/machine.h"

#include <map>
#include <memory>
#include <optional>

namespace dnn::runtime {

struct Dataset {
  uint64_t rows = 0;
  std::vector<Column> fields;    // in the order of the source's fields
  std::optional<size_t> lengths; // the field that says how long an example's sequences are, an i32
  /// Of each field, if its rows stay in their file; then the column holds nothing, and `taken` says which rows of the
  /// file the examples are (empty: all).
  std::vector<std::unique_ptr<RowFile>> files;
  std::vector<uint32_t> taken;
  /// Computed anew for each batch; the fields hold nothing.
  const plan::Source* fresh = nullptr;
  mutable std::vector<uint8_t> batch; // of fresh data, on its way from one entry to another
};

/// `--data NAME=PATH`: paths (as given, relative to the working folder) that replace those in the program.
using DataOverrides = std::map<std::string, std::vector<std::string>>;

/// Reads a source that is no `generate`: its files, or its table, and of these the part that it takes.
Status readExamples(const plan::Source& source, const std::vector<std::string>& paths, uint64_t streamFrom,
                    Dataset& data);

/// Loads sources when they are first needed and keeps them.
class DataStore {
public:
  DataStore(Machine& machine, DataOverrides overrides) : machine_(machine), overrides_(std::move(overrides)) {}

  /// Files of at least so many bytes stay where they are, if their form allows it.
  uint64_t streamFrom = streamedFrom();

  /// `data` stays valid as long as the store. Errors name the file, the place and the value.
  Status load(const std::string& source, const Dataset*& data);

private:
  Machine& machine_;
  DataOverrides overrides_;
  std::map<std::string, std::unique_ptr<Dataset>> loaded_;
};

/// Where in an entry's input ports examples go, from which input on and behind how many examples; and in which epoch.
struct BatchPlace {
  size_t input = 0;
  uint64_t row = 0;
  uint64_t epoch = 0;
  bool made = false; // fresh data lies ready
  /// Places that all sequences of the batch take, padded with zeros; 0: as many as the longest of these examples has.
  int64_t length = 0;
};

/// Of `rows` rows in the order of a split, the part that a source takes: split > 0 the first floor(split·rows), split <
/// 0 the rows that 1 - |split| leaves, 0 all.
void splitRange(double split, uint64_t rows, uint64_t& first, uint64_t& count);

/// The rows of a file that a source takes, in their order: part of a split, a fold, all but a fold, or all.
void takenRows(const plan::Source& source, uint64_t rows, std::vector<uint32_t>& taken);

/// Row `row` of a field, in the data's memory or read into `scratch`.
Status rowOf(const Dataset& data, size_t field, uint64_t row, std::vector<uint8_t>& scratch, const uint8_t*& at);

/// The length of an example's sequences, and of the longest of order[first], … (or first, … if `order` is null); 0 if
/// the data has none.
int64_t lengthOf(const Dataset& data, uint64_t row);
int64_t longest(const Dataset& data, const uint32_t* order, uint64_t first, uint64_t count);

/// Puts a field of the examples order[first], order[first + 1], …, or, if `order` is null, first, first + 1, … behind
/// each other, sequences padded with zeros to `length` places. Not for fresh data.
Status gatherField(const Dataset& data, size_t field, const uint32_t* order, uint64_t first, uint64_t count,
                   int64_t length, uint8_t* to);

/// Tells the machine how long the sequences are that `data` has put into the entry's ports from `input` on.
void setLength(Machine& machine, const plan::Entry& entry, const Dataset& data, size_t input, int64_t length);

/// Puts `count` examples into the entry's input ports: those at order[first], order[first + 1], …, or, if `order` is
/// null, those at first, first + 1, …. Fresh data is a function of its seed, the epoch and the number of the batch
/// alone; computing it overwrites the arena, so where a step reads several sources it is made before anything is put.
Status gatherBatch(Machine& machine, const plan::Entry& entry, const Dataset& data, const uint32_t* order,
                   uint64_t first, uint64_t count, BatchPlace place = {});

/// Computes batch `number` of fresh data, which the next gatherBatch with `made` puts into its place.
Status makeFresh(Machine& machine, const Dataset& data, uint64_t number, uint64_t count, uint64_t epoch);

} // namespace dnn::runtime
