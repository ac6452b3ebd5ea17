#include "runtime/train/read_ahead.h"

#include <gtest/gtest.h>
#include <memory>

namespace dnn::runtime {
namespace {

TEST(ReadAhead, GivesWhatIsAskedForWhateverWasExpected) {
  std::vector<BatchKey> read;
  auto ahead = std::make_unique<ReadAhead>([&](BatchKey key, ReadAhead::Bytes& bytes) {
    read.push_back(key);
    bytes = {static_cast<uint8_t>(key.first), static_cast<uint8_t>(key.second)};
    return success();
  });
  auto take = [&](BatchKey key, BatchKey next) {
    const uint8_t* bytes = nullptr;
    EXPECT_TRUE(ahead->take(key, next, bytes).ok());
    EXPECT_EQ(bytes[0], key.first);
    EXPECT_EQ(bytes[1], key.second);
  };
  take({0, 0}, {0, 1});
  take({0, 1}, {1, 0}); // was ready, or on its way
  take({5, 3}, {5, 4}); // another one than expected
  take({5, 4}, {5, 5});
  ahead.reset(); // the thread has ended
  EXPECT_EQ(std::vector<BatchKey>(read.begin(), read.begin() + 3), (std::vector<BatchKey>{{0, 0}, {0, 1}, {1, 0}}));
}

TEST(ReadAhead, AnErrorIsSaidWhenTheStepIsTaken) {
  ReadAhead ahead([](BatchKey key, ReadAhead::Bytes& bytes) {
    bytes = {1};
    return key.second == 1 ? failure(ExitCode::Io, "gone") : success();
  });
  const uint8_t* bytes = nullptr;
  EXPECT_TRUE(ahead.take({0, 0}, {0, 1}, bytes).ok());
  EXPECT_EQ(ahead.take({0, 1}, {0, 2}, bytes).message, "gone");
  EXPECT_EQ(ahead.take({0, 1}, {0, 2}, bytes).message, "gone"); // read again
  EXPECT_TRUE(ahead.take({0, 2}, {0, 3}, bytes).ok());
}

} // namespace
} // namespace dnn::runtime
