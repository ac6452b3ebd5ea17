// A folder of the user's in which the compiler keeps what it made, so that making it again takes no time.
//
// One file an entry, named by a hash of its key and holding the key itself. A file that is damaged, truncated or of
// another key is as good as none. Written to a temporary file and renamed, so compilers that run at the same time never
// see half an entry.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace dnn::codegen {

class CacheFolder {
public:
  /// What an entry holds; its file's name ends with it.
  enum class Kind : uint8_t { Kernel, Program };

  /// Uses the folder, made if it does not exist, readable by the user alone. Machine code is loaded from it: a folder
  /// that belongs to someone else, or that others may write to, is refused. `problem` says why then, and the cache
  /// stays always empty.
  CacheFolder(std::string folder, std::string& problem);
  /// A cache that never holds anything.
  CacheFolder() = default;

  /// What was stored under the key.
  std::optional<std::vector<uint8_t>> find(Kind kind, const std::string& key) const;
  /// A failure to write is no error: it is made again next time.
  void store(Kind kind, const std::string& key, std::span<const uint8_t> content) const;
  /// Removes the entries that were not used for longest until the folder holds at most `cacheLimit` bytes, or `limit`.
  void trim(uint64_t limit = cacheLimit) const;

private:
  static constexpr uint64_t cacheLimit = 256ULL << 20; // bytes

  std::string folder_;

  std::string fileOf(Kind kind, const std::string& key) const;
};

/// The folder that `dnnc` uses unless told otherwise: $XDG_CACHE_HOME/dnnc or ~/.cache/dnnc; empty if neither is known.
std::string defaultCacheFolder();

} // namespace dnn::codegen
