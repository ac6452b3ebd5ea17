#include "compiler/codegen/kernel_cache.h"

#include "compiler/codegen/kernel_codec.h"

namespace dnn::codegen {

std::optional<schedule::KernelObject> KernelCache::find(const std::string& key) const {
  auto bytes = folder_.find(CacheFolder::Kind::Kernel, key);
  return bytes ? decodeKernel(*bytes) : std::nullopt;
}

void KernelCache::store(const std::string& key, const schedule::KernelObject& kernel) const {
  folder_.store(CacheFolder::Kind::Kernel, key, encode(kernel));
}

} // namespace dnn::codegen
