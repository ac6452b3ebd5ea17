// Objects are linked with each other and with this process; what cannot be linked is an error.
#include "compiler/codegen/jit.h"

#include "compiler/codegen/elf_object.h"
#include "compiler/codegen/llvm/emit_step.h"

#include <cstddef>
#include <cstring>
#include <gtest/gtest.h>

namespace dnn::codegen {
namespace {

using Objects = std::vector<std::vector<uint8_t>>;

/// The object of a program without entries, whose module has the name and names the next one.
std::vector<uint8_t> moduleObject(const std::string& symbol, const std::string& next = "") {
  StepProgram program;
  program.plan = {1, 2, 3};
  program.symbol = symbol;
  program.next = next;
  auto object = stepObject(program);
  EXPECT_TRUE(object.ok());
  return *object;
}

/// Gives all relocations of the object another kind.
void changeKind(std::vector<uint8_t>& object, uint32_t kind) {
  Elf64_Ehdr header;
  std::memcpy(&header, object.data(), sizeof header);
  for (size_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    std::memcpy(&section, object.data() + header.e_shoff + i * sizeof section, sizeof section);
    if (section.sh_type != SHT_RELA) {
      continue;
    }
    for (uint64_t at = section.sh_offset; at < section.sh_offset + section.sh_size; at += sizeof(Elf64_Rela)) {
      Elf64_Rela relocation;
      std::memcpy(&relocation, object.data() + at, sizeof relocation);
      relocation.r_info = ELF64_R_INFO(ELF64_R_SYM(relocation.r_info), kind);
      std::memcpy(object.data() + at, &relocation, sizeof relocation);
    }
  }
}

TEST(Jit, ObjectsFindEachOther) {
  Objects objects = {moduleObject("dnn_module_1"), moduleObject("dnn_module", "dnn_module_1")};
  auto program = JitProgram::load(objects, {});
  ASSERT_TRUE(program.ok()) << program.error().message;
  const DnnModule* next = (*program)->module().next;
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->next, nullptr);
  EXPECT_EQ(next->plan[2], 3);
}

TEST(Jit, WhatIsNotThereIsNamed) {
  Objects objects = {moduleObject("dnn_module", "dnn_module_1")};
  auto program = JitProgram::load(objects, {});
  ASSERT_FALSE(program.ok());
  EXPECT_EQ(program.error().message, "cannot load the compiled program: nothing defines `dnn_module_1`");
}

TEST(Jit, ThereMustBeAModule) {
  Objects objects = {moduleObject("dnn_module_1")};
  auto program = JitProgram::load(objects, {});
  ASSERT_FALSE(program.ok());
  EXPECT_NE(program.error().message.find("nothing defines `dnn_module`"), std::string::npos);
}

TEST(Jit, OneNameTwiceIsAnError) {
  Objects objects = {moduleObject("dnn_module"), moduleObject("dnn_module")};
  auto program = JitProgram::load(objects, {});
  ASSERT_FALSE(program.ok());
  EXPECT_EQ(program.error().message, "cannot load the compiled program: `dnn_module` is there twice");
}

TEST(Jit, EveryTruncatedObjectIsAnError) {
  std::vector<uint8_t> whole = moduleObject("dnn_module");
  ASSERT_TRUE(ElfObject::parse(whole).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    std::vector<uint8_t> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(ElfObject::parse(part).ok()) << size;
  }
}

TEST(Jit, OtherRelocationsAreErrors) {
  std::vector<uint8_t> object = moduleObject("dnn_module");
  changeKind(object, R_X86_64_32);
  auto parsed = ElfObject::parse(object);
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().message,
            "an object of the compiled program has a relocation of kind 10, which cannot be loaded");
}

TEST(Jit, OtherMachinesAreErrors) {
  std::vector<uint8_t> object = moduleObject("dnn_module");
  object[offsetof(Elf64_Ehdr, e_machine)] = EM_AARCH64;
  EXPECT_FALSE(ElfObject::parse(object).ok());
}

} // namespace
} // namespace dnn::codegen
