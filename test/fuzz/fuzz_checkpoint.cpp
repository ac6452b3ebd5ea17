// The checkpoint reader on arbitrary bytes. Random bytes never pass the checksums, so they are made right first: the
// interesting inputs are those that lie behind them. The same input is also read as it is.
#include "runtime/checkpoint/checkpoint.h"

#include <cstring>
#include <zlib.h>

namespace dnn::runtime {
namespace {

void check(const uint8_t* bytes, size_t size) {
  CheckpointFile file;
  (void)parseCheckpoint(bytes, size, "fuzz", file).ok();
  if (size < 24) {
    return;
  }
  std::vector<uint8_t> fixed(bytes, bytes + size);
  std::memcpy(fixed.data(), "dnnckpt\n\1\0\0\0", 12);
  uint64_t whole = size;
  std::memcpy(fixed.data() + 12, &whole, sizeof whole);
  auto total = static_cast<uint32_t>(crc32(crc32(0, nullptr, 0), fixed.data(), static_cast<uInt>(size - 4)));
  std::memcpy(fixed.data() + size - 4, &total, sizeof total);
  if (parseCheckpoint(fixed.data(), fixed.size(), "fuzz", file).ok()) {
    for (const CheckpointTensor& tensor : file.tensors) {
      if (tensor.values < fixed.data() || tensor.values > fixed.data() + fixed.size()) {
        __builtin_trap();
      }
    }
  }
}

} // namespace
} // namespace dnn::runtime

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  dnn::runtime::check(bytes, size);
  return 0;
}
