#include "runtime/data/zip.h"

#include "runtime/plan/bytes.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <zlib.h>

namespace dnn::runtime {

namespace {

constexpr uint32_t endSignature = 0x06054b50;
constexpr uint32_t end64Signature = 0x06064b50;
constexpr uint32_t locatorSignature = 0x07064b50;
constexpr uint32_t entrySignature = 0x02014b50;
constexpr uint32_t localSignature = 0x04034b50;
constexpr uint64_t endBytes = 22;
constexpr uint64_t locatorBytes = 20;
constexpr uint32_t in64 = 0xFFFFFFFF; // the value stands in the 64-bit extension

struct Directory {
  uint64_t start = 0;
  uint64_t size = 0;
  uint64_t count = 0;
};

ByteReader readerAt(const uint8_t* file, uint64_t size, uint64_t at) {
  return at <= size ? ByteReader(file + at, size - at) : ByteReader(file, 0);
}

/// The record at the end of the archive says where its directory is. A comment of up to 65535 bytes may follow it.
bool findDirectory(const uint8_t* file, uint64_t size, Directory& directory) {
  for (uint64_t back = endBytes; back <= std::min<uint64_t>(size, endBytes + 0xFFFF); ++back) {
    uint64_t end = size - back;
    ByteReader in = readerAt(file, size, end);
    if (in.number<uint32_t>() != endSignature) {
      continue;
    }
    in.raw(6);
    directory.count = in.number<uint16_t>();
    directory.size = in.number<uint32_t>();
    directory.start = in.number<uint32_t>();
    bool large = directory.count == 0xFFFF || directory.size == in64 || directory.start == in64;
    if (large && end >= locatorBytes) {
      ByteReader locator = readerAt(file, size, end - locatorBytes);
      if (locator.number<uint32_t>() != locatorSignature) {
        return false;
      }
      locator.raw(4);
      ByteReader wide = readerAt(file, size, locator.number<uint64_t>());
      if (wide.number<uint32_t>() != end64Signature) {
        return false;
      }
      wide.raw(8 + 2 + 2 + 4 + 4 + 8);
      directory.count = wide.number<uint64_t>();
      directory.size = wide.number<uint64_t>();
      directory.start = wide.number<uint64_t>();
      return wide.ok();
    }
    return in.ok();
  }
  return false;
}

/// Replaces the values that did not fit into 32 bits by those of the extension, in their fixed order.
void read64(ByteReader extra, ZipMember& member, uint64_t& header) {
  while (extra.remaining() >= 4) {
    auto id = extra.number<uint16_t>();
    auto length = extra.number<uint16_t>();
    const uint8_t* bytes = extra.raw(length);
    if (id != 1 || bytes == nullptr) {
      continue;
    }
    ByteReader in(bytes, length);
    for (uint64_t* value : {&member.size, &member.compressedSize, &header}) {
      if (*value == in64) {
        *value = in.number<uint64_t>();
      }
    }
  }
}

} // namespace

Status readZip(const uint8_t* file, uint64_t size, std::string_view fileName, std::vector<ZipMember>& members) {
  std::string name(fileName);
  Directory directory;
  if (!findDirectory(file, size, directory)) {
    return failure(ExitCode::BadInput, "`%s` is not a zip archive, or it is truncated: its directory is missing",
                   name.c_str());
  }
  auto damaged = [&] {
    return failure(ExitCode::BadInput, "`%s` is damaged: its directory makes no sense", name.c_str());
  };
  if (directory.start > size || directory.size > size - directory.start) {
    return damaged();
  }
  ByteReader in(file + directory.start, directory.size);
  members.clear();
  for (uint64_t i = 0; i < directory.count; ++i) {
    if (in.number<uint32_t>() != entrySignature) {
      return damaged();
    }
    in.raw(4);
    auto flags = in.number<uint16_t>();
    auto method = in.number<uint16_t>();
    in.raw(4);
    ZipMember& member = members.emplace_back();
    member.crc = in.number<uint32_t>();
    member.compressedSize = in.number<uint32_t>();
    member.size = in.number<uint32_t>();
    auto nameLength = in.number<uint16_t>();
    auto extraLength = in.number<uint16_t>();
    auto commentLength = in.number<uint16_t>();
    in.raw(8);
    uint64_t header = in.number<uint32_t>();
    const uint8_t* text = in.raw(nameLength);
    const uint8_t* extra = in.raw(extraLength);
    in.raw(commentLength);
    if (!in.ok()) {
      return damaged();
    }
    member.name.assign(reinterpret_cast<const char*>(text), nameLength);
    read64(ByteReader(extra, extraLength), member, header);
    if ((flags & 1) != 0 || (method != 0 && method != 8)) {
      return failure(ExitCode::BadInput, "`%s`: `%s` is encrypted or compressed in a way that cannot be read",
                     name.c_str(), printable(member.name).c_str());
    }
    member.deflated = method == 8;
    // The data follows its own header, whose name and extension may have another length.
    ByteReader local = readerAt(file, size, header);
    bool isLocal = local.number<uint32_t>() == localSignature;
    local.raw(22);
    auto localName = local.number<uint16_t>();
    auto localExtra = local.number<uint16_t>();
    local.raw(uint64_t{localName} + localExtra);
    if (!isLocal || !local.ok() || local.remaining() < member.compressedSize) {
      return failure(ExitCode::BadInput, "`%s` is truncated or damaged: `%s` is not where its directory says",
                     name.c_str(), printable(member.name).c_str());
    }
    member.start = header + local.at();
  }
  return success();
}

Status unzip(const uint8_t* file, const ZipMember& member, std::string_view fileName, std::vector<uint8_t>& bytes,
             uint64_t most) {
  std::string name(fileName);
  auto damaged = [&](const char* why) {
    return failure(ExitCode::BadInput, "`%s` is damaged: `%s` %s", name.c_str(), printable(member.name).c_str(), why);
  };
  const uint8_t* from = file + member.start;
  uint64_t wanted = std::min(member.size, most);
  if (!member.deflated) {
    if (member.size != member.compressedSize) {
      return damaged("has two sizes");
    }
    bytes.assign(from, from + wanted);
  } else {
    z_stream stream{};
    if (inflateInit2(&stream, -15) != Z_OK) {
      return damaged("does not decompress");
    }
    bytes.clear();
    uint64_t used = 0;
    uint64_t produced = 0;
    int code = Z_OK;
    while (code == Z_OK && produced < wanted) {
      // The buffer grows with what is really there, so that a wrong size costs nothing.
      if (produced == bytes.size()) {
        bytes.resize(std::min(wanted, std::max<uint64_t>(2 * produced, 1 << 20)));
      }
      if (stream.avail_in == 0) {
        stream.next_in = const_cast<Bytef*>(from + used); // zlib does not write here
        stream.avail_in = static_cast<uInt>(std::min<uint64_t>(member.compressedSize - used, 1 << 30));
        used += stream.avail_in;
      }
      auto room = static_cast<uInt>(std::min<uint64_t>(bytes.size() - produced, 1 << 30));
      stream.next_out = bytes.data() + produced;
      stream.avail_out = room;
      code = inflate(&stream, Z_NO_FLUSH);
      produced += room - stream.avail_out;
    }
    inflateEnd(&stream);
    bytes.resize(produced);
    if (produced != wanted) {
      return damaged("does not decompress");
    }
  }
  if (wanted < member.size) {
    return success(); // the start of a member has no checksum
  }
  uint64_t crc = crc32_z(0, bytes.data(), bytes.size());
  return crc == member.crc ? success() : damaged("has a wrong checksum");
}

Status findNpzArray(const std::vector<ZipMember>& members, const std::string& array, std::string_view name,
                    const ZipMember*& member) {
  std::string names;
  for (const ZipMember& one : members) {
    if (one.name == array + ".npy") {
      member = &one;
      return success();
    }
    std::string shown = one.name.ends_with(".npy") ? one.name.substr(0, one.name.size() - 4) : one.name;
    names += (names.empty() ? "" : ", ") + printable(shown);
  }
  return failure(ExitCode::BadInput, "`%s` has no array `%s`; its arrays are %s", std::string(name).c_str(),
                 printable(array).c_str(), names.c_str());
}

} // namespace dnn::runtime
