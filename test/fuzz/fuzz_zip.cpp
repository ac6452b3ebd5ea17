// The reader of zip archives on arbitrary bytes: the directory, then the first bytes of every member.
#include "runtime/data/zip.h"

#include <algorithm>

namespace dnn::runtime {
namespace {

void check(const uint8_t* bytes, size_t size) {
  constexpr uint64_t most = 1 << 16;
  std::vector<ZipMember> members;
  if (!readZip(bytes, size, "fuzz.npz", members).ok()) {
    return;
  }
  for (const ZipMember& member : members) {
    std::vector<uint8_t> out;
    if (unzip(bytes, member, "fuzz.npz", out, most).ok() && out.size() != std::min(member.size, most)) {
      __builtin_trap();
    }
  }
}

} // namespace
} // namespace dnn::runtime

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  dnn::runtime::check(bytes, size);
  return 0;
}
