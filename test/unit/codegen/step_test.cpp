// Step functions run in process with kernels that are written here: what they get passed, when, and what happens then.
#include "compiler/codegen/llvm/emit_step.h"
#include "compiler/codegen/jit.h"

#include <HalideRuntime.h>
#include <gtest/gtest.h>

#include <cstring>

namespace dnn::codegen {
namespace {

using Kind = schedule::KernelArg::Kind;

struct Seen {
  std::vector<int> in, out; // extents and strides, innermost first
  uint32_t scalars[5] = {};
  int calls = 0;
};
Seen seen;

std::vector<int> shape(const halide_buffer_t* b) {
  std::vector<int> s;
  for (int d = 0; d < b->dimensions; ++d) {
    EXPECT_EQ(b->dim[d].min, 0);
    s.push_back(b->dim[d].extent);
    s.push_back(b->dim[d].stride);
  }
  return s;
}

extern "C" int32_t doubled(halide_buffer_t* in, int32_t n, uint32_t lo, uint32_t hi, uint32_t step, uint32_t epoch,
                           halide_buffer_t* out) {
  ++seen.calls;
  seen.in = shape(in);
  seen.out = shape(out);
  uint32_t scalars[5] = {static_cast<uint32_t>(n), lo, hi, step, epoch};
  std::memcpy(seen.scalars, scalars, sizeof scalars);
  EXPECT_EQ(in->type.code, halide_type_float);
  EXPECT_EQ(in->type.bits, 32);
  EXPECT_EQ(in->type.lanes, 1);
  for (int i = 0; i < n * 3; ++i) {
    reinterpret_cast<float*>(out->host)[i] = 2 * reinterpret_cast<float*>(in->host)[i];
  }
  return 0;
}

extern "C" int32_t fails(halide_buffer_t*) { return 7; }

/// x[N, 3] at arena 0 → doubled → arena 256, copied to persistent 64; the step number at arena 1024.
StepProgram program() {
  StepProgram p;
  p.kernels.push_back({"doubled",
                       {{Kind::Input, 0},
                        {Kind::Symbol, 0},
                        {Kind::SeedLo, 0},
                        {Kind::SeedHi, 0},
                        {Kind::Step, 0},
                        {Kind::Epoch, 0},
                        {Kind::Output, 0}}});
  p.kernels.push_back({"fails", {{Kind::Output, 0}}});
  EntryCode entry;
  entry.name = "predict.f";
  entry.symbols = {{"N", 8}};
  Dim n = Dim::symbol(0);
  entry.descriptors = {{DType::F32, {n, 3}, {Place::Region::Arena, 0}},
                       {DType::F32, {3, n}, {Place::Region::Arena, 256}},
                       {DType::F32, {}, {Place::Region::Persistent, 0}}};
  using Arg = CallArg::Kind;
  entry.stores = {{false, {Place::Region::Arena, 1024}}};
  entry.calls = {{0,
                  {{Arg::Buffer, 0},
                   {Arg::Symbol, 0},
                   {Arg::SeedLo, 0},
                   {Arg::SeedHi, 0},
                   {Arg::Step, 0},
                   {Arg::Epoch, 0},
                   {Arg::Buffer, 1}}}};
  entry.copies = {{{Place::Region::Arena, 256}, {Place::Region::Persistent, 64}, 96}};
  EntryCode failing;
  failing.name = "failing";
  failing.descriptors = {{DType::I32, {5}, {Place::Region::Arena, 0}}};
  failing.calls = {{1, {{Arg::Buffer, 0}}}, {1, {{Arg::Buffer, 0}}}};
  p.entries = {entry, failing};
  p.plan = {1, 2, 3};
  return p;
}

std::unique_ptr<JitProgram> load() {
  auto object = stepObject(program());
  EXPECT_TRUE(object.ok());
  std::vector<std::vector<uint8_t>> objects = {*object};
  std::vector<HostSymbol> symbols = {{"doubled", reinterpret_cast<void*>(&doubled)},
                                     {"fails", reinterpret_cast<void*>(&fails)}};
  auto jit = JitProgram::load(objects, symbols);
  EXPECT_TRUE(jit.ok()) << jit.error().message;
  return std::move(*jit);
}

struct Memory {
  alignas(64) uint8_t persistent[4096] = {};
  alignas(64) uint8_t arena[4096] = {};
  float* f(size_t offset) { return reinterpret_cast<float*>(arena + offset); }
};

TEST(Step, ExportsTheModule) {
  auto jit = load();
  const DnnModule& m = jit->module();
  EXPECT_EQ(m.abi_version, DNN_ABI_VERSION);
  EXPECT_EQ(m.entry_count, 2u);
  ASSERT_EQ(m.plan_size, 3u);
  EXPECT_EQ(m.plan[2], 3);
}

TEST(Step, PassesBuffersOfTheRightShapeAndScalars) {
  auto jit = load();
  Memory memory;
  jit->module().bind(memory.persistent, memory.arena);
  for (int64_t rows : {8, 5, 5, 1, 8}) {
    for (int i = 0; i < 24; ++i) {
      memory.f(0)[i] = static_cast<float>(i);
    }
    DnnCall call{rows, 0x1122334455667788ULL, 9, 2, nullptr};
    ASSERT_EQ(jit->module().entries[0](&call), 0);
    int n = static_cast<int>(rows);
    EXPECT_EQ(seen.in, (std::vector<int>{3, 1, n, 3}));
    EXPECT_EQ(seen.out, (std::vector<int>{n, 1, 3, n}));
    EXPECT_EQ(seen.scalars[0], static_cast<uint32_t>(n));
    EXPECT_EQ(seen.scalars[1], 0x55667788u);
    EXPECT_EQ(seen.scalars[2], 0x11223344u);
    EXPECT_EQ(seen.scalars[3], 9u);
    EXPECT_EQ(seen.scalars[4], 2u);
    for (int i = 0; i < n * 3; ++i) {
      EXPECT_EQ(memory.f(256)[i], 2 * memory.f(0)[i]);
    }
  }
  uint32_t step = 0;
  std::memcpy(&step, memory.arena + 1024, 4);
  EXPECT_EQ(step, 9u);
  EXPECT_EQ(std::memcmp(memory.persistent + 64, memory.arena + 256, 96), 0);
}

TEST(Step, StopsAtTheFirstKernelThatFailsAndReturnsItsCode) {
  auto jit = load();
  Memory memory;
  jit->module().bind(memory.persistent, memory.arena);
  DnnCall call{};
  EXPECT_EQ(jit->module().entries[1](&call), 7);
}

TEST(Step, MemoryMayMove) {
  auto jit = load();
  Memory first, second;
  jit->module().bind(first.persistent, first.arena);
  jit->module().bind(second.persistent, second.arena);
  second.f(0)[0] = 21;
  DnnCall call{1, 0, 0, 0, nullptr};
  ASSERT_EQ(jit->module().entries[0](&call), 0);
  EXPECT_EQ(second.f(256)[0], 42);
  EXPECT_EQ(first.f(256)[0], 0);
}

TEST(Step, AMissingSymbolIsAnErrorThatNamesIt) {
  auto object = stepObject(program());
  ASSERT_TRUE(object.ok());
  std::vector<std::vector<uint8_t>> objects = {*object};
  auto jit = JitProgram::load(objects, {});
  ASSERT_FALSE(jit.ok());
  EXPECT_NE(jit.error().message.find("doubled"), std::string::npos) << jit.error().message;
}

TEST(Step, TextNamesTheEntries) {
  auto ir = stepIr(program());
  ASSERT_TRUE(ir.ok());
  EXPECT_NE(ir->find("define internal i32 @dnn_predict.f(ptr %call)"), std::string::npos) << *ir;
  auto assembly = stepAssembly(program());
  ASSERT_TRUE(assembly.ok());
  EXPECT_NE(assembly->find("dnn_module:"), std::string::npos);
}

} // namespace
} // namespace dnn::codegen
