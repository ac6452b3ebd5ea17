#include "runtime/data/npy.h"

#include "runtime/plan/bytes.h"
#include "runtime/support/extent.h"
#include "runtime/support/text.h"
#include "runtime/types/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace dnn::runtime {

namespace {

constexpr char magic[] = "\x93NUMPY";

/// An element as its `descr` spells it.
struct Element {
  char kind = 'f'; // f, i, u, b
  int width = 4;
  bool bigEndian = false;
};

constexpr std::string_view elements[] = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"};

/// "'<f4'", "'|u1'", "'>i2'".
bool parseElement(std::string_view descr, Element& element) {
  if (descr.size() < 5 || descr[0] != '\'' || descr[4] != '\'' ||
      std::find(std::begin(elements), std::end(elements), descr.substr(2, 2)) == std::end(elements)) {
    return false;
  }
  element = {descr[2], descr[3] - '0', descr[1] == '>'};
  return descr[1] == '<' || descr[1] == '>' || descr[1] == '=' || (descr[1] == '|' && element.width == 1);
}

FileType typeOf(const Element& element) {
  switch (element.kind) {
  case 'f': return element.width == 8 ? FileType::F64 : FileType::F32;
  case 'b': return FileType::Bool;
  case 'i':
    return element.width == 1   ? FileType::I8
           : element.width == 2 ? FileType::I16
           : element.width == 4 ? FileType::I32
                                : FileType::I64;
  default:
    return element.width == 1   ? FileType::U8
           : element.width == 2 ? FileType::I32
           : element.width == 4 ? FileType::U32
                                : FileType::I64;
  }
}

template <class From, class To, class Convert>
void convertAll(const uint8_t* values, std::vector<uint8_t>& out, uint64_t count, Convert convert) {
  out.resize(count * sizeof(To));
  for (uint64_t i = 0; i < count; ++i) {
    From from;
    std::memcpy(&from, values + i * sizeof from, sizeof from);
    To to = convert(from);
    std::memcpy(out.data() + i * sizeof to, &to, sizeof to);
  }
}

/// Copies the values, as elements of the array's type. `bad`: the first that does not fit.
bool widen(const Element& element, const uint8_t* values, FileArray& array, uint64_t& bad) {
  if (element.kind == 'f' && element.width == 2) {
    convertAll<uint16_t, float>(values, array.values, array.count, fromF16);
    return true;
  }
  if (element.kind == 'u' && element.width == 2) {
    convertAll<uint16_t, int32_t>(values, array.values, array.count, [](uint16_t v) { return int32_t{v}; });
    return true;
  }
  array.values.assign(values, values + array.count * static_cast<uint64_t>(element.width));
  for (uint64_t i = 0; element.kind == 'u' && element.width == 8 && i < array.count; ++i) {
    if (values[i * 8 + 7] >= 0x80) {
      bad = i;
      return false;
    }
  }
  return true;
}

/// Copies values whose first index varies fastest so that the last one does.
void toCOrder(const uint8_t* values, const std::vector<int64_t>& dims, uint64_t width, uint8_t* out) {
  std::vector<uint64_t> strides;
  uint64_t count = 1;
  for (int64_t dim : dims) {
    strides.push_back(count);
    count *= static_cast<uint64_t>(dim);
  }
  std::vector<int64_t> index(dims.size(), 0);
  uint64_t from = 0;
  for (uint64_t i = 0; i < count; ++i) {
    std::memcpy(out + i * width, values + from * width, width);
    for (size_t d = dims.size(); d-- > 0;) {
      from += strides[d];
      if (++index[d] < dims[d]) {
        break;
      }
      from -= strides[d] * static_cast<uint64_t>(dims[d]);
      index[d] = 0;
    }
  }
}

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

namespace {

struct NpyLayout {
  Element element;
  bool fortran = false;
  uint64_t start = 0; // of the values
};

Status parseHeader(const uint8_t* file, uint64_t size, const std::string& name, FileArray& array, NpyLayout& layout) {
  ByteReader in(file, size);
  const uint8_t* start = in.raw(6);
  if (start == nullptr || std::memcmp(start, magic, 6) != 0) {
    return failure(ExitCode::BadInput, "`%s` is not a .npy file", name.c_str());
  }
  auto major = in.number<uint8_t>();
  in.number<uint8_t>();
  if (major < 1 || major > 3) {
    return failure(ExitCode::BadInput, "`%s` is a .npy file of version %d; versions 1 to 3 can be read", name.c_str(),
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
  if (!parseElement(descr, layout.element)) {
    return failure(ExitCode::BadInput,
                   "`%s` has elements of type %s; f2, f4, f8, i1 to i8, u1 to u8 and bool can be read", name.c_str(),
                   printable(descr.substr(0, descr.find(',')), 20).c_str());
  }
  layout.fortran = order.substr(0, 4) == "True";
  if (!layout.fortran && order.substr(0, 5) != "False") {
    return failure(ExitCode::BadInput, "`%s` is damaged: its .npy header does not say its order", name.c_str());
  }
  uint64_t most = uint64_t{1} << 56;
  if (!parseShape(valueOf(header, "shape"), array.dims) || !elementCount(array.dims, array.count) ||
      array.count > most) {
    return failure(ExitCode::BadInput, "`%s` is damaged: its .npy header has no valid shape", name.c_str());
  }
  array.type = typeOf(layout.element);
  layout.start = in.at();
  return success();
}

} // namespace

Status readNpyHeader(const uint8_t* file, uint64_t size, std::string_view name, FileArray& array) {
  NpyLayout layout;
  return parseHeader(file, size, std::string(name), array, layout);
}

bool isPlainNpy(const uint8_t* file, uint64_t size, std::string_view name, FileArray& array, uint64_t& start) {
  NpyLayout layout;
  bool read = parseHeader(file, size, std::string(name), array, layout).ok();
  start = layout.start;
  bool ordered = !layout.fortran || array.dims.size() < 2;
  bool native =
      layout.element.width == byteSize(array.type) && (!layout.element.bigEndian || layout.element.width == 1);
  bool fits = layout.element.kind != 'u' || layout.element.width != 8; // u8 values are checked one by one
  return read && ordered && native && fits;
}

Status readNpy(const uint8_t* file, uint64_t size, std::string_view fileName, FileArray& array) {
  std::string name(fileName);
  NpyLayout layout;
  if (Status status = parseHeader(file, size, name, array, layout); !status.ok()) {
    return status;
  }
  auto width = static_cast<uint64_t>(layout.element.width);
  uint64_t wanted = array.count * width;
  uint64_t found = size - layout.start;
  if (found != wanted) {
    return failure(ExitCode::BadInput, "`%s` is %s: its header announces %llu bytes of values, it has %llu",
                   name.c_str(), found < wanted ? "truncated" : "damaged", static_cast<unsigned long long>(wanted),
                   static_cast<unsigned long long>(found));
  }
  const uint8_t* values = file + layout.start;
  std::vector<uint8_t> ordered;
  if (layout.fortran && array.dims.size() > 1) {
    ordered.resize(wanted);
    toCOrder(values, array.dims, width, ordered.data());
    values = ordered.data();
  }
  if (layout.element.bigEndian && width > 1) {
    std::vector<uint8_t> swapped(values, values + wanted);
    for (uint64_t at = 0; at < wanted; at += width) {
      std::reverse(swapped.data() + at, swapped.data() + at + width);
    }
    ordered = std::move(swapped);
    values = ordered.data();
  }
  uint64_t bad = 0;
  if (!widen(layout.element, values, array, bad)) {
    return failure(ExitCode::BadInput, "`%s`, element %llu: the value is 2^63 or more, which i64 does not hold",
                   name.c_str(), static_cast<unsigned long long>(bad));
  }
  return success();
}

std::vector<uint8_t> writeNpy(plan::DType dtype, const std::vector<int64_t>& dims, const uint8_t* values) {
  const char* spelling = "";
  switch (dtype) {
  case plan::DType::F32: spelling = "<f4"; break;
  case plan::DType::F64: spelling = "<f8"; break;
  case plan::DType::I32: spelling = "<i4"; break;
  case plan::DType::I64: spelling = "<i8"; break;
  case plan::DType::U8: spelling = "|u1"; break;
  case plan::DType::U32: spelling = "<u4"; break;
  case plan::DType::Bool: spelling = "|b1"; break;
  case plan::DType::F16: spelling = "<f2"; break;
  case plan::DType::BF16: spelling = "<f4"; break; // NumPy has no bf16
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
  std::vector<uint8_t> widened;
  if (dtype == plan::DType::BF16) {
    convertAll<uint16_t, float>(values, widened, count, fromBf16);
    out.raw(widened.data(), widened.size());
  } else {
    out.raw(values, count * static_cast<uint64_t>(plan::byteSize(dtype)));
  }
  return bytes;
}

} // namespace dnn::runtime
