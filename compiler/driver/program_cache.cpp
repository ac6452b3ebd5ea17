#include "compiler/driver/program_cache.h"

#include "compiler/driver/data_files.h"
#include "compiler/driver/load_files.h"
#include "runtime/plan/bytes.h"

#include <cstdio>
#include <filesystem>
#include <utility>

namespace dnn::driver {

namespace {

using Bytes = std::vector<uint8_t>;
using Objects = std::vector<Bytes>;
using runtime::ByteReader;
using runtime::ByteWriter;

constexpr auto kind = codegen::CacheFolder::Kind::Program;

void writeBytes(ByteWriter& out, const Bytes& bytes) {
  out.number(static_cast<uint64_t>(bytes.size()));
  out.raw(bytes.data(), bytes.size());
}

Bytes readBytes(ByteReader& in) {
  auto size = in.number<uint64_t>();
  const uint8_t* bytes = in.raw(size);
  return bytes != nullptr ? Bytes(bytes, bytes + size) : Bytes();
}

Bytes encodeEntry(const ProgramInputs& inputs, const Objects& objects) {
  Bytes bytes;
  ByteWriter out(bytes);
  out.number(static_cast<uint32_t>(inputs.files.size()));
  for (const SourceText& file : inputs.files) {
    out.string(file.path);
    out.string(file.place);
    out.string(file.text);
  }
  out.number(static_cast<uint32_t>(inputs.data.size()));
  for (const ProbeRecord& record : inputs.data) {
    writeBytes(out, record.question);
    writeBytes(out, record.answer);
  }
  out.string(inputs.messages);
  out.number(static_cast<uint32_t>(objects.size()));
  for (const Bytes& object : objects) {
    writeBytes(out, object);
  }
  return bytes;
}

/// False unless the bytes are exactly one entry.
bool decodeEntry(const Bytes& bytes, ProgramInputs& inputs, Objects& objects) {
  ByteReader in(bytes.data(), bytes.size());
  constexpr uint64_t size = sizeof(uint32_t); // at least, of a string; more of bytes
  for (uint32_t count = in.count(3 * size); count > 0; --count) {
    std::string path = in.string();
    std::string place = in.string();
    inputs.files.push_back({std::move(path), std::move(place), in.string()});
  }
  for (uint32_t count = in.count(2 * size); count > 0; --count) {
    Bytes question = readBytes(in);
    inputs.data.push_back({std::move(question), readBytes(in)});
  }
  inputs.messages = in.string();
  for (uint32_t count = in.count(size); count > 0; --count) {
    objects.push_back(readBytes(in));
  }
  return in.ok() && in.remaining() == 0;
}

/// A pipe can be read only once.
bool canBeReadAgain(const std::string& path) {
  std::error_code none;
  return std::filesystem::is_regular_file(path, none);
}

bool isUnchanged(const SourceText& file) {
  if (!canBeReadAgain(file.path)) {
    return false;
  }
  diag::Sources sources;
  Result<diag::FileId> now = sources.addFile(file.path);
  return now && sourceText(sources, *now) == file;
}

} // namespace

ProgramCache::ProgramCache(const Options& options, const codegen::CompileOptions& how)
    : dataFolder_(folderOf(options.file)) {
  bool wanted = !how.cacheFolder.empty() && !options.timePasses && !options.verifyEach;
  if (!wanted || !canBeReadAgain(options.file)) {
    return;
  }
  diag::Sources sources;
  Result<diag::FileId> file = sources.addFile(options.file);
  Result<std::string> compiler = codegen::compilerIdentity(how.target);
  if (!file || !compiler) {
    return; // compiling says what is wrong
  }
  std::string problem; // compiling warns of it
  folder_ = codegen::CacheFolder(how.cacheFolder, problem);

  Bytes bytes;
  ByteWriter out(bytes);
  out.string(*compiler);
  out.string(options.file); // as messages name it
  out.string(dataFolder_);
  out.string(options.program);
  out.number(static_cast<uint8_t>(options.strict));
  out.number(static_cast<uint8_t>(options.json));
  out.number(static_cast<uint8_t>(options.seed.has_value()));
  out.number(options.seed.value_or(0));
  for (const auto& [source, paths] : dataPaths(options)) {
    out.string(source);
    out.number(static_cast<uint32_t>(paths.size()));
    for (const std::string& path : paths) {
      out.string(path);
    }
  }
  out.string(sources.text(*file));
  key_.assign(bytes.begin(), bytes.end());
}

std::optional<Objects> ProgramCache::find() const {
  auto entry = key_.empty() ? std::nullopt : folder_.find(kind, key_);
  ProgramInputs inputs;
  Objects objects;
  if (!entry || !decodeEntry(*entry, inputs, objects)) {
    return std::nullopt;
  }
  for (const SourceText& file : inputs.files) {
    if (!isUnchanged(file)) {
      return std::nullopt;
    }
  }
  FileProbe probe(dataFolder_);
  if (!answersStillHold(inputs.data, probe)) {
    return std::nullopt;
  }
  std::fputs(inputs.messages.c_str(), stderr);
  return objects;
}

void ProgramCache::store(const ProgramInputs& inputs, const Objects& objects) const {
  if (!key_.empty()) {
    folder_.store(kind, key_, encodeEntry(inputs, objects));
    folder_.trim();
  }
}

} // namespace dnn::driver
