// What the user asked `dnnc` for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dnn::driver {

enum class Command : uint8_t { Check, Run, Build, Emit, Summary, GradCheck, Time, Explain, Fmt };

/// What `dnnc emit STAGE` prints, in the order in which the stages run.
enum class EmitStage : uint8_t { Ast, Program, Graph, Backward, Optimized, Fused, Memory, Schedule, Halide, Llvm, Asm };

struct Options {
  Command command = Command::Check;
  EmitStage stage = EmitStage::Ast;
  std::string file;
  std::vector<std::string> files;     ///< fmt: the files to lay out
  bool onlyCheck = false;             ///< fmt: say which files differ, change none
  std::string diagnostic;             ///< explain: its name; "" = list them all
  std::string output;                 ///< build: the executable; "" = the file's name without its ending
  std::vector<std::string> arguments; ///< run: everything after FILE, for the program

  std::string program;           ///< the train block; "" = the only one
  std::vector<std::string> data; ///< "tr=PATH" or "tr=PATH,PATH"
  std::optional<uint64_t> seed;  ///< instead of the file's
  int threads = 0;               ///< 0 = as many as the machine gives
  std::string target = "host";   ///< "host", "x86-64-v3" or "x86-64-v4"
  std::string cacheDir;          ///< of compiled kernels; "" = the user's cache folder
  bool useCache = true;
  bool json = false; ///< diagnostics for tools
  bool timePasses = false;
  bool strict = false;       ///< every sum term by term, without forms that round more (schedule/winograd.h)
  bool verifyEach = false;   ///< check the graph's rules after every pass
  bool randomInputs = false; ///< gradcheck: made-up inputs, not the first batch of the data
  int64_t steps = 0;         ///< time: how many to measure; 0 = for about a second
  bool jsonReport = false;   ///< time: the report as JSON
  bool interpret = false;    ///< run: by the reference interpreter, not as machine code
};

} // namespace dnn::driver
