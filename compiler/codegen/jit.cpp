// A program is a hundred objects with some thousand relocations of three kinds, so it takes a millisecond to link them
// here; LLVM's linker for such purposes took ten, more than everything else that happens before a cached program runs.
//
// Everything lies in one mapping: code, then what is only read, then what is written, each from a page of its own on.
// Functions of other libraries may be further away than a call reaches, so behind the code stands, for each, a jump to
// an address of 64 bits. Where the address of something of another library is needed, code reads it from there.
#include "compiler/codegen/jit.h"

#include "compiler/codegen/elf_object.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <dlfcn.h>
#include <optional>
#include <sys/mman.h>
#include <unistd.h>
#include <unordered_map>
#include <utility>

namespace dnn::codegen {

namespace {

enum class Part : uint8_t { Code, Constants, Data };
constexpr std::array parts = {Part::Code, Part::Constants, Part::Data};

Part partOf(const ElfObject::Section& section) {
  return (section.flags & SHF_EXECINSTR) != 0 ? Part::Code
         : (section.flags & SHF_WRITE) != 0   ? Part::Data
                                              : Part::Constants;
}

uint64_t roundUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

Error cannotLoad(const std::string& why) { return {"cannot load the compiled program: " + why, ""}; }

/// jmp *[rip + 2], two bytes that are never reached, the address.
constexpr std::array<uint8_t, 8> jump = {0xff, 0x25, 0x02, 0x00, 0x00, 0x00, 0x66, 0x90};
constexpr uint64_t jumpBytes = jump.size() + sizeof(uint64_t);

class Linker {
public:
  explicit Linker(std::span<const HostSymbol> hostSymbols) {
    for (const HostSymbol& symbol : hostSymbols) {
      host_.emplace(symbol.name, symbol.address);
    }
  }

  Status read(std::span<const std::vector<uint8_t>> objects) {
    for (const std::vector<uint8_t>& bytes : objects) {
      auto object = ElfObject::parse(bytes);
      if (!object) {
        return object.error();
      }
      objects_.push_back({std::move(*object), {}});
    }
    for (uint32_t i = 0; i < objects_.size(); ++i) {
      for (const ElfObject::Symbol& symbol : objects_[i].object.symbols()) {
        if (symbol.global && symbol.section != ElfObject::undefined &&
            !defined_.try_emplace(symbol.name, Definition{i, symbol.section, symbol.value}).second) {
          return cannotLoad("`" + std::string(symbol.name) + "` is there twice");
        }
      }
    }
    return makeJumpTable();
  }

  /// Where everything lies behind the beginning of the mapping; returns the bytes that this needs.
  uint64_t place() {
    uint64_t at = 0, page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    for (Part part : parts) {
      at = roundUp(at, page);
      begins_[static_cast<size_t>(part)] = at;
      for (Placed& placed : objects_) {
        placed.offsets.resize(placed.object.sections().size());
        for (size_t s = 0; s < placed.offsets.size(); ++s) {
          if (const ElfObject::Section& section = placed.object.sections()[s]; partOf(section) == part) {
            at = roundUp(at, section.align);
            placed.offsets[s] = at;
            at += section.size;
          }
        }
      }
      if (part == Part::Code) {
        at = roundUp(at, jumpBytes);
        jumps_ = at;
        at += jumpTable_.size() * jumpBytes;
      }
    }
    return roundUp(at, page);
  }

  /// Writes everything to the mapping.
  Status fill(uint8_t* memory) const {
    for (const Placed& placed : objects_) {
      for (size_t s = 0; s < placed.offsets.size(); ++s) {
        std::ranges::copy(placed.object.sections()[s].bytes, memory + placed.offsets[s]);
      }
    }
    for (const auto& [name, entry] : jumpTable_) {
      uint8_t* to = memory + jumps_ + entry.number * jumpBytes;
      auto found = defined_.find(name);
      void* address = found == defined_.end() ? entry.outside : memory + addressOf(found->second);
      std::memcpy(to, jump.data(), jump.size());
      std::memcpy(to + jump.size(), &address, sizeof address);
    }
    for (const Placed& placed : objects_) {
      for (size_t s = 0; s < placed.offsets.size(); ++s) {
        for (const Elf64_Rela& relocation : placed.object.sections()[s].relocations) {
          if (!apply(placed, relocation, memory, memory + placed.offsets[s] + relocation.r_offset)) {
            return cannotLoad("it is too large");
          }
        }
      }
    }
    return success();
  }

  /// Where each part begins, behind the beginning of the mapping.
  uint64_t beginOf(Part part) const { return begins_[static_cast<size_t>(part)]; }

  /// Behind the beginning of the mapping; nothing if no object defines it.
  std::optional<uint64_t> find(std::string_view name) const {
    auto found = defined_.find(name);
    return found == defined_.end() ? std::nullopt : std::optional(addressOf(found->second));
  }

private:
  struct Placed {
    ElfObject object;
    std::vector<uint64_t> offsets; ///< of its sections, behind the beginning of the mapping
  };
  struct Definition {
    uint32_t object, section;
    uint64_t value;
  };
  struct Entry {
    uint64_t number;
    void* outside; ///< the address of what no object defines
  };

  std::vector<Placed> objects_;
  std::unordered_map<std::string_view, void*> host_;
  std::unordered_map<std::string_view, Definition> defined_;
  std::unordered_map<std::string_view, Entry> jumpTable_; ///< what no object defines, or is reached through the table
  std::array<uint64_t, parts.size()> begins_{};
  uint64_t jumps_ = 0;

  Status makeJumpTable() {
    std::string missing;
    for (const Placed& placed : objects_) {
      for (const ElfObject::Symbol& symbol : placed.object.symbols()) {
        if (!symbol.global || defined_.contains(symbol.name) || jumpTable_.contains(symbol.name)) {
          continue;
        }
        auto host = host_.find(symbol.name);
        void* address = host != host_.end() ? host->second : dlsym(RTLD_DEFAULT, std::string(symbol.name).c_str());
        if (address == nullptr) {
          missing += (missing.empty() ? "`" : ", `") + std::string(symbol.name) + "`";
        }
        jumpTable_.emplace(symbol.name, Entry{jumpTable_.size(), address});
      }
      for (const ElfObject::Section& section : placed.object.sections()) {
        for (const Elf64_Rela& relocation : section.relocations) {
          if (ElfObject::isThroughTable(relocation)) {
            jumpTable_.try_emplace(symbolOf(placed, relocation).name, Entry{jumpTable_.size(), nullptr});
          }
        }
      }
    }
    return missing.empty() ? success() : Status(cannotLoad("nothing defines " + missing));
  }

  static const ElfObject::Symbol& symbolOf(const Placed& placed, const Elf64_Rela& relocation) {
    return placed.object.symbols()[ELF64_R_SYM(relocation.r_info)];
  }

  uint64_t addressOf(const Definition& definition) const {
    return objects_[definition.object].offsets[definition.section] + definition.value;
  }

  /// Of what a relocation is for, behind the beginning of the mapping.
  uint64_t targetOf(const Placed& placed, const Elf64_Rela& relocation) const {
    const ElfObject::Symbol& symbol = symbolOf(placed, relocation);
    if (!symbol.global) {
      return placed.offsets[symbol.section] + symbol.value;
    }
    auto found = defined_.find(symbol.name);
    bool throughTable = ElfObject::isThroughTable(relocation);
    if (found != defined_.end() && !throughTable) {
      return addressOf(found->second);
    }
    return jumps_ + jumpTable_.at(symbol.name).number * jumpBytes + (throughTable ? jump.size() : 0);
  }

  /// False if the distance is too large.
  bool apply(const Placed& placed, const Elf64_Rela& relocation, uint8_t* memory, uint8_t* at) const {
    uint8_t* target = memory + targetOf(placed, relocation) + relocation.r_addend;
    if (ELF64_R_TYPE(relocation.r_info) == R_X86_64_64) {
      std::memcpy(at, &target, sizeof target);
      return true;
    }
    int64_t distance = target - at;
    auto written = static_cast<int32_t>(distance);
    std::memcpy(at, &written, sizeof written);
    return written == distance;
  }
};

} // namespace

JitProgram::~JitProgram() {
  if (memory_ != nullptr) {
    munmap(memory_, bytes_);
  }
}

Result<std::unique_ptr<JitProgram>> JitProgram::load(std::span<const std::vector<uint8_t>> objects,
                                                     std::span<const HostSymbol> hostSymbols) {
  Linker linker(hostSymbols);
  if (Status status = linker.read(objects); !status) {
    return status.error();
  }
  std::unique_ptr<JitProgram> program(new JitProgram);
  program->bytes_ = linker.place();
  std::optional<uint64_t> module = linker.find("dnn_module");
  if (!module) {
    return cannotLoad("nothing defines `dnn_module`");
  }
  void* memory = mmap(nullptr, program->bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return cannotLoad("there is not enough memory");
  }
  program->memory_ = static_cast<uint8_t*>(memory);
  if (Status status = linker.fill(program->memory_); !status) {
    return status.error();
  }
  uint64_t constants = linker.beginOf(Part::Constants), data = linker.beginOf(Part::Data);
  if (mprotect(program->memory_, constants, PROT_READ | PROT_EXEC) != 0 ||
      mprotect(program->memory_ + constants, data - constants, PROT_READ) != 0) {
    return cannotLoad("the system refuses memory for code");
  }
  program->module_ = reinterpret_cast<const DnnModule*>(program->memory_ + *module);
  return program;
}

} // namespace dnn::codegen
