// The IDX reader on arbitrary bytes, plain and (the fuzzer finds the magic) compressed.
#include "runtime/data/idx.h"

namespace dnn::runtime {
namespace {

void check(const uint8_t* bytes, size_t size) {
  IdxHeader header;
  std::vector<uint8_t> values;
  if (readIdx(bytes, size, "fuzz", header, values).ok() && values.size() != header.dataBytes) {
    __builtin_trap();
  }
}

} // namespace
} // namespace dnn::runtime

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  dnn::runtime::check(bytes, size);
  return 0;
}
