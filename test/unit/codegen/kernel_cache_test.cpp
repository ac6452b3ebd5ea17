// The cache gives back what was stored, and nothing when in doubt.
#include "compiler/codegen/kernel_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace dnn::codegen {
namespace {

namespace fs = std::filesystem;

class KernelCacheTest : public testing::Test {
protected:
  fs::path folder = fs::temp_directory_path() / ("dnnc-cache-test-" + std::to_string(getpid()));
  std::string problem;

  void SetUp() override { fs::remove_all(folder); }
  void TearDown() override { fs::remove_all(folder); }

  KernelCache open() { return KernelCache(CacheFolder(folder.string(), problem)); }

  static schedule::KernelObject kernel(size_t size) {
    schedule::KernelObject k;
    k.name = "k_1";
    k.args = {{schedule::KernelArg::Kind::Input, 1}, {schedule::KernelArg::Kind::Step, 0}};
    for (size_t i = 0; i < size; ++i) {
      k.bytes.push_back(static_cast<uint8_t>(i * 7));
    }
    return k;
  }

  fs::path onlyFile() const { return fs::directory_iterator(folder)->path(); }
};

TEST_F(KernelCacheTest, GivesBackWhatWasStored) {
  KernelCache cache = open();
  EXPECT_EQ(problem, "");
  EXPECT_FALSE(cache.find("key"));
  cache.store("key", kernel(1000));
  auto found = open().find("key");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "k_1");
  EXPECT_EQ(found->bytes, kernel(1000).bytes);
  ASSERT_EQ(found->args.size(), 2u);
  EXPECT_EQ(found->args[1].kind, schedule::KernelArg::Kind::Step);
  EXPECT_FALSE(cache.find("other key"));
}

TEST_F(KernelCacheTest, FolderIsPrivate) {
  open();
  struct stat info = {};
  ASSERT_EQ(stat(folder.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(KernelCacheTest, AFolderThatOthersMayWriteToIsRefused) {
  fs::create_directory(folder);
  chmod(folder.c_str(), 0777);
  KernelCache cache = open();
  EXPECT_NE(problem, "");
  cache.store("key", kernel(10));
  EXPECT_FALSE(cache.find("key"));
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST_F(KernelCacheTest, AnyFlippedBitOrCutIsNoEntry) {
  KernelCache cache = open();
  cache.store("key", kernel(40));
  std::ifstream in(onlyFile(), std::ios::binary);
  std::string good((std::istreambuf_iterator<char>(in)), {});
  auto write = [&](const std::string& bytes) { std::ofstream(onlyFile(), std::ios::binary) << bytes; };
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    write(bad);
    EXPECT_FALSE(cache.find("key")) << "byte " << i;
    write(good.substr(0, i));
    EXPECT_FALSE(cache.find("key")) << "cut at " << i;
  }
  write(good);
  EXPECT_TRUE(cache.find("key"));
}

TEST_F(KernelCacheTest, TrimRemovesWhatWasNotUsedForLongest) {
  KernelCache cache = open();
  for (int i = 0; i < 4; ++i) {
    cache.store("key" + std::to_string(i), kernel(1000));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(cache.find("key0")); // used just now
  CacheFolder(folder.string(), problem).trim(2500);
  EXPECT_TRUE(cache.find("key0"));
  EXPECT_FALSE(cache.find("key1"));
  EXPECT_FALSE(cache.find("key2"));
  EXPECT_TRUE(cache.find("key3"));
}

TEST_F(KernelCacheTest, WritersAtTheSameTimeLeaveOneGoodEntry) {
  KernelCache cache = open();
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        cache.store("key", kernel(5000));
        auto found = cache.find("key");
        EXPECT_TRUE(found && found->bytes == kernel(5000).bytes);
      }
    });
  }
  for (std::thread& t : writers) {
    t.join();
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
}

} // namespace
} // namespace dnn::codegen
