#include "runtime/data/idx.h"

#include <cstring>
#include <gtest/gtest.h>
#include <zlib.h>

namespace dnn::runtime {
namespace {

using Bytes = std::vector<uint8_t>;

const Bytes twoByThree = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 10, 20, 30, 40, 50, 60};

Bytes gzipped(const Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  Bytes out(bytes.size() + 100);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string messageOf(const Bytes& file) {
  IdxHeader header;
  Bytes values;
  Status status = readIdx(file.data(), file.size(), "f", header, values);
  EXPECT_EQ(status.code == ExitCode::BadInput, !status.ok());
  return status.message;
}

TEST(Idx, PlainAndCompressed) {
  for (const Bytes& file : {twoByThree, gzipped(twoByThree)}) {
    IdxHeader header;
    Bytes values;
    Status status = readIdx(file.data(), file.size(), "f", header, values);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_EQ(header.type, FileType::U8);
    EXPECT_EQ(header.dims, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(values, (Bytes{10, 20, 30, 40, 50, 60}));
  }
}

TEST(Idx, BigEndianValuesArriveInMachineOrder) {
  Bytes file = {0, 0, 0x0c, 1, 0, 0, 0, 2, 0, 0, 1, 2, 0xff, 0xff, 0xff, 0xfe};
  IdxHeader header;
  Bytes values;
  ASSERT_TRUE(readIdx(file.data(), file.size(), "f", header, values).ok());
  int32_t numbers[2];
  std::memcpy(numbers, values.data(), sizeof numbers);
  EXPECT_EQ(numbers[0], 258);
  EXPECT_EQ(numbers[1], -2);
}

TEST(Idx, TwoGzipMembersAreOneFile) {
  Bytes start(twoByThree.begin(), twoByThree.begin() + 14);
  Bytes end(twoByThree.begin() + 14, twoByThree.end());
  Bytes file = gzipped(start);
  Bytes second = gzipped(end);
  file.insert(file.end(), second.begin(), second.end());
  EXPECT_EQ(messageOf(file), "");
}

TEST(Idx, EveryTruncationIsRefused) {
  for (size_t size = 0; size < twoByThree.size(); ++size) {
    EXPECT_NE(messageOf(Bytes(twoByThree.begin(), twoByThree.begin() + static_cast<int64_t>(size))), "");
  }
  EXPECT_EQ(messageOf(Bytes(twoByThree.begin(), twoByThree.end() - 1)),
            "`f` is truncated: its IDX header announces 18 bytes, it has 17");
  Bytes compressed = gzipped(twoByThree);
  for (size_t size = 0; size < compressed.size(); ++size) {
    EXPECT_NE(messageOf(Bytes(compressed.begin(), compressed.begin() + static_cast<int64_t>(size))), "");
  }
}

TEST(Idx, BytesAfterTheEndAreRefused) {
  Bytes file = twoByThree;
  file.push_back(0);
  const char* message = "`f` is damaged: it goes on after the 18 bytes that its IDX header announces";
  EXPECT_EQ(messageOf(file), message);
  EXPECT_EQ(messageOf(gzipped(file)), message);
}

TEST(Idx, OtherFilesAreRefused) {
  EXPECT_NE(messageOf({'P', 'N', 'G', 0, 1, 2}).find("is not an IDX file"), std::string::npos);
  EXPECT_NE(messageOf({0, 0, 0x0a, 1, 0, 0, 0, 0}).find("is not an IDX file"), std::string::npos);
  EXPECT_NE(messageOf({0, 0, 8, 0}).find("is not an IDX file"), std::string::npos);
  EXPECT_NE(messageOf({0, 0, 8, 9}).find("is not an IDX file"), std::string::npos);
}

TEST(Idx, AHeaderThatPromisesTooMuchCostsNothing) {
  Bytes huge = {0, 0, 0x0e, 4, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
  EXPECT_EQ(messageOf(huge), "`f` is damaged: its IDX header promises more than 2^46 values");
  Bytes large = {0, 0, 8, 2, 0, 0, 16, 0, 255, 255, 255, 255, 1};
  EXPECT_NE(messageOf(large).find("is truncated"), std::string::npos);
  EXPECT_NE(messageOf(gzipped(large)).find("is truncated"), std::string::npos);
}

TEST(Idx, EveryFlippedBitOfCompressedDataIsNoticedOrHarmless) {
  Bytes file = gzipped(twoByThree);
  int noticed = 0;
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    Bytes damaged = file;
    damaged[bit / 8] = static_cast<uint8_t>(damaged[bit / 8] ^ (1u << bit % 8));
    IdxHeader header;
    Bytes values;
    Status status = readIdx(damaged.data(), damaged.size(), "f", header, values);
    noticed += status.ok() ? 0 : 1;
    if (status.ok()) { // a time stamp or flag in the gzip header
      EXPECT_EQ(values, (Bytes{10, 20, 30, 40, 50, 60}));
    }
  }
  EXPECT_GT(noticed, static_cast<int>(8 * (file.size() - 10)) - 8);
}

} // namespace
} // namespace dnn::runtime
