#include "compiler/codegen/elf_object.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace dnn::codegen {

namespace {

Error unusable(const std::string& what) { return {"an object of the compiled program " + what, ""}; }

/// `count` elements at `offset`; empty if they do not lie within the bytes, or not where such an element can be read.
template <class T> std::span<const T> elements(std::span<const uint8_t> bytes, uint64_t offset, uint64_t count) {
  if (offset > bytes.size() || count > (bytes.size() - offset) / sizeof(T) ||
      reinterpret_cast<uintptr_t>(bytes.data() + offset) % alignof(T) != 0) {
    return {};
  }
  return {reinterpret_cast<const T*>(bytes.data() + offset), count};
}

/// Empty where there is no such string.
std::string_view stringAt(std::span<const uint8_t> strings, uint64_t at) {
  if (at >= strings.size()) {
    return {};
  }
  const char* begin = reinterpret_cast<const char*>(strings.data() + at);
  return {begin, strnlen(begin, strings.size() - at)};
}

bool isKnown(const Elf64_Rela& relocation) {
  uint64_t kind = ELF64_R_TYPE(relocation.r_info);
  return kind == R_X86_64_64 || kind == R_X86_64_PC32 || kind == R_X86_64_PLT32 ||
         ElfObject::isThroughTable(relocation);
}

uint64_t widthOf(const Elf64_Rela& relocation) { return ELF64_R_TYPE(relocation.r_info) == R_X86_64_64 ? 8 : 4; }

} // namespace

bool ElfObject::isThroughTable(const Elf64_Rela& relocation) {
  uint64_t kind = ELF64_R_TYPE(relocation.r_info);
  return kind == R_X86_64_GOTPCREL || kind == R_X86_64_GOTPCRELX || kind == R_X86_64_REX_GOTPCRELX;
}

Result<ElfObject> ElfObject::parse(std::span<const uint8_t> bytes) {
  const Error damaged = unusable("is damaged");
  std::span<const Elf64_Ehdr> header = elements<Elf64_Ehdr>(bytes, 0, 1);
  constexpr unsigned char wanted[] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB};
  if (header.empty() || std::memcmp(header[0].e_ident, wanted, sizeof wanted) != 0 || header[0].e_type != ET_REL ||
      header[0].e_machine != EM_X86_64 || header[0].e_shentsize != sizeof(Elf64_Shdr)) {
    return unusable("is not made for x86-64");
  }
  std::span<const Elf64_Shdr> headers = elements<Elf64_Shdr>(bytes, header[0].e_shoff, header[0].e_shnum);
  ElfObject object;
  std::vector<uint32_t> kept(headers.size(), undefined); // its number in sections_
  const Elf64_Shdr* table = nullptr;                     // of symbols
  for (size_t i = 0; i < headers.size(); ++i) {
    const Elf64_Shdr& from = headers[i];
    if (from.sh_type == SHT_SYMTAB) {
      table = &from;
    }
    if ((from.sh_flags & SHF_ALLOC) == 0 || from.sh_type == SHT_X86_64_UNWIND) {
      continue;
    }
    bool empty = from.sh_type == SHT_NOBITS;
    if ((!empty && from.sh_type != SHT_PROGBITS) || (from.sh_flags & SHF_TLS) != 0) {
      return unusable("has a section of kind " + std::to_string(from.sh_type) + ", which cannot be loaded");
    }
    Section section{from.sh_flags, std::max<uint64_t>(from.sh_addralign, 1), from.sh_size, {}, {}};
    if (!empty) {
      section.bytes = elements<uint8_t>(bytes, from.sh_offset, from.sh_size);
    }
    if ((!empty && section.bytes.size() != section.size) || (section.align & (section.align - 1)) != 0) {
      return damaged;
    }
    kept[i] = static_cast<uint32_t>(object.sections_.size());
    object.sections_.push_back(section);
  }
  if (table == nullptr || table->sh_link >= headers.size()) {
    return damaged;
  }
  const Elf64_Shdr& names = headers[table->sh_link];
  std::span<const uint8_t> strings = elements<uint8_t>(bytes, names.sh_offset, names.sh_size);
  std::span<const Elf64_Sym> symbols = elements<Elf64_Sym>(bytes, table->sh_offset, table->sh_size / sizeof(Elf64_Sym));
  for (const Elf64_Sym& from : symbols) {
    bool placed = from.st_shndx != SHN_UNDEF && from.st_shndx < headers.size();
    if (from.st_shndx == SHN_COMMON) {
      return unusable("has a common symbol, which cannot be loaded");
    }
    Symbol symbol{{}, placed ? kept[from.st_shndx] : undefined, from.st_value, false};
    if (ELF64_ST_BIND(from.st_info) != STB_LOCAL) {
      symbol.name = stringAt(strings, from.st_name);
      symbol.global = true;
    }
    if (symbol.section != undefined && symbol.value > object.sections_[symbol.section].size) {
      return damaged;
    }
    object.symbols_.push_back(symbol);
  }
  for (const Elf64_Shdr& from : headers) {
    if (from.sh_type != SHT_RELA || from.sh_info >= headers.size() || kept[from.sh_info] == undefined) {
      continue;
    }
    Section& section = object.sections_[kept[from.sh_info]];
    uint64_t count = from.sh_size / sizeof(Elf64_Rela);
    section.relocations = elements<Elf64_Rela>(bytes, from.sh_offset, count);
    if (section.relocations.size() != count) {
      return damaged;
    }
    for (const Elf64_Rela& relocation : section.relocations) {
      if (!isKnown(relocation)) {
        return unusable("has a relocation of kind " + std::to_string(ELF64_R_TYPE(relocation.r_info)) +
                        ", which cannot be loaded");
      }
      uint64_t named = ELF64_R_SYM(relocation.r_info);
      bool known = named < object.symbols_.size() &&
                   (object.symbols_[named].global ||
                    (object.symbols_[named].section != undefined && !isThroughTable(relocation)));
      if (!known || relocation.r_offset > section.bytes.size() ||
          section.bytes.size() - relocation.r_offset < widthOf(relocation)) {
        return damaged;
      }
    }
  }
  return object;
}

} // namespace dnn::codegen
