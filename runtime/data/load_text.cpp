#include "runtime/data/loaders.h"
#include "runtime/data/row_index.h"
#include "runtime/data/text_pieces.h"
#include "runtime/data/tokens.h"

#include <algorithm>

namespace dnn::runtime {

using plan::Source;

namespace {

void appendTokens(const int32_t* tokens, uint64_t count, Column& column) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(tokens);
  column.bytes.insert(column.bytes.end(), bytes, bytes + count * sizeof(int32_t));
}

/// Parts of a text that are read from its file: each begins at a place of the index and ends with the next one.
class TextRows : public RowFiles {
public:
  TextRows(const Source& source, std::shared_ptr<InputFile> file, RowIndex index)
      : source_(source), tokenizer_(source), file_(std::move(file)), index_(std::move(index)) {
    file_->readAnywhere();
  }
  Status unchanged() const override { return file_->hasChanged() ? file_->changed() : success(); }

protected:
  uint64_t begin(uint64_t part) const { return part < index_.size() ? index_.at(part) : file_->size(); }
  Status readParts(uint64_t first, uint64_t count, RowValues& values, std::string_view& text) const {
    values.raw.resize(begin(first + count) - begin(first));
    text = {reinterpret_cast<const char*>(values.raw.data()), values.raw.size()};
    return file_->read(begin(first), values.raw.size(), values.raw.data());
  }
  void expectParts(uint64_t first, uint64_t count) const {
    file_->expect(begin(first), begin(first + count) - begin(first));
  }

  const Source& source_;
  Tokenizer tokenizer_;
  std::shared_ptr<InputFile> file_;

private:
  RowIndex index_;
};

/// The lines of a text.
class LineRows : public TextRows {
public:
  LineRows(const Source& source, std::shared_ptr<InputFile> file, RowIndex index)
      : TextRows(source, std::move(file), std::move(index)) {
    fields = {0};
  }

  Status read(uint64_t row, RowValues& values) const override {
    std::string_view text;
    if (Status status = readParts(row, 1, values, text); !status.ok()) {
      return status;
    }
    std::vector<int32_t> tokens;
    std::vector<uint64_t> starts;
    bool good = tokenizer_.encodeLines(text, "", source_.maxLength, tokens, starts).ok() && starts.size() == 2;
    values.fields[0].clear();
    appendTokens(tokens.data(), tokens.size(), values.fields[0]);
    return good ? success() : file_->changed();
  }
  void expect(uint64_t row) const override { expectParts(row, 1); }
};

/// Tokens of a text in a part of the index for windows: few enough to be read with each window, many enough that the
/// index is small.
constexpr uint64_t tokensOfPart = 256;

/// The windows of a text, of which the first begins at a token.
class WindowRows : public TextRows {
public:
  WindowRows(const Source& source, std::shared_ptr<InputFile> file, RowIndex index, uint64_t firstToken)
      : TextRows(source, std::move(file), std::move(index)), firstToken_(firstToken) {
    fields = {0, 1};
  }

  Status read(uint64_t row, RowValues& values) const override {
    std::string_view text;
    if (Status status = readParts(firstPart(row), parts(row), values, text); !status.ok()) {
      return status;
    }
    std::vector<int32_t> tokens;
    uint64_t at = firstTokenOf(row) % tokensOfPart;
    auto window = static_cast<uint64_t>(source_.text.window);
    if (!tokenizer_.encode(text, "", tokens).ok() || tokens.size() < at + window + 1) {
      return file_->changed();
    }
    for (size_t field = 0; field < 2; ++field) { // the window t and, one token further, the window u
      values.fields[field].clear();
      appendTokens(tokens.data() + at + field, window, values.fields[field]);
    }
    return success();
  }
  void expect(uint64_t row) const override { expectParts(firstPart(row), parts(row)); }

private:
  uint64_t firstTokenOf(uint64_t row) const { return firstToken_ + row * static_cast<uint64_t>(source_.text.stride); }
  uint64_t firstPart(uint64_t row) const { return firstTokenOf(row) / tokensOfPart; }
  uint64_t parts(uint64_t row) const {
    uint64_t last = firstTokenOf(row) + static_cast<uint64_t>(source_.text.window);
    return last / tokensOfPart - firstPart(row) + 1;
  }

  uint64_t firstToken_;
};

Status loadLines(const Source& source, std::shared_ptr<InputFile> file, uint64_t memory, Dataset& data) {
  Tokenizer tokenizer(source);
  TextPieces pieces(TextWindow(file), source.text);
  KeptRows kept(data.fields, memory, file->isRegular());
  Column& t = data.fields[0];
  RowIndex index;
  std::vector<int32_t> tokens;
  std::vector<uint64_t> starts;
  std::string_view piece;
  Status status;
  while (status.ok() && pieces.next(piece, status)) {
    tokens.clear();
    status = tokenizer.encodeLines(piece, file->path(), source.maxLength, tokens, starts, pieces.place());
    size_t line = 0;
    for (size_t i = 0; status.ok() && i + 1 < starts.size(); ++i) {
      index.add(pieces.offset() + line);
      line = piece.find('\n', line) + 1;
      appendTokens(tokens.data() + starts[i], starts[i + 1] - starts[i], t);
      t.starts.push_back(t.bytes.size());
      appendLength(t, t.starts.size() - 2, data.fields[1]);
    }
    kept.added();
  }
  data.rows = index.size();
  if (status.ok() && !kept.all()) {
    data.files.push_back(std::make_unique<LineRows>(source, std::move(file), std::move(index)));
  }
  return status;
}

Status loadWindows(const Source& source, std::shared_ptr<InputFile> file, uint64_t memory, Dataset& data) {
  Tokenizer tokenizer(source);
  TextPieces pieces(TextWindow(file), source.text);
  Column& t = data.fields[0];
  Column& u = data.fields[1];
  KeptRows kept(data.fields, memory, file->isRegular());
  RowIndex index;
  uint64_t all = 0;
  std::vector<int32_t> tokens;
  std::vector<uint32_t> places;
  std::string_view piece;
  Status status;
  while (status.ok() && pieces.next(piece, status)) {
    tokens.clear();
    places.clear();
    status = tokenizer.encode(piece, file->path(), tokens, pieces.place(), &places);
    for (uint64_t i = (tokensOfPart - all % tokensOfPart) % tokensOfPart; i < places.size(); i += tokensOfPart) {
      index.add(pieces.offset() + places[i]);
    }
    all += tokens.size();
    appendTokens(tokens.data(), tokens.size(), t);
    kept.added();
  }
  if (!status.ok()) {
    return status;
  }
  uint64_t first = 0;
  uint64_t count = 0;
  splitRange(source.split, all, first, count);
  auto window = static_cast<uint64_t>(source.text.window);
  auto stride = static_cast<uint64_t>(source.text.stride);
  if (count < window + 1) {
    return failure(ExitCode::BadInput, "`%s` has %llu tokens for `%s`; one example needs %llu", file->path().c_str(),
                   static_cast<unsigned long long>(count), source.name.c_str(),
                   static_cast<unsigned long long>(window + 1));
  }
  data.rows = (count - window - 1) / stride + 1;
  if (!kept.all()) {
    data.files.push_back(std::make_unique<WindowRows>(source, std::move(file), std::move(index), first));
    return success();
  }
  // Both windows are views of the tokens.
  t.bytes.resize((first + count) * sizeof(int32_t));
  t.bytes.erase(t.bytes.begin(), t.bytes.begin() + static_cast<int64_t>(first * sizeof(int32_t)));
  u.view = t.bytes.data() + sizeof(int32_t);
  t.stride = u.stride = stride * sizeof(int32_t);
  return success();
}

} // namespace

Status loadText(const Source& source, const std::vector<std::string>& paths, uint64_t memory, Dataset& data) {
  if (paths.size() != 1) {
    return failure(ExitCode::Usage, "`%s` reads one text, and %zu are given", source.name.c_str(), paths.size());
  }
  if (data.fields.size() != 2) {
    return failure(ExitCode::Internal, "the plan's text `%s` must have two fields", source.name.c_str());
  }
  std::shared_ptr<InputFile> file;
  if (Status status = InputFile::open(paths[0], file); !status.ok()) {
    return status;
  }
  return source.text.lines ? loadLines(source, std::move(file), memory, data)
                           : loadWindows(source, std::move(file), memory, data);
}

} // namespace dnn::runtime
