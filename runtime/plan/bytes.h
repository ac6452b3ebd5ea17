// Little-endian binary records: a writer that appends to a byte vector and a reader that never passes the end. Once a
// read fails, all later ones do and `ok()` is false, so callers may check once for a group of reads.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace dnn::runtime {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are copied from memory as they are");

class ByteWriter {
public:
  explicit ByteWriter(std::vector<uint8_t>& out) : out_(out) {}

  template <class T> void number(T value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    raw(&value, sizeof value);
  }
  void string(std::string_view text) {
    number(static_cast<uint32_t>(text.size()));
    raw(text.data(), text.size());
  }
  void raw(const void* data, size_t size) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    out_.insert(out_.end(), bytes, bytes + size);
  }

private:
  std::vector<uint8_t>& out_;
};

class ByteReader {
public:
  ByteReader(const uint8_t* data, uint64_t size) : data_(data), size_(size) {}

  template <class T> T number() {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    T value{};
    if (const uint8_t* bytes = raw(sizeof value)) {
      std::memcpy(&value, bytes, sizeof value);
    }
    return value;
  }
  std::string string() {
    auto size = number<uint32_t>();
    const uint8_t* bytes = raw(size);
    return bytes ? std::string(reinterpret_cast<const char*>(bytes), size) : std::string();
  }
  /// A count of records of at least `recordBytes` each; a count that the rest cannot hold is a failure.
  uint32_t count(uint64_t recordBytes) {
    auto value = number<uint32_t>();
    if (value > remaining() / recordBytes) {
      fail();
      return 0;
    }
    return value;
  }
  /// The next `size` bytes, or null.
  const uint8_t* raw(uint64_t size) {
    if (failed_ || size > size_ - at_) {
      fail();
      return nullptr;
    }
    const uint8_t* result = data_ + at_;
    at_ += size;
    return result;
  }
  void fail() { failed_ = true; }
  bool ok() const { return !failed_; }
  uint64_t at() const { return at_; }
  uint64_t remaining() const { return failed_ ? 0 : size_ - at_; }

private:
  const uint8_t* data_;
  uint64_t size_;
  uint64_t at_ = 0;
  bool failed_ = false;
};

} // namespace dnn::runtime
