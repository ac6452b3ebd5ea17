#include "compiler/codegen/kernel_cache.h"

#include "compiler/support/hash.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace dnn::codegen {

namespace {

namespace fs = std::filesystem;

constexpr char magic[8] = {'d', 'n', 'n', 'k', '0', '0', '0', '1'};
constexpr const char* suffix = ".kernel";

/// Values one after the other, numbers as 8 little-endian bytes, texts and bytes with their length before them.
class Writer {
public:
  void number(uint64_t value) {
    for (int i = 0; i < 8; ++i) {
      bytes_ += static_cast<char>(value >> (8 * i));
    }
  }
  void text(std::string_view value) {
    number(value.size());
    bytes_ += value;
  }
  const std::string& bytes() const { return bytes_; }

private:
  std::string bytes_;
};

/// Reads what Writer wrote; after an attempt to read past the end everything is 0 and ok() is false.
class Reader {
public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  uint64_t number() {
    std::string_view raw = take(8);
    uint64_t value = 0;
    for (size_t i = 0; i < raw.size(); ++i) {
      value |= static_cast<uint64_t>(static_cast<uint8_t>(raw[i])) << (8 * i);
    }
    return value;
  }
  std::string_view text() { return take(number()); }
  bool ok() const { return ok_; }
  bool atEnd() const { return rest_.empty(); }

private:
  std::string_view rest_;
  bool ok_ = true;

  std::string_view take(uint64_t count) {
    if (!ok_ || count > rest_.size()) {
      ok_ = false;
      return {};
    }
    std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
};

std::string encode(const std::string& key, const schedule::KernelObject& kernel) {
  Writer w;
  w.text(key);
  w.text(kernel.name);
  w.number(kernel.args.size());
  for (const schedule::KernelArg& arg : kernel.args) {
    w.number(static_cast<uint64_t>(arg.kind));
    w.number(arg.index);
  }
  w.text({reinterpret_cast<const char*>(kernel.bytes.data()), kernel.bytes.size()});
  Writer whole;
  whole.number(hash64(w.bytes()));
  return std::string(magic, sizeof magic) + whole.bytes() + w.bytes();
}

std::optional<schedule::KernelObject> decode(std::string_view file, const std::string& key) {
  if (!file.starts_with(std::string_view(magic, sizeof magic))) {
    return std::nullopt;
  }
  file.remove_prefix(sizeof magic);
  Reader header(file.substr(0, 8));
  uint64_t checksum = header.number();
  if (!header.ok() || hash64(file.substr(8)) != checksum) {
    return std::nullopt;
  }
  Reader r(file.substr(8));
  if (r.text() != key) {
    return std::nullopt;
  }
  schedule::KernelObject kernel;
  kernel.name = r.text();
  uint64_t args = r.number();
  for (uint64_t i = 0; i < args && r.ok(); ++i) {
    auto kind = static_cast<schedule::KernelArg::Kind>(r.number());
    kernel.args.push_back({kind, static_cast<uint32_t>(r.number())});
  }
  std::string_view bytes = r.text();
  kernel.bytes.assign(bytes.begin(), bytes.end());
  return r.ok() && r.atEnd() ? std::optional(std::move(kernel)) : std::nullopt;
}

} // namespace

KernelCache::KernelCache(std::string folder, std::string& problem) {
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

std::string KernelCache::fileOf(const std::string& key) const {
  constexpr uint64_t otherSeed = 0x9e3779b97f4a7c15ULL;
  return folder_ + "/" + hex16(hash64(key)) + hex16(hash64(key, otherSeed)) + suffix;
}

std::optional<schedule::KernelObject> KernelCache::find(const std::string& key) const {
  if (folder_.empty()) {
    return std::nullopt;
  }
  std::string name = fileOf(key);
  std::ifstream in(name, std::ios::binary);
  if (!in) {
    return std::nullopt;
  }
  std::ostringstream content;
  content << in.rdbuf();
  auto kernel = decode(content.view(), key);
  if (kernel) {
    utimensat(AT_FDCWD, name.c_str(), nullptr, 0); // now: the last use is what trim goes by
  }
  return kernel;
}

void KernelCache::store(const std::string& key, const schedule::KernelObject& kernel) const {
  if (folder_.empty()) {
    return;
  }
  static std::atomic<unsigned> counter = 0;
  std::string temporary = folder_ + "/" + std::to_string(getpid()) + "-" + std::to_string(counter++) + ".tmp";
  std::string bytes = encode(key, kernel);
  std::ofstream out(temporary, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code code;
  if (out.fail()) {
    fs::remove(temporary, code);
    return;
  }
  fs::rename(temporary, fileOf(key), code);
  if (code) {
    fs::remove(temporary, code);
  }
}

void KernelCache::trim(uint64_t limit) const {
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
    if (entry.path.extension() == suffix) {
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
