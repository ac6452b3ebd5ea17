// dnn-opt: reads IR text, runs passes on it, prints IR text. How passes are tested and tried by hand.
#include "compiler/driver/exit_code.h"
#include "compiler/driver/ir_environment.h"
#include "compiler/graph/graph.h"
#include "compiler/transform/pass_manager.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace {

struct Options {
  std::string input = "-";
  std::string passes;
  std::string runFunction;
  dnn::transform::PassOptions pass;
  bool locations = false;
  bool noVerify = false;
  bool listPasses = false;
  bool roundToF32 = false;
};

int report(const dnn::Error& error, const std::string& fallback) {
  std::fprintf(stderr, "%s: error: %s\n", (error.where.empty() ? fallback : error.where).c_str(),
               error.message.c_str());
  return dnn::driver::kInputError;
}

dnn::Result<std::string> readInput(const std::string& path) {
  if (path == "-") {
    return std::string{std::istreambuf_iterator<char>(std::cin), {}};
  }
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path)) { // a directory opens, and only reading it fails
    return dnn::Error{"cannot read the file", path};
  }
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

int interpret(const Options& options, const dnn::graph::Module& module, const std::string& text) {
  const dnn::graph::Function* function = module.findFunction(options.runFunction);
  if (function == nullptr) {
    return report({"there is no function @" + options.runFunction, ""}, options.input);
  }
  auto environment = dnn::driver::parseEnvironment(text, options.input, *function);
  if (!environment) {
    return report(environment.error(), options.input);
  }
  auto outputs = dnn::graph::run(*function, *environment, {.roundToF32 = options.roundToF32});
  if (!outputs) {
    return report(outputs.error(), options.input);
  }
  std::fputs(dnn::driver::printResults(*function, *outputs, *environment).c_str(), stdout);
  return 0;
}

int runTool(const Options& options) {
  if (options.listPasses) {
    for (const dnn::transform::Pass& pass : dnn::transform::allPasses()) {
      std::printf("%-22s %s\n", std::string(pass.flag).c_str(), std::string(pass.summary).c_str());
    }
    return 0;
  }
  auto passes = dnn::transform::parsePassList(options.passes);
  if (!passes) {
    report(passes.error(), "dnn-opt");
    return dnn::driver::kUsageError;
  }
  const std::string& dumpAfter = options.pass.dumpAfter;
  if (!dumpAfter.empty() && dumpAfter != "all" && dnn::transform::findPass(dumpAfter) == nullptr) {
    report({"--dump-after: there is no pass `" + dumpAfter + "`; --list-passes shows them", ""}, "dnn-opt");
    return dnn::driver::kUsageError;
  }
  auto text = readInput(options.input);
  if (!text) {
    return report(text.error(), options.input);
  }
  auto module = dnn::graph::parseModule(*text, options.input);
  if (!module) {
    return report(module.error(), options.input);
  }
  if (!options.noVerify) {
    if (auto status = dnn::graph::verify(**module); !status) {
      return report(status.error(), options.input);
    }
  }
  auto reports = dnn::transform::runPasses(**module, *passes, options.pass);
  if (!reports) {
    return report(reports.error(), options.input);
  }
  if (options.pass.time) {
    std::fputs(dnn::transform::printTimes(*reports).c_str(), stderr);
  }
  if (!options.noVerify) {
    if (auto status = dnn::graph::verify(**module); !status) {
      return report({"after the passes: " + status.error().message, status.error().where}, options.input);
    }
  }
  if (!options.runFunction.empty()) {
    return interpret(options, **module, *text);
  }
  std::fputs(dnn::graph::print(**module, options.locations).c_str(), stdout);
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Runs passes on the text of a computation graph and prints the result.\n\n"
               "  dnn-opt --pass=simplify,cse model.dnir\n"
               "  dnnc emit graph model.dnn | dnn-opt --pass=differentiate --verify-each\n"
               "  dnn-opt --run=step model.dnir      interprets @step; inputs stand in `//!` lines of the text",
               "dnn-opt");
  app.add_option("input", options.input, "the IR text, - for standard input");
  app.add_option("--pass", options.passes, "passes to run in order, with commas between; --list-passes shows them");
  app.add_flag("--list-passes", options.listPasses, "print the passes there are");
  app.add_flag("--verify-each", options.pass.verifyEach, "verify after each pass, not only at the end");
  app.add_flag("--time-passes", options.pass.time, "print what each pass took, to standard error");
  app.add_option("--dump-after", options.pass.dumpAfter,
                 "print the IR after this pass, or after all, to standard error");
  app.add_option("--run", options.runFunction, "interpret this function after the passes and print what it computes");
  app.add_flag("--round-to-f32", options.roundToF32, "with --run: round f32 tensors to f32");
  app.add_flag("--locations", options.locations, "print the source location of each op");
  app.add_flag("--no-verify", options.noVerify, "do not verify the text that is read and the result");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? dnn::driver::kSuccess : dnn::driver::kUsageError;
  }
  return runTool(options);
}
