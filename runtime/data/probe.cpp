#include "runtime/data/probe.h"

#include "runtime/data/decode_image.h"
#include "runtime/data/idx.h"
#include "runtime/data/image_folder.h"
#include "runtime/data/loaders.h"
#include "runtime/data/npy.h"
#include "runtime/data/probe_tokens.h"
#include "runtime/data/text_pieces.h"
#include "runtime/data/tokens.h"
#include "runtime/data/zip.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"

#include <algorithm>

namespace dnn::runtime {

namespace {

using plan::Source;
using plan::TextRule;

/// Bytes of a file, or of what a compressed one holds, that have every sensible header in them.
constexpr uint64_t mostHeader = 1 << 20;

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
    std::shared_ptr<InputFile> file;
    Status status = InputFile::open(path, file);
    status = status.ok() ? checkCifarSize(path, file->size(), record) : status;
    if (!status.ok()) {
      return status;
    }
    rows += file->size() / record;
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

/// Calls visit(piece, place) with all pieces of a text.
template <class Visit> Status forEachPiece(const std::string& path, const TextRule& rule, Visit visit) {
  std::shared_ptr<InputFile> file;
  if (Status status = InputFile::open(path, file); !status.ok()) {
    return status;
  }
  TextPieces pieces(TextWindow(std::move(file)), rule);
  std::string_view piece;
  Status status;
  while (status.ok() && pieces.next(piece, status)) {
    status = visit(piece, pieces.place());
  }
  return status;
}

Status probeText(const std::string& path, Source& source, SourceProbe& probe) {
  Status status = findTokens(source, probe, path, [&](VocabularyFinder& finder) {
    return forEachPiece(path, source.text,
                        [&](std::string_view piece, TextPlace place) { return finder.add(piece, path, place); });
  });
  if (!status.ok()) {
    return status;
  }
  Tokenizer tokenizer(source);
  uint64_t lines = 0;
  uint64_t all = 0;
  std::vector<int32_t> tokens;
  std::vector<uint64_t> starts;
  status = forEachPiece(path, source.text, [&](std::string_view piece, TextPlace place) {
    tokens.clear();
    Status encoded = source.text.lines ? tokenizer.encodeLines(piece, path, source.maxLength, tokens, starts, place)
                                       : tokenizer.encode(piece, path, tokens, place);
    lines += source.text.lines ? starts.size() - 1 : 0;
    all += tokens.size();
    return encoded;
  });
  if (!status.ok()) {
    return status;
  }
  int64_t vocabulary = tokenCount(source);
  if (source.text.lines) {
    probe.rows = lines;
    describeSequence(source.fields[0], source.maxLength);
    source.fields[0].bound = vocabulary;
    source.fields[0].text = source.name;
    describeLengths(source.fields[1], source.maxLength);
    return success();
  }
  probe.rows = all;
  for (plan::Port& field : source.fields) {
    field.dtype = plan::DType::I32;
    field.dims = {source.text.window};
    field.bound = vocabulary;
    field.text = source.name;
  }
  return success();
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

} // namespace dnn::runtime
