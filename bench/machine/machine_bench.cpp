// machine_bench [THREADS]: what this machine can do at most, as JSON: fused multiply-adds, and bytes to and from each
// level of its memory.
#include "compiler/driver/machine_speed.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  dnn::runtime::Pool& pool = dnn::runtime::Pool::global();
  pool.setThreads(argc > 1 ? std::max(1, std::atoi(argv[1])) : 1);
  dnn::driver::MachineSpeed speed = dnn::driver::measureMachine(pool, dnn::driver::SpeedDetail::All);
  nlohmann::ordered_json json = {{"threads", speed.threads}, {"gflop_s", speed.flops * 1e-9}};
  for (const dnn::driver::MachineSpeed::Level& level : speed.levels) {
    json["levels"].push_back({{"name", level.name},
                              {"bytes", level.bytes},
                              {"holds", level.holds},
                              {"read_gb_s", level.read * 1e-9},
                              {"update_gb_s", level.update * 1e-9},
                              {"write_gb_s", level.write * 1e-9},
                              {"triad_gb_s", level.triad * 1e-9}});
  }
  std::printf("%s\n", json.dump(2).c_str());
  return 0;
}
