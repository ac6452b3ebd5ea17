// The way of examples from a dataset into an entry's input ports.
#pragma once

#include "runtime/data/dataset.h"

namespace dnn::runtime {

/// Where in an entry's input ports examples go, from which input on and behind how many examples; and in which epoch.
struct BatchPlace {
  size_t input = 0;
  uint64_t row = 0;
  uint64_t epoch = 0;
  bool made = false; // fresh data lies ready
  /// Places that all sequences of the batch take, padded with zeros; 0: as many as the longest of these examples has.
  int64_t length = 0;
};

/// What example `row` has in files; `values` may be used for one after the other.
Status readRow(const Dataset& data, uint64_t row, RowValues& values);
/// A field of this example, in the data's memory or where it was read.
const uint8_t* fieldOf(const Dataset& data, size_t field, uint64_t row, const RowValues& values);

/// The length of an example's sequences, and of the longest of order[first], … (or first, … if `order` is null); 0 if
/// the data has none.
int64_t lengthOf(const Dataset& data, uint64_t row);
int64_t longest(const Dataset& data, const uint32_t* order, uint64_t first, uint64_t count);

/// Puts the examples order[first], order[first + 1], …, or, if `order` is null, first, first + 1, … behind each other,
/// each field to its place, sequences padded with zeros to `length` places. Not for fresh data.
Status gatherExamples(const Dataset& data, const uint32_t* order, uint64_t first, uint64_t count, int64_t length,
                      const std::vector<uint8_t*>& to);

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
