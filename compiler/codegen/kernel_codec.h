// A compiled kernel as bytes: what the cache keeps and what the process that runs Halide sends back.
#pragma once

#include "compiler/schedule/kernel.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace dnn::codegen {

std::vector<uint8_t> encode(const schedule::KernelObject& kernel);
/// Empty unless `bytes` are exactly one encoded kernel.
std::optional<schedule::KernelObject> decodeKernel(std::span<const uint8_t> bytes);

} // namespace dnn::codegen
