#include "runtime/checkpoint/checkpoint.h"

#include "test/unit/runtime/fake_program.h"

#include <csignal>
#include <cstring>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace dnn::runtime {
namespace {

using test::TemporaryFolder;

struct Fixture {
  plan::Plan plan = test::fakePlan();
  std::vector<uint8_t> memory = std::vector<uint8_t>(FAKE_PERSISTENT_BYTES);
  TrainState state;

  Fixture() {
    for (size_t i = 0; i < memory.size(); ++i) {
      memory[i] = static_cast<uint8_t>(i);
    }
    state.seed = 9;
    state.step = 17;
    state.epoch = 1;
    state.position = 4;
    state.rows = {100};
    state.logSums = {2.5};
    state.logWeights = {32};
    state.best = {true, 0.75, 1};
  }
  std::vector<uint8_t> bytes() const { return encodeCheckpoint(plan, memory.data(), state); }
};

std::string parseError(const std::vector<uint8_t>& bytes) {
  CheckpointFile file;
  return parseCheckpoint(bytes.data(), bytes.size(), "f", file).message;
}

TEST(Checkpoint, StateAndTensorsComeBack) {
  Fixture f;
  TemporaryFolder folder;
  std::string path = folder.path("a.ckpt");
  ASSERT_EQ(saveCheckpoint(path, f.plan, f.memory.data(), f.state).message, "");
  std::vector<uint8_t> memory(FAKE_PERSISTENT_BYTES);
  TrainState state;
  ASSERT_EQ(loadCheckpoint(path, f.plan, memory.data(), state).message, "");
  EXPECT_EQ(std::memcmp(memory.data() + FAKE_W, f.memory.data() + FAKE_W, 12), 0);
  EXPECT_EQ(std::memcmp(memory.data() + FAKE_MOMENTUM, f.memory.data() + FAKE_MOMENTUM, 12), 0);
  EXPECT_EQ(encodeCheckpoint(f.plan, memory.data(), state), f.bytes());
  EXPECT_EQ(state.position, 4u);
  EXPECT_EQ(state.best.value, 0.75);
}

TEST(Checkpoint, BytesBetweenTensorsDoNotMatter) {
  Fixture f;
  std::vector<uint8_t> before = f.bytes();
  f.memory[FAKE_W + 12] ^= 1; // padding
  EXPECT_EQ(f.bytes(), before);
}

TEST(Checkpoint, EveryTruncationIsRefused) {
  std::vector<uint8_t> bytes = Fixture().bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_NE(parseError({bytes.begin(), bytes.begin() + static_cast<int64_t>(size)}), "") << size;
  }
  EXPECT_EQ(parseError({bytes.begin(), bytes.end() - 5}), "checkpoint `f` is truncated: it has " +
                                                              std::to_string(bytes.size() - 5) + " of " +
                                                              std::to_string(bytes.size()) + " bytes");
}

TEST(Checkpoint, EveryFlippedBitIsRefused) {
  std::vector<uint8_t> bytes = Fixture().bytes();
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::vector<uint8_t> damaged = bytes;
    damaged[bit / 8] = static_cast<uint8_t>(damaged[bit / 8] ^ (1u << bit % 8));
    ASSERT_NE(parseError(damaged), "") << bit;
  }
}

TEST(Checkpoint, OtherFilesAndVersionsAreNamed) {
  EXPECT_EQ(parseError({'h', 'e', 'l', 'l', 'o'}), "`f` is not a checkpoint");
  std::vector<uint8_t> bytes = Fixture().bytes();
  bytes[8] = 1;
  EXPECT_EQ(parseError(bytes), "`f` is a checkpoint of version 1; this program reads version 3");
}

TEST(Checkpoint, AnotherNetworkIsRefusedWithThePathThatDiffers) {
  Fixture f;
  CheckpointFile file;
  std::vector<uint8_t> bytes = f.bytes();
  ASSERT_TRUE(parseCheckpoint(bytes.data(), bytes.size(), "f", file).ok());
  plan::Plan other = f.plan;
  other.persistents[0].dims = {4};
  EXPECT_EQ(checkSameProgram(other, file, "f").message,
            "checkpoint `f` is of another network: `net.w` is f32[3] there and f32[4] here");
  other = f.plan;
  other.persistents[1].path = "net.bias";
  EXPECT_EQ(checkSameProgram(other, file, "f").message, "checkpoint `f` is of another network: it has no `net.bias`");
  other = f.plan;
  other.persistents.pop_back();
  EXPECT_EQ(checkSameProgram(other, file, "f").message,
            "checkpoint `f` is of another network: it has `o.m/net.w`, which this program has not");
  other = f.plan;
  other.fingerprint = "other";
  EXPECT_EQ(checkSameProgram(other, file, "f").message,
            "checkpoint `f` is of another network: the parameters have the same names and shapes, but the program that "
            "wrote it has another vocabulary");
}

TEST(Checkpoint, ARefusedFileChangesNothing) {
  Fixture f;
  TemporaryFolder folder;
  std::string path = folder.path("a.ckpt");
  std::vector<uint8_t> bytes = f.bytes();
  bytes[bytes.size() / 2] ^= 1;
  test::writeText(path, std::string(bytes.begin(), bytes.end()));
  std::vector<uint8_t> memory(FAKE_PERSISTENT_BYTES, 0xAA);
  TrainState state;
  state.step = 5;
  EXPECT_EQ(loadCheckpoint(path, f.plan, memory.data(), state).code, ExitCode::BadInput);
  EXPECT_EQ(memory, std::vector<uint8_t>(FAKE_PERSISTENT_BYTES, 0xAA));
  EXPECT_EQ(state.step, 5u);
}

TEST(Checkpoint, AFullDiskLeavesTheOldFile) {
  Fixture f;
  TemporaryFolder folder;
  std::string path = folder.path("a.ckpt");
  ASSERT_TRUE(saveCheckpoint(path, f.plan, f.memory.data(), f.state).ok());
  std::string before = test::readText(path);
  f.state.step = 1000;

  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  rlimit small = old;
  small.rlim_cur = 64;
  setrlimit(RLIMIT_FSIZE, &small);
  Status status = saveCheckpoint(path, f.plan, f.memory.data(), f.state);
  setrlimit(RLIMIT_FSIZE, &old);

  EXPECT_EQ(status.code, ExitCode::Io);
  EXPECT_EQ(status.message, "cannot write `" + path + "`: File too large; the file that was there is unchanged");
  EXPECT_EQ(test::readText(path), before);
  EXPECT_EQ(test::readText(path + ".tmp"), "");
}

} // namespace
} // namespace dnn::runtime
