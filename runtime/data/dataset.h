// The examples of a source: in memory, or as rows of files.
#pragma once

#include "runtime/data/elements.h"
#include "runtime/data/row_files.h"
#include "runtime/machine/machine.h"

#include <map>
#include <memory>
#include <optional>

namespace dnn::runtime {

struct Dataset {
  uint64_t rows = 0;
  std::vector<Column> fields;    // in the order of the source's fields
  std::optional<size_t> lengths; // the field that says how long an example's sequences are, an i32; always in memory
  /// What has the rows of the fields that stay in files; their columns hold nothing. `taken` says which rows of the
  /// files the examples are (empty: all).
  std::vector<std::unique_ptr<RowFiles>> files;
  std::vector<uint32_t> taken;
  /// Computed anew for each batch; the fields hold nothing.
  const plan::Source* fresh = nullptr;
  mutable std::vector<uint8_t> batch; // of fresh data, on its way from one entry to another
};

/// `--data NAME=PATH`: paths (as given, relative to the working folder) that replace those in the program.
using DataOverrides = std::map<std::string, std::vector<std::string>>;

/// The files of a source: those that were given for it, or else those of the program.
std::vector<std::string> pathsOf(const plan::Plan& plan, const plan::Source& source, const DataOverrides& overrides);

/// Reads a source that is no `generate`: its files, or its table, and of these the part that it takes. Of the values at
/// most `memory` bytes are kept where the form of the files allows it. The source must outlive the data.
Status readExamples(const plan::Source& source, const std::vector<std::string>& paths, uint64_t memory, Dataset& data);

class LoadAhead;

/// Loads sources when they are first needed and keeps them.
class DataStore {
public:
  /// All sources together keep at most `memory` bytes of values of files, where the form of the files allows it.
  /// `ahead`, if any, has read some of them with the same overrides, and outlives the store.
  DataStore(Machine& machine, DataOverrides overrides, uint64_t memory = defaultDataMemory(),
            LoadAhead* ahead = nullptr)
      : machine_(machine), overrides_(std::move(overrides)), memory_(memory), ahead_(ahead) {}

  /// `data` stays valid as long as the store. Errors name the file, the place and the value.
  Status load(const std::string& source, const Dataset*& data);

private:
  Machine& machine_;
  DataOverrides overrides_;
  uint64_t memory_; // left for the next ones
  LoadAhead* ahead_;
  std::map<std::string, std::unique_ptr<Dataset>> loaded_;
};

/// Of `rows` rows in the order of a split, the part that a source takes: split > 0 the first floor(split·rows), split <
/// 0 the rows that 1 - |split| leaves, 0 all.
void splitRange(double split, uint64_t rows, uint64_t& first, uint64_t& count);

/// The rows of a file that a source takes, in their order: part of a split, a fold, all but a fold, or all.
void takenRows(const plan::Source& source, uint64_t rows, std::vector<uint32_t>& taken);

} // namespace dnn::runtime
