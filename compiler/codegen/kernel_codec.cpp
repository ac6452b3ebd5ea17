#include "compiler/codegen/kernel_codec.h"

#include "runtime/plan/bytes.h"

namespace dnn::codegen {

std::vector<uint8_t> encode(const schedule::KernelObject& kernel) {
  std::vector<uint8_t> bytes;
  runtime::ByteWriter w(bytes);
  w.string(kernel.name);
  w.number(static_cast<uint32_t>(kernel.args.size()));
  for (const schedule::KernelArg& arg : kernel.args) {
    w.number(arg.kind);
    w.number(arg.index);
  }
  w.number(static_cast<uint64_t>(kernel.bytes.size()));
  w.raw(kernel.bytes.data(), kernel.bytes.size());
  return bytes;
}

std::optional<schedule::KernelObject> decodeKernel(std::span<const uint8_t> bytes) {
  runtime::ByteReader r(bytes.data(), bytes.size());
  schedule::KernelObject kernel;
  kernel.name = r.string();
  uint32_t args = r.count(sizeof(schedule::KernelArg::kind) + sizeof(schedule::KernelArg::index));
  for (uint32_t i = 0; i < args; ++i) {
    auto kind = r.number<schedule::KernelArg::Kind>();
    kernel.args.push_back({kind, r.number<uint32_t>()});
  }
  auto size = r.number<uint64_t>();
  if (const uint8_t* object = r.raw(size)) {
    kernel.bytes.assign(object, object + size);
  }
  return r.ok() && r.remaining() == 0 ? std::optional(std::move(kernel)) : std::nullopt;
}

} // namespace dnn::codegen
