#include "runtime/data/npy.h"

#include "runtime/plan/bytes.h"
#include "runtime/support/extent.h"
#include "runtime/support/text.h"

#include <cstring>

namespace dnn::runtime {

namespace {

constexpr char magic[] = "\x93NUMPY";

struct Spelling {
  FileType type;
  const char* text;
};

constexpr Spelling spellings[] = {
    {FileType::F32, "<f4"},  {FileType::F64, "<f8"}, {FileType::I8, "|i1"}, {FileType::I16, "<i2"},
    {FileType::I32, "<i4"},  {FileType::I64, "<i8"}, {FileType::U8, "|u1"}, {FileType::U32, "<u4"},
    {FileType::Bool, "|b1"}, {FileType::I8, "<i1"},  {FileType::U8, "<u1"},
};

/// What follows `'key':` in the header, a Python dict literal; empty if the key is missing.
std::string_view valueOf(std::string_view header, const char* key) {
  size_t at = header.find(format("'%s'", key));
  if (at == std::string_view::npos) {
    return {};
  }
  at = header.find(':', at);
  if (at == std::string_view::npos) {
    return {};
  }
  at = header.find_first_not_of(" \t", at + 1);
  return at == std::string_view::npos ? std::string_view() : header.substr(at);
}

/// "(3, 4)", "(3,)", "()".
bool parseShape(std::string_view text, std::vector<int64_t>& dims) {
  if (text.empty() || text[0] != '(') {
    return false;
  }
  dims.clear();
  int64_t number = 0;
  bool digits = false;
  for (char c : text.substr(1)) {
    if (c >= '0' && c <= '9') {
      if (number > (INT64_MAX - 9) / 10) {
        return false;
      }
      number = 10 * number + (c - '0');
      digits = true;
    } else if (c == ',' || c == ')') {
      if (digits) {
        dims.push_back(number);
      }
      number = 0;
      digits = false;
      if (c == ')') {
        return dims.size() <= 32;
      }
    } else if (c != ' ') {
      return false;
    }
  }
  return false;
}

} // namespace

Status readNpy(const uint8_t* file, uint64_t size, std::string_view fileName, NpyArray& array) {
  std::string name(fileName);
  ByteReader in(file, size);
  const uint8_t* start = in.raw(6);
  if (start == nullptr || std::memcmp(start, magic, 6) != 0) {
    return failure(ExitCode::BadInput, "`%s` is not a .npy file", name.c_str());
  }
  auto major = in.number<uint8_t>();
  in.number<uint8_t>();
  if (major != 1 && major != 2) {
    return failure(ExitCode::BadInput, "`%s` is a .npy file of version %d; versions 1 and 2 can be read", name.c_str(),
                   major);
  }
  uint64_t length = major == 1 ? in.number<uint16_t>() : in.number<uint32_t>();
  const uint8_t* text = in.raw(length);
  if (text == nullptr) {
    return failure(ExitCode::BadInput, "`%s` is truncated: it ends within its .npy header", name.c_str());
  }
  std::string_view header(reinterpret_cast<const char*>(text), length);
  std::string_view descr = valueOf(header, "descr");
  std::string_view order = valueOf(header, "fortran_order");
  const Spelling* found = nullptr;
  for (const Spelling& spelling : spellings) {
    if (descr.substr(0, 5) == format("'%s'", spelling.text)) {
      found = &spelling;
      break;
    }
  }
  if (found == nullptr) {
    return failure(ExitCode::BadInput,
                   "`%s` has elements of type %s; f4, f8, i1, i2, i4, i8, u1, u4 and bool in little-endian order can "
                   "be read",
                   name.c_str(), printable(descr.substr(0, descr.find(',')), 20).c_str());
  }
  if (order.substr(0, 5) != "False") {
    return failure(ExitCode::BadInput, "`%s` is in Fortran order; save it with numpy.ascontiguousarray", name.c_str());
  }
  uint64_t most = uint64_t{1} << 56;
  if (!parseShape(valueOf(header, "shape"), array.dims) || !elementCount(array.dims, array.count) ||
      array.count > most) {
    return failure(ExitCode::BadInput, "`%s` is damaged: its .npy header has no valid shape", name.c_str());
  }
  array.type = found->type;
  uint64_t wanted = array.count * static_cast<uint64_t>(byteSize(array.type));
  if (in.remaining() != wanted) {
    return failure(ExitCode::BadInput, "`%s` is %s: its header announces %llu bytes of values, it has %llu",
                   name.c_str(), in.remaining() < wanted ? "truncated" : "damaged",
                   static_cast<unsigned long long>(wanted), static_cast<unsigned long long>(in.remaining()));
  }
  array.values = in.raw(wanted);
  return success();
}

std::vector<uint8_t> writeNpy(plan::DType dtype, const std::vector<int64_t>& dims, const uint8_t* values) {
  FileType type = fileType(dtype);
  const char* spelling = "";
  for (const Spelling& candidate : spellings) {
    if (candidate.type == type) {
      spelling = candidate.text;
      break;
    }
  }
  std::string shape;
  uint64_t count = 1;
  for (int64_t dim : dims) {
    shape += format("%lld,", static_cast<long long>(dim));
    count *= static_cast<uint64_t>(dim);
  }
  if (dims.size() > 1) {
    shape.pop_back();
  }
  std::string header = format("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", spelling, shape.c_str());
  // The values start at a multiple of 64; the header ends with a line end.
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::vector<uint8_t> bytes;
  ByteWriter out(bytes);
  out.raw(magic, 6);
  out.number(uint8_t{1});
  out.number(uint8_t{0});
  out.number(static_cast<uint16_t>(header.size()));
  out.raw(header.data(), header.size());
  out.raw(values, count * static_cast<uint64_t>(plan::byteSize(dtype)));
  return bytes;
}

} // namespace dnn::runtime
