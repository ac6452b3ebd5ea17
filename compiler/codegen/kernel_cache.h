// Compiled kernels on disk, so that compiling a program again, or another one with the same layers, takes no time. The
// key is the kernel's text, its schedule, the target and the versions of everything that made the code.
#pragma once

#include "compiler/codegen/cache_folder.h"
#include "compiler/schedule/kernel.h"

#include <optional>
#include <string>
#include <utility>

namespace dnn::codegen {

class KernelCache {
public:
  explicit KernelCache(CacheFolder folder) : folder_(std::move(folder)) {}
  /// A cache that never holds anything.
  KernelCache() = default;

  std::optional<schedule::KernelObject> find(const std::string& key) const;
  void store(const std::string& key, const schedule::KernelObject& kernel) const;
  /// As CacheFolder does.
  void trim() const { folder_.trim(); }

private:
  CacheFolder folder_;
};

} // namespace dnn::codegen
