// The results of a prediction, into files or to the terminal.
#include "runtime/cli/predict_files.h"
#include "runtime/cli/predict_paths.h"
#include "runtime/data/npy.h"
#include "runtime/data/tokens.h"
#include "runtime/support/extent.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"

#include <cstdio>
#include <cstdlib>

namespace dnn::runtime {

namespace {

using plan::Entry;

using plan::Port;

unsigned long long u(uint64_t value) { return value; }

/// The tokens of all rows, one behind the other; rows of a text whose examples are lines become lines.
Status writeText(const plan::Plan& plan, const std::string& path, const Port& port, const Column& column,
                 const PredictRows& rows) {
  const plan::Source* source = nullptr;
  if (Status status = findText(plan, port, path, source); !status.ok()) {
    return status;
  }
  Tokenizer tokenizer(*source);
  auto width = static_cast<uint64_t>(byteSize(column.dtype));
  std::string text;
  auto decode = [&](uint64_t from, uint64_t to) {
    for (uint64_t at = from; at < to; at += width) {
      std::string value = valueText(fileType(column.dtype), column.bytes.data() + at);
      tokenizer.decode(std::strtoll(value.c_str(), nullptr, 10), text);
    }
  };
  if (port.varying.empty() || !port.batched || port.dims.size() != 1) {
    decode(0, column.bytes.size());
    return writeFileAtomically(path, text.data(), text.size());
  }
  std::string all;
  for (uint64_t row = 0; row < rows.count; ++row) {
    auto own = static_cast<uint64_t>(rowDims(port, 0, rows.lengthsOf(row))[0]);
    text.clear(); // blanks between words are those within a row
    decode(row * column.rowBytes, row * column.rowBytes + own * width);
    bool blank = !source->text.lines && source->text.unit == plan::TextRule::Unit::Word && row > 0;
    all += (blank ? " " : "") + text + (source->text.lines ? "\n" : "");
  }
  text = std::move(all);
  return writeFileAtomically(path, text.data(), text.size());
}

/// Results side by side; a result with several values a row becomes NAME_0, NAME_1, ….
std::string csvText(const std::vector<const Port*>& ports, const std::vector<const Column*>& columns, uint64_t rows) {
  std::string text;
  for (size_t p = 0; p < ports.size(); ++p) {
    const Port* port = ports[p];
    uint64_t count = 0;
    elementCount(columns[p]->dims, count);
    for (uint64_t i = 0; i < count; ++i) {
      text += text.empty() ? "" : ",";
      text += port->dims.empty() ? port->name : format("%s_%llu", port->name.c_str(), u(i));
    }
  }
  text += '\n';
  for (uint64_t row = 0; row < rows; ++row) {
    bool first = true;
    for (const Column* column : columns) {
      auto width = static_cast<uint64_t>(plan::byteSize(column->dtype));
      for (uint64_t at = 0; at < column->rowBytes; at += width) {
        text += first ? "" : ",";
        text += valueText(fileType(column->dtype), column->bytes.data() + row * column->rowBytes + at);
        first = false;
      }
    }
    text += '\n';
  }
  return text;
}

} // namespace

Status writeOutputs(const plan::Plan& plan, const Entry& entry, const Options& options,
                    const std::vector<Column>& outputs, const PredictRows& predicted) {
  uint64_t rows = predicted.count;
  auto writeCsv = [&](const std::string& path, const std::vector<size_t>& chosen) {
    std::vector<const Port*> ports;
    std::vector<const Column*> columns;
    uint64_t lines = 1;
    for (size_t i : chosen) {
      ports.push_back(&entry.outputs[i]);
      columns.push_back(&outputs[i]);
      uint64_t mine = entry.outputs[i].batched ? rows : 1;
      if (columns.size() > 1 && mine != lines) {
        return failure(ExitCode::Usage,
                       "the results of predict %s have different numbers of rows; write each to its "
                       "own file with --out NAME=PATH",
                       entry.name.c_str());
      }
      lines = mine;
    }
    std::string text = csvText(ports, columns, lines);
    if (!path.empty()) {
      return writeFileAtomically(path, text.data(), text.size());
    }
    bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    return written ? success() : failure(ExitCode::Io, "cannot write to standard output");
  };
  std::vector<size_t> all;
  for (size_t i = 0; i < outputs.size(); ++i) {
    all.push_back(i);
  }
  if (options.outputs.empty()) {
    return writeCsv("", all);
  }
  if (options.outputs[0].name.empty() && !isNpy(options.outputs[0].path) && !isText(options.outputs[0].path)) {
    return writeCsv(options.outputs[0].path, all);
  }
  if (options.outputs[0].name.empty() && outputs.size() > 1) {
    return failure(ExitCode::Usage,
                   "a .npy or .txt file holds one result and predict %s has %zu; use --out NAME=PATH for "
                   "each: %s",
                   entry.name.c_str(), outputs.size(), namesOf(entry.outputs).c_str());
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const NamedPath* path = pathOf(options.outputs, entry.outputs[i].name);
    if (path == nullptr) {
      continue; // not asked for
    }
    Status status;
    if (isNpy(path->path)) {
      std::vector<int64_t> dims = outputs[i].dims;
      if (entry.outputs[i].batched) {
        dims.insert(dims.begin(), static_cast<int64_t>(rows));
      }
      std::vector<uint8_t> file = writeNpy(outputs[i].dtype, dims, outputs[i].bytes.data());
      status = writeFileAtomically(path->path, file.data(), file.size());
    } else if (isText(path->path)) {
      status = writeText(plan, path->path, entry.outputs[i], outputs[i], predicted);
    } else {
      status = writeCsv(path->path, {i});
    }
    if (!status.ok()) {
      return status;
    }
  }
  return success();
}

} // namespace dnn::runtime
