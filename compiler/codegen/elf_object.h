// One relocatable ELF object for x86-64, as our code generator writes it.
#pragma once

#include "compiler/support/result.h"

#include <cstdint>
#include <elf.h>
#include <span>
#include <string_view>
#include <vector>

namespace dnn::codegen {

class ElfObject {
public:
  struct Section {
    uint64_t flags = 0, align = 1, size = 0; ///< size in bytes
    std::span<const uint8_t> bytes;          ///< none where all of them are zero
    std::span<const Elf64_Rela> relocations; ///< each within `size`, of a symbol that exists
  };

  struct Symbol {
    std::string_view name;
    uint32_t section = undefined; ///< where it is defined
    uint64_t value = 0;           ///< its place there
    bool global = false;
  };

  static constexpr uint32_t undefined = UINT32_MAX;

  /// A view of the bytes. Fails if they are damaged, or have what our code never has: thread-local or common symbols,
  /// code that runs when it is loaded, and relocations other than R_X86_64_64, _PC32, _PLT32 and those through a table.
  static Result<ElfObject> parse(std::span<const uint8_t> bytes);

  /// Whether a relocation is for the place, in a table of addresses, of what it names: R_X86_64_GOTPCREL, also where
  /// the instruction could be made shorter.
  static bool isThroughTable(const Elf64_Rela& relocation);

  /// What has to be in memory. Tables for unwinding are left out: nothing is thrown through compiled code.
  std::span<const Section> sections() const { return sections_; }
  /// In the order of the object's table; those of no use here are nameless and local.
  std::span<const Symbol> symbols() const { return symbols_; }

private:
  std::vector<Section> sections_;
  std::vector<Symbol> symbols_;
};

} // namespace dnn::codegen
