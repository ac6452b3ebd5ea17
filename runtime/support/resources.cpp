#include "runtime/support/resources.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <unistd.h>

namespace dnn::runtime {

namespace {

/// The start of a small text file, "" if there is none.
std::string smallFile(const std::string& path) {
  std::string text;
  if (std::FILE* file = std::fopen(path.c_str(), "re")) {
    char buffer[8192];
    text.assign(buffer, std::fread(buffer, 1, sizeof buffer, file));
    std::fclose(file);
  }
  return text;
}

/// CPUs granted by "quota period" in microseconds; "max" and -1 mean no limit, as does a missing file: 0.
double quotaOf(const std::string& folder, bool version2) {
  double quota = 0;
  double period = 0;
  if (version2) {
    if (std::sscanf(smallFile(folder + "/cpu.max").c_str(), "%lf %lf", &quota, &period) != 2) {
      return 0;
    }
  } else {
    quota = std::atof(smallFile(folder + "/cpu.cfs_quota_us").c_str());
    period = std::atof(smallFile(folder + "/cpu.cfs_period_us").c_str());
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

/// Bytes of memory; "max" and what no machine has mean no limit: 0.
double memoryLimitOf(const std::string& folder, bool version2) {
  constexpr double noLimit = 0x1p62;
  double limit = std::atof(smallFile(folder + (version2 ? "/memory.max" : "/memory.limit_in_bytes")).c_str());
  return limit < noLimit ? limit : 0;
}

/// The smallest limit of a controller ("cpu") along the way up. `limitOf` is that of one folder.
double leastLimit(const std::string& cgroupFile, const std::string& root, const char* controller,
                  double (*limitOf)(const std::string& folder, bool version2)) {
  double least = 0;
  size_t start = 0;
  while (start < cgroupFile.size()) {
    size_t end = std::min(cgroupFile.find('\n', start), cgroupFile.size());
    std::string line = cgroupFile.substr(start, end - start); // "0::/path" or "4:cpu,cpuacct:/path"
    start = end + 1;
    size_t first = line.find(':');
    size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) {
      continue;
    }
    std::string controllers = line.substr(first + 1, second - first - 1);
    bool version2 = controllers.empty();
    if (!version2 && ("," + controllers + ",").find(std::string(",") + controller + ",") == std::string::npos) {
      continue;
    }
    std::string mount = version2 ? root : root + "/" + controllers;
    std::string path = line.substr(second + 1);
    while (true) { // a parent's limit holds for its children
      double limit = limitOf(mount + path, version2);
      if (limit > 0) {
        least = least > 0 ? std::min(least, limit) : limit;
      }
      size_t slash = path.rfind('/');
      if (path.empty() || slash == std::string::npos) {
        break;
      }
      path.resize(slash);
    }
  }
  return least;
}

} // namespace

double cgroupCpuQuota(const std::string& cgroupFile, const std::string& root) {
  return leastLimit(cgroupFile, root, "cpu", quotaOf);
}

double cgroupMemoryLimit(const std::string& cgroupFile, const std::string& root) {
  return leastLimit(cgroupFile, root, "memory", memoryLimitOf);
}

int availableCpus() {
  cpu_set_t mask;
  int cpus = 1;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
    cpus = std::max(1, CPU_COUNT(&mask));
  }
  double quota = cgroupCpuQuota(smallFile("/proc/self/cgroup"), "/sys/fs/cgroup");
  return quota > 0 ? std::clamp(static_cast<int>(std::ceil(quota)), 1, cpus) : cpus;
}

uint64_t availableMemory() {
  auto pages = static_cast<uint64_t>(std::max(sysconf(_SC_PHYS_PAGES), 0L));
  uint64_t bytes = pages * static_cast<uint64_t>(std::max(sysconf(_SC_PAGESIZE), 0L));
  double limit = cgroupMemoryLimit(smallFile("/proc/self/cgroup"), "/sys/fs/cgroup");
  return limit > 0 ? std::min(bytes, static_cast<uint64_t>(limit)) : bytes;
}

} // namespace dnn::runtime
