#include "runtime/data/idx.h"

#include "runtime/support/extent.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <zlib.h>

namespace dnn::runtime {

namespace {

constexpr uint64_t mostDims = 8;
constexpr uint64_t mostHeaderBytes = 4 + 4 * mostDims;

bool isGzip(const uint8_t* file, uint64_t size) { return size >= 2 && file[0] == 0x1f && file[1] == 0x8b; }

enum class Gunzip { Complete, Longer, Truncated, Damaged };

/// Decompresses at most `most` bytes. The output grows with what is really there, so a header that promises terabytes
/// costs nothing; it never moves, because room for all that so many compressed bytes can hold is only addresses until
/// it is written. Several gzip members in a row count as one file.
Gunzip gunzip(const uint8_t* file, uint64_t size, uint64_t most, std::vector<uint8_t>& out) {
  constexpr uint64_t chunk = 1 << 18;   // cleared first, then written while it is in the cache
  constexpr uint64_t mostOfByte = 1032; // what a byte of deflate can stand for
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) {
    return Gunzip::Damaged;
  }
  out.clear();
  out.reserve(std::min(most, size * mostOfByte));
  uint64_t used = 0;
  uint64_t produced = 0;
  Gunzip result = Gunzip::Truncated;
  while (true) {
    if (produced == most) {
      result = Gunzip::Longer;
      break;
    }
    if (produced == out.size()) {
      out.resize(std::min(most, produced + chunk));
    }
    if (stream.avail_in == 0) {
      stream.next_in = const_cast<Bytef*>(file + used); // zlib does not write here
      stream.avail_in = static_cast<uInt>(std::min(size - used, uint64_t{1} << 30));
      used += stream.avail_in;
    }
    auto room = static_cast<uInt>(std::min<uint64_t>(out.size() - produced, 1 << 30));
    stream.next_out = out.data() + produced;
    stream.avail_out = room;
    int code = inflate(&stream, Z_NO_FLUSH);
    produced += room - stream.avail_out;
    bool inputLeft = stream.avail_in > 0 || used < size;
    if (code == Z_STREAM_END) {
      if (!inputLeft) {
        result = Gunzip::Complete;
        break;
      }
      if (inflateReset(&stream) != Z_OK) {
        result = Gunzip::Damaged;
        break;
      }
    } else if (code == Z_BUF_ERROR && !inputLeft && stream.avail_out > 0) {
      break;
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      result = Gunzip::Damaged;
      break;
    }
  }
  inflateEnd(&stream);
  out.resize(produced);
  return result;
}

bool typeOf(uint8_t code, FileType& type) {
  switch (code) {
  case 0x08: type = FileType::U8; return true;
  case 0x09: type = FileType::I8; return true;
  case 0x0b: type = FileType::I16; return true;
  case 0x0c: type = FileType::I32; return true;
  case 0x0d: type = FileType::F32; return true;
  case 0x0e: type = FileType::F64; return true;
  default: return false;
  }
}

Status parseHeader(const uint8_t* bytes, uint64_t size, const std::string& name, IdxHeader& header) {
  if (size < 4 || bytes[0] != 0 || bytes[1] != 0 || !typeOf(bytes[2], header.type) || bytes[3] == 0 ||
      bytes[3] > mostDims) {
    return failure(ExitCode::BadInput,
                   "`%s` is not an IDX file: it must start with 00 00, a type (08, 09, 0b … 0e) and 1 to 8 dimensions",
                   name.c_str());
  }
  header.headerBytes = 4 + 4 * uint64_t{bytes[3]};
  if (size < header.headerBytes) {
    return failure(ExitCode::BadInput, "`%s` is truncated: it ends within its IDX header", name.c_str());
  }
  header.dims.clear();
  for (uint64_t at = 4; at < header.headerBytes; at += 4) {
    header.dims.push_back(int64_t{bytes[at]} << 24 | int64_t{bytes[at + 1]} << 16 | int64_t{bytes[at + 2]} << 8 |
                          int64_t{bytes[at + 3]});
  }
  uint64_t elements = 0;
  if (!elementCount(header.dims, elements) || elements > uint64_t{1} << 46) {
    return failure(ExitCode::BadInput, "`%s` is damaged: its IDX header promises more than 2^46 values", name.c_str());
  }
  header.dataBytes = elements * static_cast<uint64_t>(byteSize(header.type));
  return success();
}

void toMachineOrder(std::vector<uint8_t>& values, int width) {
  for (size_t at = 0; width > 1 && at + static_cast<size_t>(width) <= values.size(); at += static_cast<size_t>(width)) {
    std::reverse(values.data() + at, values.data() + at + width);
  }
}

} // namespace

Status readIdxHeader(const uint8_t* file, uint64_t size, std::string_view name, IdxHeader& header) {
  if (!isGzip(file, size)) {
    return parseHeader(file, size, std::string(name), header);
  }
  std::vector<uint8_t> start;
  if (gunzip(file, size, mostHeaderBytes, start) == Gunzip::Damaged) {
    return failure(ExitCode::BadInput, "`%s` is damaged: it is not valid gzip data", std::string(name).c_str());
  }
  return parseHeader(start.data(), start.size(), std::string(name), header);
}

Status readIdx(const uint8_t* file, uint64_t size, std::string_view fileName, IdxHeader& header,
               std::vector<uint8_t>& values) {
  std::string name(fileName);
  if (Status status = readIdxHeader(file, size, fileName, header); !status.ok()) {
    return status;
  }
  uint64_t wanted = header.headerBytes + header.dataBytes;
  uint64_t found = size;
  bool longer = size > wanted;
  if (isGzip(file, size)) {
    Gunzip result = gunzip(file, size, wanted + 1, values);
    found = values.size();
    longer = found > wanted;
    if (result == Gunzip::Damaged) {
      return failure(ExitCode::BadInput, "`%s` is damaged: its gzip data does not decompress", name.c_str());
    }
    if (result == Gunzip::Truncated) {
      return failure(ExitCode::BadInput, "`%s` is truncated: its gzip data ends early, after %llu of %llu bytes",
                     name.c_str(), static_cast<unsigned long long>(found), static_cast<unsigned long long>(wanted));
    }
  }
  if (longer) {
    return failure(ExitCode::BadInput, "`%s` is damaged: it goes on after the %llu bytes that its IDX header announces",
                   name.c_str(), static_cast<unsigned long long>(wanted));
  }
  if (found < wanted) {
    return failure(ExitCode::BadInput, "`%s` is truncated: its IDX header announces %llu bytes, it has %llu",
                   name.c_str(), static_cast<unsigned long long>(wanted), static_cast<unsigned long long>(found));
  }
  if (isGzip(file, size)) {
    values.erase(values.begin(), values.begin() + static_cast<int64_t>(header.headerBytes));
  } else {
    values.assign(file + header.headerBytes, file + size);
  }
  toMachineOrder(values, byteSize(header.type));
  return success();
}

} // namespace dnn::runtime
