// How much of the machine this process may use.
#pragma once

#include <cstdint>
#include <string>

namespace dnn::runtime {

/// The CPUs of the affinity mask, at most the CPU quota of the control groups (rounded up), at least 1.
int availableCpus();

/// The quota in CPUs that the control groups named in `cgroupFile` (the text of /proc/self/cgroup) impose below `root`
/// (/sys/fs/cgroup), versions 1 and 2; the smallest along the way up. 0 = none.
double cgroupCpuQuota(const std::string& cgroupFile, const std::string& root);

/// Bytes of memory: the machine's, or what the control groups leave of it.
uint64_t availableMemory();

/// The limit in bytes, in the same way. 0 = none.
double cgroupMemoryLimit(const std::string& cgroupFile, const std::string& root);

} // namespace dnn::runtime
