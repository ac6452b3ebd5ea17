// Jobs in a process of their own: results come back in order, and whatever goes wrong there is an error here.
#include "compiler/codegen/worker.h"

#include "compiler/codegen/build_id.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace dnn::codegen {
namespace {

using Bytes = std::vector<uint8_t>;

TEST(Worker, ResultsAreInTheOrderOfTheJobs) {
  for (int threads : {1, 2, 5}) {
    auto results = runInWorker(40, [](size_t i) { return Result<Bytes>(Bytes(i * 1000, static_cast<uint8_t>(i))); },
                               {.threads = threads});
    ASSERT_TRUE(results.ok()) << results.error().message;
    ASSERT_EQ(results->size(), 40u);
    for (size_t i = 0; i < 40; ++i) {
      EXPECT_EQ((*results)[i], Bytes(i * 1000, static_cast<uint8_t>(i)));
    }
  }
}

TEST(Worker, RunsInAProcessOfItsOwn) {
  int here = 0;
  pid_t self = getpid();
  auto results = runInWorker(1,
                             [&](size_t) {
                               ++here;
                               return Result<Bytes>(Bytes{static_cast<uint8_t>(getpid() != self && getppid() == self)});
                             },
                             {.threads = 1, .prepare = [&] {
                                here += 10;
                                return success();
                              }});
  ASSERT_TRUE(results.ok());
  EXPECT_EQ((*results)[0], Bytes{1});
  EXPECT_EQ(here, 0);
}

TEST(Worker, AnErrorOfAJobIsTheErrorOfAll) {
  auto job = [](size_t i) { return i == 3 ? Result<Bytes>(Error{"no", "there"}) : Result<Bytes>(Bytes{1}); };
  auto results = runInWorker(100, job, {.threads = 2});
  ASSERT_FALSE(results.ok());
  EXPECT_EQ(results.error().message, "no");
  EXPECT_EQ(results.error().where, "there");
}

TEST(Worker, AFailedPreparationIsAnError) {
  auto job = [](size_t) { return Result<Bytes>(Bytes{1}); };
  auto results = runInWorker(2, job, {.threads = 2, .prepare = [] { return Status(Error{"not here", ""}); }});
  ASSERT_FALSE(results.ok());
  EXPECT_EQ(results.error().message, "not here");
}

TEST(Worker, ItsDeathIsAnErrorThatNamesTheReason) {
  auto job = [](size_t i) {
    if (i == 5) {
      std::signal(SIGSEGV, SIG_DFL);
      raise(SIGSEGV);
    }
    return Result<Bytes>(Bytes{1});
  };
  auto results = runInWorker(9, job, {.threads = 1});
  ASSERT_FALSE(results.ok());
  EXPECT_NE(results.error().message.find("Segmentation fault"), std::string::npos) << results.error().message;
}

TEST(BuildId, FollowsTheContentNotTheFile) {
  namespace fs = std::filesystem;
  std::string id = buildIdOf("/proc/self/exe");
  fs::path copy = fs::temp_directory_path() / ("dnnc-build-id-" + std::to_string(getpid()));
  fs::copy_file("/proc/self/exe", copy);
  if (id.find("bytes of") == std::string::npos) { // this program was linked with one
    EXPECT_EQ(buildIdOf(copy.string()), id);
  }
  std::ofstream(copy, std::ios::trunc) << "no program";
  EXPECT_NE(buildIdOf(copy.string()).find("10 bytes of"), std::string::npos);
  fs::remove(copy);
  EXPECT_EQ(buildIdOf(copy.string()), "none");
}

} // namespace
} // namespace dnn::codegen
