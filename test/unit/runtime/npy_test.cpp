#include "runtime/data/npy.h"

#include <cstring>
#include <gtest/gtest.h>

namespace dnn::runtime {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes file(const std::string& header, size_t valueBytes, int major = 1) {
  std::string text("\x93NUMPY", 6);
  text += static_cast<char>(major);
  text += '\0';
  auto size = static_cast<uint32_t>(header.size());
  text.append(reinterpret_cast<const char*>(&size), major == 1 ? 2 : 4);
  text += header;
  text.append(valueBytes, '\1');
  return Bytes(text.begin(), text.end());
}

std::string npyErrorOf(const Bytes& bytes) {
  FileArray array;
  return readNpy(bytes.data(), bytes.size(), "f.npy", array).message;
}

TEST(Npy, WhatIsWrittenIsRead) {
  float values[6] = {1, 2, 3, 4, 5, 6};
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{2, 3}, {6}, {1, 6, 1}}) {
    Bytes bytes = writeNpy(plan::DType::F32, dims, reinterpret_cast<uint8_t*>(values));
    EXPECT_EQ((bytes.size() - sizeof values) % 64, 0u);
    FileArray array;
    ASSERT_EQ(readNpy(bytes.data(), bytes.size(), "f.npy", array).message, "");
    EXPECT_EQ(array.type, FileType::F32);
    EXPECT_EQ(array.dims, dims);
    EXPECT_EQ(std::memcmp(array.values.data(), values, sizeof values), 0);
  }
}

TEST(Npy, VersionTwoAndScalars) {
  EXPECT_EQ(npyErrorOf(file("{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", 8, 2)), "");
}

TEST(Npy, WhatCannotBeReadIsNamed) {
  EXPECT_EQ(npyErrorOf(Bytes{1, 2, 3}), "`f.npy` is not a .npy file");
  EXPECT_EQ(npyErrorOf(file("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", 8)),
            "`f.npy` has elements of type '<c8'; f2, f4, f8, i1 to i8, u1 to u8 and bool can be read");
  EXPECT_EQ(npyErrorOf(file("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8)),
            "`f.npy` has elements of type '|O'; f2, f4, f8, i1 to i8, u1 to u8 and bool can be read");
  EXPECT_EQ(npyErrorOf(file("{'descr': '<f4', 'shape': (1,), }", 4)),
            "`f.npy` is damaged: its .npy header does not say its order");
  EXPECT_EQ(npyErrorOf(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 4)),
            "`f.npy` is truncated: its header announces 8 bytes of values, it has 4");
  EXPECT_EQ(npyErrorOf(file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 5)),
            "`f.npy` is damaged: its header announces 4 bytes of values, it has 5");
  EXPECT_EQ(npyErrorOf(file("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 4)),
            "`f.npy` is damaged: its .npy header has no valid shape");
  EXPECT_EQ(npyErrorOf(file("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 4)),
            "`f.npy` is damaged: its .npy header has no valid shape");
  EXPECT_EQ(npyErrorOf(file("{}", 4, 4)), "`f.npy` is a .npy file of version 4; versions 1 to 3 can be read");
}

/// The values of a file with this type, shape and order, as type T.
template <class T, class Raw>
std::vector<T> read(const std::string& descr, const std::string& shape, const std::vector<Raw>& raw, FileType type,
                    bool fortran = false) {
  Bytes bytes = file(
      "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }", 0);
  const auto* start = reinterpret_cast<const uint8_t*>(raw.data());
  bytes.insert(bytes.end(), start, start + raw.size() * sizeof(Raw));
  FileArray array;
  EXPECT_EQ(readNpy(bytes.data(), bytes.size(), "f.npy", array).message, "");
  EXPECT_EQ(array.type, type);
  EXPECT_EQ(array.values.size(), raw.size() * sizeof(T));
  std::vector<T> values(raw.size());
  std::memcpy(values.data(), array.values.data(), raw.size() * sizeof(T));
  return values;
}

TEST(Npy, FortranOrderBecomesCOrder) {
  EXPECT_EQ((read<int32_t, int32_t>("<i4", "(2, 3)", {1, 4, 2, 5, 3, 6}, FileType::I32, true)),
            (std::vector<int32_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ((read<uint8_t, uint8_t>("|u1", "(2, 2, 2)", {1, 5, 3, 7, 2, 6, 4, 8}, FileType::U8, true)),
            (std::vector<uint8_t>{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(Npy, TypesAreWidenedWithoutLoss) {
  // 1, -2, the largest, the smallest normal and the smallest float16.
  EXPECT_EQ((read<float, uint16_t>("<f2", "(5,)", {0x3C00, 0xC000, 0x7BFF, 0x0400, 0x0001}, FileType::F32)),
            (std::vector<float>{1, -2, 65504, 0x1p-14f, 0x1p-24f}));
  EXPECT_EQ((read<int32_t, uint16_t>("<u2", "(2,)", {0, 65535}, FileType::I32)), (std::vector<int32_t>{0, 65535}));
  EXPECT_EQ((read<int16_t, uint16_t>(">i2", "(2,)", {0x0100, 0xFFFF}, FileType::I16)), (std::vector<int16_t>{1, -1}));
  EXPECT_EQ((read<int64_t, uint64_t>("<u8", "(1,)", {INT64_MAX}, FileType::I64)), (std::vector<int64_t>{INT64_MAX}));
  Bytes bytes = file("{'descr': '<u8', 'fortran_order': False, 'shape': (1,), }", 7);
  bytes.push_back(0x80);
  EXPECT_EQ(npyErrorOf(bytes), "`f.npy`, element 0: the value is 2^63 or more, which i64 does not hold");
}

TEST(Npy, EveryTruncationIsRefused) {
  Bytes bytes = file("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\n", 3);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_NE(npyErrorOf(Bytes(bytes.begin(), bytes.begin() + static_cast<int64_t>(size))), "");
  }
}

} // namespace
} // namespace dnn::runtime
