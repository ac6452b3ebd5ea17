#include "compiler/codegen/cache_folder.h"

#include "compiler/support/hash.h"
#include "runtime/plan/bytes.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <span>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace dnn::codegen {

namespace {

namespace fs = std::filesystem;

constexpr char magic[8] = {'d', 'n', 'n', 'c', '0', '0', '0', '3'};

constexpr std::array endings = {".kernel", ".program"}; // in the order of Kind

bool isEntry(const fs::path& file) { return std::ranges::find(endings, file.extension()) != endings.end(); }

uint64_t checksumOf(std::span<const uint8_t> bytes) {
  return hash64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

/// What an entry holds behind its magic number and its checksum: the key, then the content.
std::vector<uint8_t> encodeEntry(const std::string& key, std::span<const uint8_t> content) {
  std::vector<uint8_t> checked;
  runtime::ByteWriter w(checked);
  w.string(key);
  w.raw(content.data(), content.size());

  std::vector<uint8_t> entry;
  runtime::ByteWriter whole(entry);
  whole.raw(magic, sizeof magic);
  whole.number(checksumOf(checked));
  whole.raw(checked.data(), checked.size());
  return entry;
}

std::optional<std::vector<uint8_t>> decodeEntry(std::vector<uint8_t> entry, const std::string& key) {
  runtime::ByteReader r(entry.data(), entry.size());
  const uint8_t* start = r.raw(sizeof magic);
  auto checksum = r.number<uint64_t>();
  if (!r.ok() || std::memcmp(start, magic, sizeof magic) != 0 ||
      checksumOf(std::span(entry).subspan(r.at())) != checksum) {
    return std::nullopt;
  }
  if (r.string() != key || !r.ok()) {
    return std::nullopt;
  }
  entry.erase(entry.begin(), entry.begin() + static_cast<std::ptrdiff_t>(r.at()));
  return entry;
}

} // namespace

CacheFolder::CacheFolder(std::string folder, std::string& problem) {
  std::error_code code;
  fs::path parent = fs::path(folder).parent_path();
  if (!parent.empty()) {
    fs::create_directories(parent, code);
  }
  struct stat info = {};
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    problem = "cannot make the cache folder " + folder + ": " + std::strerror(errno);
  } else if (stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    problem = folder + " is not a folder; kernels are not cached";
  } else if (info.st_uid != geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    problem = "the cache folder " + folder + " is not yours alone to write to; kernels are not cached";
  } else {
    folder_ = std::move(folder);
  }
}

std::string CacheFolder::fileOf(Kind kind, const std::string& key) const {
  constexpr uint64_t otherSeed = 0x9e3779b97f4a7c15ULL;
  return folder_ + "/" + hex16(hash64(key)) + hex16(hash64(key, otherSeed)) + endings[static_cast<size_t>(kind)];
}

std::optional<std::vector<uint8_t>> CacheFolder::find(Kind kind, const std::string& key) const {
  if (folder_.empty()) {
    return std::nullopt;
  }
  std::string name = fileOf(kind, key);
  std::ifstream in(name, std::ios::binary);
  std::error_code none;
  uint64_t size = fs::file_size(name, none);
  if (!in || none) {
    return std::nullopt;
  }
  std::vector<uint8_t> entry(size);
  in.read(reinterpret_cast<char*>(entry.data()), static_cast<std::streamsize>(size));
  auto content = decodeEntry(std::move(entry), key);
  if (content) {
    utimensat(AT_FDCWD, name.c_str(), nullptr, 0); // now: the last use is what trim goes by
  }
  return content;
}

void CacheFolder::store(Kind kind, const std::string& key, std::span<const uint8_t> content) const {
  if (folder_.empty()) {
    return;
  }
  static std::atomic<unsigned> counter = 0;
  std::string temporary = folder_ + "/" + std::to_string(getpid()) + "-" + std::to_string(counter++) + ".tmp";
  std::vector<uint8_t> bytes = encodeEntry(key, content);
  std::ofstream out(temporary, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code code;
  if (out.fail()) {
    fs::remove(temporary, code);
    return;
  }
  fs::rename(temporary, fileOf(kind, key), code);
  if (code) {
    fs::remove(temporary, code);
  }
}

void CacheFolder::trim(uint64_t limit) const {
  if (folder_.empty()) {
    return;
  }
  struct Entry {
    fs::path path;
    fs::file_time_type used;
    uint64_t bytes = 0;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;
  std::error_code code;
  auto abandonedBefore = fs::file_time_type::clock::now() - std::chrono::hours(1);
  for (const fs::directory_entry& file : fs::directory_iterator(folder_, code)) {
    std::error_code gone; // another compiler may remove files at the same time
    Entry entry{file.path(), file.last_write_time(gone), file.file_size(gone)};
    if (gone) {
      continue;
    }
    if (isEntry(entry.path)) {
      total += entry.bytes;
      entries.push_back(std::move(entry));
    } else if (entry.path.extension() == ".tmp" && entry.used < abandonedBefore) {
      fs::remove(entry.path, gone);
    }
  }
  std::ranges::sort(entries, {}, &Entry::used);
  for (const Entry& entry : entries) {
    if (total <= limit) {
      break;
    }
    fs::remove(entry.path, code);
    total -= entry.bytes;
  }
}

std::string defaultCacheFolder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && cache[0] == '/') {
    return std::string(cache) + "/dnnc";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
    return std::string(home) + "/.cache/dnnc";
  }
  return "";
}

} // namespace dnn::codegen
