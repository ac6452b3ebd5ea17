#include "runtime/pool/cpus.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sched.h>

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

/// True if `controllers` ("cpu,cpuacct") names the cpu controller.
bool hasCpuController(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

} // namespace

double cgroupCpuQuota(const std::string& cgroupFile, const std::string& root) {
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
    if (!version2 && !hasCpuController(controllers)) {
      continue;
    }
    std::string mount = version2 ? root : root + "/" + controllers;
    std::string path = line.substr(second + 1);
    while (true) { // a parent's limit holds for its children
      double quota = quotaOf(mount + path, version2);
      if (quota > 0) {
        least = least > 0 ? std::min(least, quota) : quota;
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

int availableCpus() {
  cpu_set_t mask;
  int cpus = 1;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
    cpus = std::max(1, CPU_COUNT(&mask));
  }
  double quota = cgroupCpuQuota(smallFile("/proc/self/cgroup"), "/sys/fs/cgroup");
  return quota > 0 ? std::clamp(static_cast<int>(std::ceil(quota)), 1, cpus) : cpus;
}

} // namespace dnn::runtime
