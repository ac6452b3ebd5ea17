#include "compiler/schedule/machine.h"

#include <cpuid.h>
#include <fstream>
#include <thread>

namespace dnn::schedule {

namespace {

Machine level3() { return Machine{}; }

Machine level4() {
  Machine machine;
  machine.target = "x86-64-v4";
  machine.vectorBits = 512;
  machine.vectorRegisters = 32;
  machine.computedBits = 1024;
  return machine;
}

/// "512K" → 524288; 0 where the table is missing.
int64_t cacheBytes(int index) {
  std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/size");
  int64_t size = 0;
  char unit = 0;
  file >> size >> unit;
  return unit == 'K' ? size << 10 : unit == 'M' ? size << 20 : size;
}

bool runsLevel4() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
}

/// AMD's processors say whether they compute vectors of 512 bits whole (Zen 5) or as two halves (Zen 4).
bool computesHalves() {
  constexpr unsigned vendorLeaf = 0, performanceLeaf = 0x8000001a, whole512 = 1u << 3;
  unsigned a = 0, b = 0, c = 0, d = 0;
  bool amd = __get_cpuid(vendorLeaf, &a, &b, &c, &d) != 0 && b == signature_AMD_ebx && c == signature_AMD_ecx &&
             d == signature_AMD_edx;
  return amd && __get_cpuid(performanceLeaf, &a, &b, &c, &d) != 0 && (a & whole512) == 0;
}

} // namespace

Machine hostMachine() {
  Machine machine = runsLevel4() ? level4() : level3();
  if (computesHalves()) {
    machine.computedBits = 512;
  }
  if (unsigned cores = std::thread::hardware_concurrency()) {
    machine.cores = static_cast<int>(cores);
  }
  // Index 0 is the first-level data cache, 1 its instruction cache, 2 the second level.
  if (int64_t bytes = cacheBytes(0)) {
    machine.l1Bytes = bytes;
  }
  if (int64_t bytes = cacheBytes(2)) {
    machine.l2Bytes = bytes;
  }
  return machine;
}

Result<Machine> machineFor(std::string_view target) {
  if (target == "host") {
    return hostMachine();
  }
  if (target == "x86-64-v3") {
    return level3();
  }
  if (target == "x86-64-v4") {
    return level4();
  }
  return Error{"unknown target `" + std::string(target) + "`; the targets are host, x86-64-v3 and x86-64-v4", ""};
}

std::string print(const Machine& machine) {
  return machine.target + ", vectors of " + std::to_string(machine.vectorBits) + " bits, " +
         std::to_string(machine.vectorRegisters) + " registers, " + std::to_string(machine.computedBits) +
         " bits in a cycle, " + std::to_string(machine.cores) + " cores, caches of " + std::to_string(machine.l1Bytes) +
         " and " + std::to_string(machine.l2Bytes) + " bytes";
}

} // namespace dnn::schedule
