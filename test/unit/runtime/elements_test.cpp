#include "runtime/data/elements.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace dnn::runtime {
namespace {

using plan::DType;

/// The converted values, or the index of the bad one.
template <class To, class From>
std::vector<To> convert(FileType from, DType to, const std::vector<From>& values, uint64_t* bad = nullptr) {
  Column column;
  column.dtype = to;
  uint64_t where = 0;
  bool ok = convertInto(from, reinterpret_cast<const uint8_t*>(values.data()), values.size(), column, where);
  EXPECT_EQ(ok, bad == nullptr);
  if (bad != nullptr) {
    *bad = where;
  }
  std::vector<To> result(column.bytes.size() / sizeof(To));
  std::memcpy(result.data(), column.bytes.data(), column.bytes.size());
  return result;
}

TEST(Elements, SmallIntegersWiden) {
  EXPECT_EQ((convert<int32_t, int8_t>(FileType::I8, DType::I32, {-1, 127})), (std::vector<int32_t>{-1, 127}));
  EXPECT_EQ((convert<float, uint8_t>(FileType::U8, DType::F32, {0, 255})), (std::vector<float>{0, 255}));
}

TEST(Elements, ValuesThatDoNotFitAreFound) {
  uint64_t bad = 0;
  convert<uint8_t, int16_t>(FileType::I16, DType::U8, {0, 255, 256}, &bad);
  EXPECT_EQ(bad, 2u);
  convert<int32_t, float>(FileType::F32, DType::I32, {1.0f, 1.5f}, &bad);
  EXPECT_EQ(bad, 1u);
  convert<int32_t, float>(FileType::F32, DType::I32, {2147483648.0f}, &bad);
  EXPECT_EQ(bad, 0u);
  convert<int64_t, double>(FileType::F64, DType::I64, {1, NAN}, &bad);
  EXPECT_EQ(bad, 1u);
  convert<uint8_t, uint8_t>(FileType::Bool, DType::Bool, {0, 1, 2}, &bad);
  EXPECT_EQ(bad, 2u);
}

TEST(Elements, LeastAndGreatestFit) {
  EXPECT_EQ((convert<int32_t, double>(FileType::F64, DType::I32, {-2147483648.0, 2147483647.0})),
            (std::vector<int32_t>{INT32_MIN, INT32_MAX}));
}

TEST(Elements, BoundsAndFiniteness) {
  Column column;
  column.dtype = DType::U8;
  column.bytes = {0, 9, 10};
  uint64_t bad = 0;
  std::string reason;
  EXPECT_TRUE(findBadValue(column, 10, bad, reason));
  EXPECT_EQ(bad, 2u);
  EXPECT_EQ(reason, "is 10; the values must be in 0..9");
  EXPECT_FALSE(findBadValue(column, 11, bad, reason));
  EXPECT_FALSE(findBadValue(column, 0, bad, reason));
}

} // namespace
} // namespace dnn::runtime
