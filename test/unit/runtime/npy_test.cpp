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

std::string messageOf(const Bytes& bytes) {
  NpyArray array;
  return readNpy(bytes.data(), bytes.size(), "f.npy", array).message;
}

TEST(Npy, WhatIsWrittenIsRead) {
  float values[6] = {1, 2, 3, 4, 5, 6};
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{2, 3}, {6}, {1, 6, 1}}) {
    Bytes bytes = writeNpy(plan::DType::F32, dims, reinterpret_cast<uint8_t*>(values));
    EXPECT_EQ((bytes.size() - sizeof values) % 64, 0u);
    NpyArray array;
    ASSERT_EQ(readNpy(bytes.data(), bytes.size(), "f.npy", array).message, "");
    EXPECT_EQ(array.type, FileType::F32);
    EXPECT_EQ(array.dims, dims);
    EXPECT_EQ(std::memcmp(array.values, values, sizeof values), 0);
  }
}

TEST(Npy, VersionTwoAndScalars) {
  EXPECT_EQ(messageOf(file("{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", 8, 2)), "");
}

TEST(Npy, WhatCannotBeReadIsNamed) {
  EXPECT_EQ(messageOf(Bytes{1, 2, 3}), "`f.npy` is not a .npy file");
  EXPECT_EQ(messageOf(file("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4)),
            "`f.npy` has elements of type '>f4'; f4, f8, i1, i2, i4, i8, u1, u4 and bool in little-endian order can be "
            "read");
  EXPECT_EQ(messageOf(file("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", 4)),
            "`f.npy` is in Fortran order; save it with numpy.ascontiguousarray");
  EXPECT_EQ(messageOf(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 4)),
            "`f.npy` is truncated: its header announces 8 bytes of values, it has 4");
  EXPECT_EQ(messageOf(file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 5)),
            "`f.npy` is damaged: its header announces 4 bytes of values, it has 5");
  EXPECT_EQ(messageOf(file("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 4)),
            "`f.npy` is damaged: its .npy header has no valid shape");
  EXPECT_EQ(messageOf(file("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 4)),
            "`f.npy` is damaged: its .npy header has no valid shape");
  EXPECT_EQ(messageOf(file("{}", 4, 3)), "`f.npy` is a .npy file of version 3; versions 1 and 2 can be read");
}

TEST(Npy, EveryTruncationIsRefused) {
  Bytes bytes = file("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\n", 3);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_NE(messageOf(Bytes(bytes.begin(), bytes.begin() + static_cast<int64_t>(size))), "");
  }
}

} // namespace
} // namespace dnn::runtime
