// Archives, as numpy.savez writes them: members stored or compressed by deflate, with the 64-bit extension. No
// encryption, no archives in several parts.
#pragma once

#include "runtime/support/status.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dnn::runtime {

struct ZipMember {
  std::string name;
  uint64_t start = 0; // of its data in the archive
  uint64_t compressedSize = 0;
  uint64_t size = 0;
  uint32_t crc = 0;
  bool deflated = false;
};

/// The members, in the order of the archive's directory, each inside the bytes. Errors: not a zip archive, truncated,
/// damaged, a member in a form that is not read.
Status readZip(const uint8_t* file, uint64_t size, std::string_view name, std::vector<ZipMember>& members);

/// A member's bytes, at most `most` of them (headers need only a few). Errors: what does not decompress, or has another
/// checksum.
Status unzip(const uint8_t* file, const ZipMember& member, std::string_view name, std::vector<uint8_t>& bytes,
             uint64_t most = UINT64_MAX);

/// The member that holds an array: NumPy stores `x` as `x.npy`.
Status findNpzArray(const std::vector<ZipMember>& members, const std::string& array, std::string_view name,
                    const ZipMember*& member);

} // namespace dnn::runtime
