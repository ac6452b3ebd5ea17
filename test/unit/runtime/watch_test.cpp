#include "runtime/train/watch.h"

#include "runtime/pool/pool.h"
#include "test/unit/runtime/fake_program.h"

#include <cstring>
#include <gtest/gtest.h>

namespace dnn::runtime {
namespace {

TEST(Watch, ALargeParameterIsCountedInPiecesToItsLastValue) {
  constexpr int64_t count = 200001;
  plan::Plan plan = test::fakePlan();
  plan::Persistent big{plan::Persistent::Kind::Parameter, "net.big", plan::DType::F32, {count}, FAKE_PERSISTENT_BYTES};
  plan.persistents.push_back(big);
  plan.persistentBytes += 4 * count;
  plan.entries[FAKE_STEP].watchedPersistents = {3};
  test::FakeProgram program(plan);
  for (int threads : {1, 2}) {
    Pool::global().setThreads(threads);
    Machine machine;
    ASSERT_TRUE(machine.load(program.module).ok());
    const plan::Entry& step = machine.plan().entries[FAKE_STEP];
    EXPECT_EQ(checkFinite(machine, step, 1, 1).message, "");
    for (int64_t at : {int64_t{0}, int64_t{32767}, int64_t{32768}, count - 1}) {
      std::memset(machine.persistent(big) + 4 * at, 0xFF, 4); // a NaN
    }
    EXPECT_EQ(checkFinite(machine, step, 7, 2).message,
              "step 7 (epoch 2): 4 of the 200,001 values of `net.big` are NaN or infinite; a smaller learning rate may "
              "help");
  }
  Pool::global().setThreads(1);
}

TEST(Watch, EveryValueHasItsTurnWithinWatchSteps) {
  constexpr int64_t count = 200001;
  plan::Plan plan = test::fakePlan();
  plan::Persistent big{plan::Persistent::Kind::Parameter, "net.big", plan::DType::F32, {count}, FAKE_PERSISTENT_BYTES};
  plan.persistents.push_back(big);
  plan.persistentBytes += 4 * count;
  plan.entries[FAKE_STEP].watchedPersistents = {0, 3};
  test::FakeProgram program(plan);
  for (int64_t at : {int64_t{0}, int64_t{1023}, int64_t{1024}, int64_t{70000}, count - 1}) {
    Machine machine;
    ASSERT_TRUE(machine.load(program.module).ok());
    const plan::Entry& entry = machine.plan().entries[FAKE_STEP];
    std::memset(machine.persistent(big) + 4 * at, 0xFF, 4);
    int found = 0;
    for (uint64_t step = 100; step < 100 + watchSteps; ++step) {
      Status status = checkFiniteShare(machine, entry, step, 1);
      found += status.ok() ? 0 : 1;
      EXPECT_EQ(checkFiniteShare(machine, entry, step + watchSteps, 1).ok(), status.ok());
    }
    EXPECT_EQ(found, 1) << at; // one step of each turn: each value is looked at once
  }
}

TEST(Watch, AFewParametersAreLookedAtInEveryStep) {
  test::FakeProgram program(test::fakePlan());
  Machine machine;
  ASSERT_TRUE(machine.load(program.module).ok());
  const plan::Entry& entry = machine.plan().entries[FAKE_STEP];
  std::memset(machine.persistent(machine.plan().persistents[0]), 0xFF, 4);
  for (uint64_t step = 1; step <= watchSteps; ++step) {
    EXPECT_EQ(checkFiniteShare(machine, entry, step, 1).code, ExitCode::Diverged);
  }
}

} // namespace
} // namespace dnn::runtime
