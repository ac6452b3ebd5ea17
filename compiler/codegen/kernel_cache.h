// Compiled kernels on disk, so that compiling a program again, or another one with the same layers, takes no time.
//
// One file a kernel, named by a hash of its key and holding the key itself: the kernel's text, its schedule, the target
// and the versions of everything that made the code. A file that is damaged, truncated or of another key is as good as
// none. Written to a temporary file and renamed, so compilers that run at the same time never see half an entry.
#pragma once

#include "compiler/schedule/kernel.h"

#include <cstdint>
#include <optional>
#include <string>

namespace dnn::codegen {

class KernelCache {
public:
  /// Uses the folder, made if it does not exist, readable by the user alone. Machine code is loaded from it: a folder
  /// that belongs to someone else, or that others may write to, is refused. `problem` says why then, and the cache
  /// stays empty.
  KernelCache(std::string folder, std::string& problem);
  /// A cache that never holds anything.
  KernelCache() = default;

  std::optional<schedule::KernelObject> find(const std::string& key) const;
  /// A failure to write is no error: the kernel is compiled again next time.
  void store(const std::string& key, const schedule::KernelObject& kernel) const;
  /// Removes the entries that were not used for longest until the folder holds at most `limit` bytes.
  void trim(uint64_t limit) const;

private:
  std::string folder_;

  std::string fileOf(const std::string& key) const;
};

/// $XDG_CACHE_HOME/dnnc or ~/.cache/dnnc; empty if neither is known.
std::string defaultCacheFolder();

} // namespace dnn::codegen
