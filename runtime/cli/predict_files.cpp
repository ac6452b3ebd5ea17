#include "runtime/cli/predict_files.h"

#include "runtime/data/csv.h"
#include "runtime/data/loaders.h"
#include "runtime/data/npy.h"
#include "runtime/data/tokens.h"
#include "runtime/support/extent.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <sys/stat.h>

namespace dnn::runtime {

namespace {

using plan::Entry;
using plan::Port;

unsigned long long u(uint64_t value) { return value; }

bool isNpy(const std::string& path) { return path.ends_with(".npy"); }
bool isText(const std::string& path) { return path.ends_with(".txt"); }

bool isImages(const std::string& path) {
  struct stat what = {};
  std::string lower = path;
  std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  return lower.ends_with(".png") || lower.ends_with(".jpg") || lower.ends_with(".jpeg") ||
         (stat(path.c_str(), &what) == 0 && S_ISDIR(what.st_mode));
}

/// The source whose vocabulary the port's tokens belong to.
Status findText(const plan::Plan& plan, const Port& port, const std::string& path, const plan::Source*& text) {
  for (const plan::Source& source : plan.sources) {
    if (!port.text.empty() && source.name == port.text) {
      text = &source;
      return success();
    }
  }
  return failure(
      ExitCode::Usage,
      "`%s` would be text, but `%s` is no text: its type does not say `< SOURCE.vocab`; give it as .npy or csv",
      path.c_str(), port.name.c_str());
}

/// What the extents of an input's rows say of the lengths of its sequences. False: they do not fit.
bool findLengths(const Port& port, const std::vector<int64_t>& found, std::vector<int64_t>& lengths) {
  bool fits = found.size() == port.dims.size();
  for (const plan::VaryingExtent& extent : port.varying) {
    bool bare = extent.constant == 0 && extent.terms.size() == 1 && extent.terms[0].factor == 1;
    if (fits && bare && extent.terms[0].symbol > 0) {
      lengths[extent.terms[0].symbol - 1] = found[extent.dim];
    }
  }
  std::vector<int64_t> dims = fits ? rowDims(port, 0, lengths) : found;
  for (size_t d = 0; fits && d < dims.size(); ++d) {
    fits = dims[d] == found[d] && found[d] >= 1 && found[d] <= port.dims[d];
  }
  return fits;
}

/// The rows of the column have these extents.
void setRows(Column& column, const std::vector<int64_t>& dims) {
  column.dims = dims;
  column.rowBytes = column.stride = byteCount(column.dtype, dims);
  column.placeBytes = 0;
  column.starts.clear();
}

/// The tokens of a file as sequences: its lines if those are the examples of the text, else pieces as long as the input
/// takes, the last one shorter.
Status readSequences(const plan::Source& source, std::string_view text, const std::string& path, const Port& port,
                     Column& column, uint64_t& rows) {
  if (port.dims.size() != 1 || !port.batched) {
    return failure(ExitCode::Usage, "input `%s` is no row of tokens, so it cannot come from a text; give it as .npy",
                   port.name.c_str());
  }
  std::vector<int32_t> tokens;
  std::vector<uint64_t> starts;
  Tokenizer tokenizer(source);
  if (source.text.lines) {
    if (Status status = tokenizer.encodeLines(text, path, port.dims[0], tokens, starts); !status.ok()) {
      return status;
    }
  } else {
    if (Status status = tokenizer.encode(text, path, tokens); !status.ok()) {
      return status;
    }
    for (uint64_t at = 0; at < tokens.size(); at += static_cast<uint64_t>(port.dims[0])) {
      starts.push_back(at);
    }
    starts.push_back(tokens.size());
  }
  uint64_t bad = 0;
  convertInto(FileType::I32, reinterpret_cast<const uint8_t*>(tokens.data()), tokens.size(), column, bad);
  column.starts = std::move(starts);
  for (uint64_t& start : column.starts) {
    start *= column.placeBytes;
  }
  rows = column.starts.size() - 1;
  return success();
}

/// The tokens of the whole file, as many a row as the input takes.
Status readTextInput(const plan::Plan& plan, const std::string& path, const Port& port, Column& column,
                     uint64_t& rows) {
  const plan::Source* source = nullptr;
  if (Status status = findText(plan, port, path, source); !status.ok()) {
    return status;
  }
  std::vector<uint8_t> file;
  if (Status status = readFile(path, file); !status.ok()) {
    return status;
  }
  std::vector<int32_t> tokens;
  std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  text = withoutMark(text, source->text.unit);
  if (!port.varying.empty()) {
    return readSequences(*source, text, path, port, column, rows);
  }
  if (Status status = Tokenizer(*source).encode(text, path, tokens); !status.ok()) {
    return status;
  }
  uint64_t perRow = 0;
  elementCount(port.dims, perRow);
  rows = port.batched ? tokens.size() / std::max<uint64_t>(perRow, 1) : 1;
  if (rows * perRow != tokens.size()) {
    return failure(ExitCode::BadInput, "`%s` has %zu tokens; input `%s` takes %llu%s", path.c_str(), tokens.size(),
                   port.name.c_str(), u(perRow), port.batched ? ", or a multiple of that" : "");
  }
  uint64_t bad = 0;
  convertInto(FileType::I32, reinterpret_cast<const uint8_t*>(tokens.data()), tokens.size(), column, bad);
  return success();
}

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

std::string namesOf(const std::vector<Port>& ports) {
  std::string names;
  for (const Port& port : ports) {
    names += (names.empty() ? "" : ", ") + port.name + ": " + describe(port.dtype, port.dims) +
             (port.batched ? " a row" : "");
  }
  return names;
}

/// The path given for a port: by name, or the only one without a name if there is one.
const NamedPath* pathOf(const std::vector<NamedPath>& paths, const std::string& port) {
  for (const NamedPath& path : paths) {
    if (path.name == port) {
      return &path;
    }
  }
  return paths.size() == 1 && paths[0].name.empty() ? &paths[0] : nullptr;
}

Status readNpyInput(const std::string& path, const Port& port, Column& column, uint64_t& rows,
                    std::vector<int64_t>& lengths) {
  std::vector<uint8_t> file;
  if (Status status = readFile(path, file); !status.ok()) {
    return status;
  }
  FileArray array;
  if (Status status = readNpy(file.data(), file.size(), path, array); !status.ok()) {
    return status;
  }
  std::vector<int64_t> rowDims = array.dims;
  rows = 1;
  bool fits = true;
  if (port.batched) {
    fits = !rowDims.empty();
    rows = fits ? static_cast<uint64_t>(rowDims[0]) : 0;
    rowDims.erase(rowDims.begin(), rowDims.begin() + (fits ? 1 : 0));
  }
  bool sized = port.varying.empty() ? rowDims == port.dims : findLengths(port, rowDims, lengths);
  if (!fits || !sized) {
    return failure(
        ExitCode::BadInput, "`%s` is %s; input `%s` needs %s%s", path.c_str(),
        describe(widened(array.type), array.dims).c_str(), port.name.c_str(), describe(port.dtype, port.dims).c_str(),
        std::string(port.varying.empty() ? "" : " at most").append(port.batched ? " for each row" : "").c_str());
  }
  if (!port.varying.empty()) {
    setRows(column, rowDims);
  }
  uint64_t bad = 0;
  if (!convertInto(array.type, array.values.data(), array.count, column, bad)) {
    const uint8_t* value = array.values.data() + bad * static_cast<uint64_t>(byteSize(array.type));
    return failure(ExitCode::BadInput, "`%s`, element %llu: %s is no value of type %s, which input `%s` has",
                   path.c_str(), u(bad), valueText(array.type, value).c_str(), name(port.dtype), port.name.c_str());
  }
  std::string reason;
  if (findBadValue(column, port.bound, bad, reason)) {
    return failure(ExitCode::BadInput, "`%s`, element %llu: the value of input `%s` %s", path.c_str(), u(bad),
                   port.name.c_str(), reason.c_str());
  }
  return success();
}

/// An image, or those of a folder in the order of their names: stretched if the program stretches its own to this size.
Status readImagesInput(const plan::Plan& plan, const std::string& path, const Port& port, Column& column,
                       uint64_t& rows) {
  std::vector<int64_t> dims = port.dims;
  if (dims.size() == 2) {
    dims.push_back(1);
  }
  bool fits = port.batched && port.dtype == plan::DType::U8 && port.bound == 0 && dims.size() == 3 &&
              (dims[2] == 1 || dims[2] == 3 || dims[2] == 4);
  if (!fits) {
    return failure(ExitCode::Usage,
                   "`%s` would be images; input `%s` needs %s%s, and images are u8[height, width, 1, 3 or 4] a row",
                   path.c_str(), port.name.c_str(), describe(port.dtype, port.dims).c_str(),
                   port.batched ? " for each row" : "");
  }
  if (dnn_load_images == nullptr) {
    return failure(ExitCode::Usage,
                   "`%s`: the program of this executable reads no images, so it cannot decode any; give it as .npy, or "
                   "use `dnnc run`",
                   path.c_str());
  }
  plan::Source images;
  images.kind = plan::Source::Kind::Images;
  images.name = port.name;
  images.labels = 0;
  images.fields = {port};
  images.fields[0].dims = dims;
  images.resize = std::ranges::any_of(plan.sources, [&](const plan::Source& source) {
    return source.kind == plan::Source::Kind::Images && source.resize && source.fields[0].dims == dims;
  });
  Dataset data;
  data.fields.resize(1);
  makeColumn(images.fields[0], data.fields[0]);
  if (Status status = dnn_load_images(images, {path}, UINT64_MAX, data); !status.ok()) {
    return status;
  }
  column.bytes = std::move(data.fields[0].bytes);
  rows = data.rows;
  return success();
}

/// The columns that the program's own csv sources have for a field like this input; null if there are none in `header`.
const plan::CsvField* columnsOf(const plan::Plan& plan, const Port& port, const std::vector<std::string>& header) {
  auto has = [&](const std::string& column) { return std::find(header.begin(), header.end(), column) != header.end(); };
  for (const plan::Source& source : plan.sources) {
    for (size_t i = 0; i < source.columns.size() && i < source.fields.size(); ++i) {
      const plan::CsvField& columns = source.columns[i];
      bool here = std::all_of(columns.runs.begin(), columns.runs.end(),
                              [&](const plan::CsvRun& run) { return has(run.first) && has(run.last); });
      bool alike = port.varying.empty() ? source.fields[i].dims == port.dims : columns.tokens;
      if (source.fields[i].name == port.name && alike && here) {
        return &columns;
      }
    }
  }
  return nullptr;
}

Status readCsvInput(const plan::Plan& plan, const std::string& path, const Port& declared, Column& column,
                    uint64_t& rows, std::vector<int64_t>& lengths) {
  Port port = declared;
  if (!port.batched) {
    return failure(ExitCode::Usage, "input `%s` has no rows, so it cannot come from csv; give it as .npy",
                   port.name.c_str());
  }
  std::shared_ptr<InputFile> file;
  if (Status status = InputFile::open(path, file); !status.ok()) {
    return status;
  }
  CsvReader reader(TextWindow(std::move(file)), path);
  std::vector<std::string> header;
  if (Status status = readCsvHeader(reader, path, header); !status.ok()) {
    return status;
  }
  const plan::CsvField* known = columnsOf(plan, port, header);
  const plan::Source* texts = nullptr;
  if (known != nullptr && known->tokens) {
    if (Status status = findText(plan, port, path, texts); !status.ok()) {
      return status;
    }
  } else if (!port.varying.empty()) { // as many as the file has columns
    port.dims = {static_cast<int64_t>(header.size())};
    if (!findLengths(declared, port.dims, lengths)) {
      return failure(ExitCode::BadInput, "`%s` has %zu columns; input `%s` needs %s at most for each row", path.c_str(),
                     header.size(), port.name.c_str(), describe(declared.dtype, declared.dims).c_str());
    }
    setRows(column, port.dims);
    port.varying.clear();
  }
  plan::CsvField all{.runs = {{header.front(), header.back()}}};
  CsvSelection selection;
  std::vector<plan::CsvField> chosen = {known != nullptr ? *known : all};
  if (Status status = selectCsvColumns(header, path, {port}, chosen, selection); !status.ok()) {
    return status;
  }
  std::optional<Tokenizer> tokenizer;
  if (texts != nullptr) {
    selection.tokenizer = &tokenizer.emplace(*texts);
  }
  std::vector<Column> columns{column};
  Status status = readCsvRows(reader, path, header, {port}, selection, columns, rows);
  column = std::move(columns[0]);
  return status;
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

/// How long the sequences of each row are, by all inputs that have any; then the inputs that are these lengths.
Status findRowLengths(const Entry& entry, const std::vector<std::vector<int64_t>>& ofFile, std::vector<Column>& inputs,
                      PredictRows& rows) {
  for (size_t k = 0; k < entry.lengths.size(); ++k) {
    std::vector<int64_t>& lengths = rows.lengths.emplace_back(rows.count, 0);
    std::string firstName;
    for (size_t i = 0; i < inputs.size(); ++i) {
      bool own = inputs[i].placeBytes > 0 && entry.inputs[i].varying[0].terms[0].symbol == k + 1;
      for (uint64_t row = 0; (own || ofFile[i][k] > 0) && row < rows.count; ++row) {
        auto length = own ? static_cast<int64_t>(inputs[i].bytesOf(row) / inputs[i].placeBytes) : ofFile[i][k];
        if (lengths[row] != 0 && lengths[row] != length) {
          return failure(ExitCode::BadInput, "row %llu of input `%s` has the length %lld, that of input `%s` %lld",
                         u(row), firstName.c_str(), static_cast<long long>(lengths[row]), entry.inputs[i].name.c_str(),
                         static_cast<long long>(length));
        }
        lengths[row] = length;
      }
      firstName = firstName.empty() && (own || ofFile[i][k] > 0) ? entry.inputs[i].name : firstName;
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (entry.inputs[i].lengthOf != k + 1) {
        continue;
      }
      bool given = !inputs[i].bytes.empty();
      for (uint64_t row = 0; row < rows.count; ++row) {
        auto length = static_cast<int32_t>(lengths[row]);
        if (!given) {
          const auto* bytes = reinterpret_cast<const uint8_t*>(&length);
          inputs[i].bytes.insert(inputs[i].bytes.end(), bytes, bytes + sizeof length);
        } else if (numberAt(plan::DType::I32, inputs[i].bytes.data(), row) > static_cast<double>(length)) {
          return failure(ExitCode::BadInput, "row %llu of input `%s` is more than the length of the row, %d", u(row),
                         entry.inputs[i].name.c_str(), length);
        }
      }
    }
  }
  return success();
}

} // namespace

Status checkNames(const char* flag, const std::vector<NamedPath>& paths, const std::vector<Port>& ports) {
  for (const NamedPath& path : paths) {
    auto same = [&](const Port& port) { return port.name == path.name; };
    if (!path.name.empty() && std::none_of(ports.begin(), ports.end(), same)) {
      return failure(ExitCode::Usage, "--%s: there is no `%s`; there is %s", flag, printable(path.name).c_str(),
                     namesOf(ports).c_str());
    }
    if (path.name.empty() && paths.size() > 1) {
      return failure(ExitCode::Usage, "--%s: with several files each needs a name: --%s NAME=%s", flag, flag,
                     path.path.c_str());
    }
  }
  return success();
}

Status readInputs(Machine& machine, const Entry& entry, const Options& options, std::vector<Column>& inputs,
                  PredictRows& predicted) {
  // A prediction without rows in its inputs (it only draws) fills one batch.
  uint64_t rows = static_cast<uint64_t>(entry.batch);
  const Port* first = nullptr;
  std::vector<std::vector<int64_t>> ofFile; // of each input's rows, or of all of them
  for (const Port& port : entry.inputs) {
    bool onlyOne = std::ranges::count(entry.inputs, 0U, &Port::lengthOf) == 1;
    const NamedPath* path = pathOf(options.inputs, port.name);
    ofFile.emplace_back(entry.lengths.size(), 0);
    if (port.lengthOf > 0 && (path == nullptr || (path->name.empty() && onlyOne))) {
      makeColumn(port, inputs.emplace_back()); // filled below
      continue;
    }
    if (path == nullptr) {
      return failure(ExitCode::Usage, "predict %s needs --in %s=PATH; its inputs are %s", entry.name.c_str(),
                     port.name.c_str(), namesOf(entry.inputs).c_str());
    }
    Column& column = inputs.emplace_back();
    makeColumn(port, column);
    uint64_t found = 0;
    Status status = isNpy(path->path)    ? readNpyInput(path->path, port, column, found, ofFile.back())
                    : isText(path->path) ? readTextInput(machine.plan(), path->path, port, column, found)
                    : isImages(path->path)
                        ? readImagesInput(machine.plan(), path->path, port, column, found)
                        : readCsvInput(machine.plan(), path->path, port, column, found, ofFile.back());
    if (!status.ok()) {
      return status;
    }
    if (port.batched && first != nullptr && found != rows) {
      return failure(ExitCode::BadInput, "input `%s` has %llu rows, input `%s` has %llu; they must be equal",
                     first->name.c_str(), u(rows), port.name.c_str(), u(found));
    }
    if (port.batched && first == nullptr) {
      first = &port;
      rows = found;
    }
  }
  if (entry.batch > 0 && rows == 0) {
    return failure(ExitCode::BadInput, "the input of predict %s has no rows", entry.name.c_str());
  }
  predicted.count = rows;
  return findRowLengths(entry, ofFile, inputs, predicted);
}

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
