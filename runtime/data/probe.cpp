#include "runtime/data/probe.h"

#include "runtime/data/csv.h"
#include "runtime/data/decode_image.h"
#include "runtime/data/idx.h"
#include "runtime/data/image_folder.h"
#include "runtime/data/loaders.h"
#include "runtime/data/npy.h"
#include "runtime/data/tokens.h"
#include "runtime/data/zip.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"

#include <algorithm>

namespace dnn::runtime {

namespace {

using plan::Source;

/// Bytes of a file, or of what a compressed one holds, that have every sensible header in them.
constexpr uint64_t mostHeader = 1 << 20;

/// Sequences of numbers, none longer than `most`; and their lengths.
void describeSequence(plan::Port& field, int64_t most) {
  field.dtype = plan::DType::I32;
  field.dims = {most};
  field.varying = {{0, 0, {{1, 1}}}};
}

void describeLengths(plan::Port& field, int64_t most) {
  field.dtype = plan::DType::I32;
  field.bound = most + 1;
  field.lengthOf = 1;
}

/// The type of a field whose array this is.
Status takeType(const FileArray& array, const std::string& name, plan::Port& field, uint64_t& rows) {
  if (array.dims.empty() || array.dims[0] == 0) {
    return failure(ExitCode::BadInput, "%s has no rows", name.c_str());
  }
  plan::DType type = widened(array.type);
  if (field.bound > 0 && (type == plan::DType::F32 || type == plan::DType::F64)) {
    return failure(ExitCode::BadInput, "%s has values of type %s; only integers are classes", name.c_str(),
                   dnn::runtime::name(type));
  }
  field.dtype = field.bound > 0 ? plan::DType::I32 : type;
  field.dims.assign(array.dims.begin() + 1, array.dims.end());
  if (rows != 0 && rows != static_cast<uint64_t>(array.dims[0])) {
    return failure(ExitCode::BadInput, "%s has %lld rows, the field before it has %llu; they must be equal",
                   name.c_str(), static_cast<long long>(array.dims[0]), static_cast<unsigned long long>(rows));
  }
  rows = static_cast<uint64_t>(array.dims[0]);
  return success();
}

Status probeNpy(const std::vector<std::string>& paths, Source& source, uint64_t& rows) {
  for (size_t i = 0; i < paths.size(); ++i) {
    std::vector<uint8_t> file;
    FileArray array;
    Status status = readFile(paths[i], file, mostHeader);
    status = status.ok() ? readNpyHeader(file.data(), file.size(), paths[i], array) : status;
    status = status.ok() ? takeType(array, "`" + paths[i] + "`", source.fields[i], rows) : status;
    if (!status.ok()) {
      return status;
    }
  }
  return success();
}

Status probeNpz(const std::string& path, Source& source, uint64_t& rows) {
  std::vector<uint8_t> file;
  std::vector<ZipMember> members;
  Status status = readFile(path, file);
  status = status.ok() ? readZip(file.data(), file.size(), path, members) : status;
  auto headerOf = [&](const std::string& name, FileArray& array) {
    const ZipMember* member = nullptr;
    std::vector<uint8_t> start;
    Status found = findNpzArray(members, name, path, member);
    found = found.ok() ? unzip(file.data(), *member, path, start, mostHeader) : found;
    return found.ok() ? readNpyHeader(start.data(), start.size(), member->name, array) : found;
  };
  for (size_t i = 0; i < source.fields.size() && status.ok(); ++i) {
    plan::Port& field = source.fields[i];
    if (field.lengthOf > 0) {
      describeLengths(field, source.maxLength);
      continue;
    }
    bool ragged = i < source.offsets.size() && !source.offsets[i].empty();
    FileArray array;
    uint64_t places = 0; // of all sequences
    status = headerOf(source.members[i], array);
    status = status.ok()
                 ? takeType(array, "`" + source.members[i] + "` in `" + path + "`", field, ragged ? places : rows)
                 : status;
    if (ragged && status.ok()) {
      field.dims.insert(field.dims.begin(), source.maxLength);
      field.varying = {{0, 0, {{1, 1}}}};
      FileArray offsets;
      status = headerOf(source.offsets[i], offsets);
      bool fits = status.ok() && offsets.dims.size() == 1 && offsets.dims[0] > 1 &&
                  (rows == 0 || rows + 1 == static_cast<uint64_t>(offsets.dims[0]));
      if (status.ok() && !fits) {
        status = failure(ExitCode::BadInput, "`%s` in `%s` must have one number more than there are rows",
                         source.offsets[i].c_str(), path.c_str());
      }
      rows = fits ? static_cast<uint64_t>(offsets.dims[0]) - 1 : rows;
    }
  }
  return status;
}

Status probeCifar(const std::vector<std::string>& paths, Source& source, uint64_t& rows) {
  uint64_t record = source.labels + uint64_t{3 * 32 * 32};
  for (const std::string& path : paths) {
    std::vector<uint8_t> file;
    Status status = readFile(path, file);
    status = status.ok() ? checkCifarSize(path, file.size(), record) : status;
    if (!status.ok()) {
      return status;
    }
    rows += file.size() / record;
  }
  return success();
}

Status probeImages(const std::string& folder, Source& source, uint64_t& rows) {
  ImageList images;
  if (Status status = listImages(folder, source, images); !status.ok()) {
    return status;
  }
  rows = images.paths.size();
  plan::Port& pixels = source.fields[0];
  if (!source.resize) {
    std::vector<uint8_t> file;
    Status status = readFile(images.paths[0], file);
    status = status.ok() ? imageSize(file, images.paths[0], pixels.dims[0], pixels.dims[1]) : status;
    if (!status.ok()) {
      return status;
    }
  }
  if (source.labels > 0) {
    source.fields[1].bound = static_cast<int64_t>(source.classes.size());
  }
  return success();
}

/// The vocabulary that the source is to have: of a file, or what `textOf` finds, unless it has one already.
template <class TextOf> Status findTokens(Source& source, SourceProbe& probe, const std::string& path, TextOf textOf) {
  if (!probe.vocabularyFile.empty()) {
    std::vector<uint8_t> words;
    Status status = readFile(probe.vocabularyFile, words);
    std::string_view text(reinterpret_cast<const char*>(words.data()), words.size());
    status = status.ok() ? readVocabulary(text, source.text.unit, probe.vocabularyFile, source.vocabulary) : status;
    source.text.unknown = status.ok() && source.vocabulary[0] == unknownToken;
    return status;
  }
  if (!source.vocabulary.empty()) {
    return success();
  }
  source.text.unknown = probe.limit > 0;
  std::string_view text;
  Status status = textOf(text);
  TextRule rule = source.text;
  rule.lines = rule.lines && source.kind == Source::Kind::Text; // a cell may have several lines
  return status.ok() ? findVocabulary(text, rule, probe.limit, path, source.vocabulary) : status;
}

int64_t tokensOf(const Source& source) {
  return source.text.unit == TextRule::Unit::Byte ? 256 : static_cast<int64_t>(source.vocabulary.size());
}

Status probeText(const std::string& path, Source& source, SourceProbe& probe) {
  std::vector<uint8_t> file;
  if (Status status = readFile(path, file); !status.ok()) {
    return status;
  }
  std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  Status found = findTokens(source, probe, path, [&](std::string_view& all) {
    all = text;
    return success();
  });
  if (!found.ok()) {
    return found;
  }
  std::vector<int32_t> all;
  std::vector<uint64_t> starts;
  Status status = source.text.lines ? Tokenizer(source).encodeLines(text, path, source.maxLength, all, starts)
                                    : Tokenizer(source).encode(text, path, all);
  if (!status.ok()) {
    return status;
  }
  int64_t tokens = tokensOf(source);
  if (source.text.lines) {
    probe.rows = starts.size() - 1;
    describeSequence(source.fields[0], source.maxLength);
    source.fields[0].bound = tokens;
    source.fields[0].text = source.name;
    describeLengths(source.fields[1], source.maxLength);
    return success();
  }
  probe.rows = all.size();
  for (plan::Port& field : source.fields) {
    field.dtype = plan::DType::I32;
    field.dims = {source.text.window};
    field.bound = tokens;
    field.text = source.name;
  }
  return success();
}

Status probeCsvTokens(std::string_view file, const std::string& path, Source& source, SourceProbe& probe) {
  for (size_t i = 0; i < source.columns.size(); ++i) {
    if (!source.columns[i].tokens) {
      continue;
    }
    std::string joined;
    Status status = findTokens(source, probe, path, [&](std::string_view& text) {
      // What stands between words is no token; characters have nothing between them.
      Status read =
          joinCsvTexts(file, path, source.columns[i], source.text.unit == TextRule::Unit::Word ? "\n" : "", joined);
      text = joined;
      return read;
    });
    if (!status.ok()) {
      return status;
    }
    describeSequence(source.fields[i], source.maxLength);
    source.fields[i].bound = tokensOf(source);
    source.fields[i].text = source.name;
    describeLengths(source.fields[i + 1], source.maxLength);
  }
  return success();
}

Status probeCsvCells(const std::string& path, Source& source, SourceProbe& probe) {
  std::vector<uint8_t> file;
  if (Status status = readFile(path, file); !status.ok()) {
    return status;
  }
  Status tokens = probeCsvTokens({reinterpret_cast<const char*>(file.data()), file.size()}, path, source, probe);
  if (!tokens.ok()) {
    return tokens;
  }
  std::vector<plan::CsvField> columns = source.columns;
  auto take = [&](uint64_t rows, std::vector<uint32_t>& taken) { takenRows(source, rows, taken); };
  Status status =
      describeCsv({reinterpret_cast<const char*>(file.data()), file.size()}, path, source.fields, take, columns);
  source.columns = std::move(columns);
  for (size_t i = 0; i < source.fields.size() && status.ok(); ++i) {
    const plan::CsvField& rule = source.columns[i];
    if (rule.categorical) {
      source.fields[i].bound = static_cast<int64_t>(rule.categories.size()) + (rule.missingCategory ? 1 : 0);
    }
  }
  return status;
}

} // namespace

Status probeSource(const std::vector<std::string>& paths, Source& source, SourceProbe& probe) {
  switch (source.kind) {
  case Source::Kind::Text: return probeText(paths[0], source, probe);
  case Source::Kind::Npy: return probeNpy(paths, source, probe.rows);
  case Source::Kind::Npz: return probeNpz(paths[0], source, probe.rows);
  case Source::Kind::Cifar: return probeCifar(paths, source, probe.rows);
  case Source::Kind::Images: return probeImages(paths[0], source, probe.rows);
  case Source::Kind::Csv: return probeCsvCells(paths[0], source, probe);
  case Source::Kind::Idx:
  case Source::Kind::Table:
  case Source::Kind::Generate: break;
  }
  return failure(ExitCode::Internal, "nothing is to be looked up in the files of `%s`", source.name.c_str());
}

Status probeIdx(const std::string& path, IdxProbe& probe) {
  std::vector<uint8_t> file;
  if (Status status = readFile(path, file, mostHeader); !status.ok()) {
    return status;
  }
  IdxHeader header;
  if (Status status = readIdxHeader(file.data(), file.size(), path, header); !status.ok()) {
    return status;
  }
  probe.dtype = widened(header.type);
  probe.dims = header.dims;
  return success();
}

Status probeCsv(const std::string& path, CsvProbe& probe) {
  std::vector<uint8_t> file;
  if (Status status = readFile(path, file); !status.ok()) {
    return status;
  }
  CsvReader reader({reinterpret_cast<const char*>(file.data()), file.size()}, path);
  return readCsvHeader(reader, path, probe.columns);
}

} // namespace dnn::runtime
