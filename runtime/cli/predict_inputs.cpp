// The inputs of a prediction, from their files.
#include "runtime/cli/predict_files.h"
#include "runtime/cli/predict_paths.h"
#include "runtime/data/csv.h"
#include "runtime/data/loaders.h"
#include "runtime/data/npy.h"
#include "runtime/data/tokens.h"
#include "runtime/support/extent.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <optional>

namespace dnn::runtime {

namespace {

using plan::Entry;

using plan::Port;

unsigned long long u(uint64_t value) { return value; }

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

} // namespace dnn::runtime
