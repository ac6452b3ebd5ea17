#include "compiler/driver/command_line.h"

#include "compiler/driver/exit_code.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <string_view>

namespace dnn::driver {

namespace {

constexpr std::pair<std::string_view, EmitStage> kStages[] = {{"ast", EmitStage::Ast},
                                                              {"program", EmitStage::Program},
                                                              {"graph", EmitStage::Graph},
                                                              {"backward", EmitStage::Backward},
                                                              {"optimized", EmitStage::Optimized},
                                                              {"fused", EmitStage::Fused},
                                                              {"memory", EmitStage::Memory},
                                                              {"schedule", EmitStage::Schedule},
                                                              {"halide", EmitStage::Halide},
                                                              {"llvm", EmitStage::Llvm},
                                                              {"asm", EmitStage::Asm}};

std::string stageNames() {
  std::string names;
  for (const auto& [name, stage] : kStages) {
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return names;
}

/// "" or what is wrong with it, as CLI11's checks answer.
std::string checkStage(const std::string& text) {
  auto found = std::find_if(std::begin(kStages), std::end(kStages), [&](const auto& s) { return s.first == text; });
  return found != std::end(kStages) ? "" : "there is no stage `" + text + "`; the stages are " + stageNames();
}

constexpr const char* kExamples = R"(
Examples:
  dnnc run digits.dnn                          compile in memory and train
  dnnc run digits.dnn train --epochs 3         what follows the file goes to the program
  dnnc build digits.dnn -o digits              make an executable that needs nothing of dnnc
  ./digits predict digit --in x.csv --out y.csv
  dnnc check digits.dnn                        only look for mistakes
  dnnc emit backward digits.dnn                the gradients, as text
  dnnc gradcheck digits.dnn                    compare them with finite differences
  dnnc explain shape_mismatch                  what a message means, with a wrong and a mended program
  dnnc fmt digits.dnn                          rewrite the file in the canonical layout
  dnnc time digits.dnn                         how long each kernel of a step takes, and how far that is from the limit

Exit codes: 0 ok, 1 an error in the input, 2 a wrong command line, 3 training diverged or a gradient is wrong,
4 a file could not be read or written, 70 a bug in dnnc.)";

/// Options that every command takes, on each command so that they may stand behind its name.
void addCommonOptions(CLI::App& app, Options& options, std::string& diagnostics) {
  app.add_option("--program", options.program, "The train block, where the file has several");
  app.add_option("--data", options.data, "NAME=PATH[,PATH]: read data source NAME from there")
      ->type_name("")
      ->allow_extra_args(false);
  app.add_option("--seed", options.seed, "Instead of the seed in the file");
  app.add_option("--threads", options.threads, "How many threads to use; 0 = as many as this machine gives")
      ->check(CLI::Range(0, 1024));
  app.add_option("--target", options.target, "The machine to make code for: host, x86-64-v3 or x86-64-v4")
      ->check(CLI::IsMember({"host", "x86-64-v3", "x86-64-v4"}));
  app.add_option("--cache-dir", options.cacheDir, "Where compiled kernels are kept");
  app.add_flag("!--no-cache", options.useCache, "Compile every kernel again");
  app.add_option("--diagnostics", diagnostics, "How errors are printed: text or json")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_flag("--strict", options.strict, "Compute every sum term by term: slower, with smaller rounding errors");
  app.add_flag("--time-passes", options.timePasses, "Print how long each stage and pass took");
  app.add_flag("--verify-each", options.verifyEach, "Check the rules of the graph after every pass");
}

struct CommandLine {
  Options options;
  std::string diagnostics = "text";
  std::string stage;
  CLI::App app{"dnnc compiles neural networks, written in .dnn files, to native code that trains them.", "dnnc"};

  CommandLine() {
    app.footer(kExamples);
    app.set_version_flag("--version", "dnnc " DNNC_VERSION, "Print the version and exit");
    app.set_help_flag("-h,--help", "Print this help and exit");
    app.require_subcommand(1);
    add("check", Command::Check, "Look for mistakes and stop");
    add("run", Command::Run, "Compile in memory and run; arguments after FILE go to the program")
        ->add_flag("--interpret", options.interpret,
                   "Run the reference interpreter instead of machine code: slow, in f64");
    add("build", Command::Build, "Make an executable")
        ->add_option("-o,--output", options.output, "The executable; default: FILE without its ending");
    CLI::App* emit = app.add_subcommand("emit", "Print what the compiler makes of the file at one stage");
    emit->add_option("STAGE", stage, stageNames())->required()->check(CLI::Validator(checkStage, ""));
    finish(emit, Command::Emit);
    add("summary", Command::Summary, "Print the parameters, their number, and the memory that training needs");
    add("gradcheck", Command::GradCheck, "Compare every parameter's gradient with finite differences")
        ->add_flag("--random", options.randomInputs, "Made-up inputs instead of the first batch of the data");
    CLI::App* time = add("time", Command::Time, "Run the step on its data and print each kernel with its time");
    time->add_option("--steps", options.steps, "How many steps to measure; 0 = for about a second")
        ->check(CLI::Range(0, 1000000000));
    time->add_flag("--json", options.jsonReport, "Print JSON");
    CLI::App* explain =
        app.add_subcommand("explain", "Print what a diagnostic means, with a wrong and a mended program");
    explain->add_option("NAME", options.diagnostic, "As in brackets behind the message; without it, all names");
    explain->callback([this] { options.command = Command::Explain; });
    CLI::App* fmt = app.add_subcommand("fmt", "Rewrite files in the canonical layout");
    fmt->add_option("FILE", options.files, "The .dnn files")->required();
    fmt->add_flag("--check", options.onlyCheck, "Only say which files have another layout");
    fmt->callback([this] { options.command = Command::Fmt; });
  }

private:
  CLI::App* add(const char* name, Command command, const char* summary) {
    return finish(app.add_subcommand(name, summary), command);
  }

  CLI::App* finish(CLI::App* sub, Command command) {
    sub->add_option("FILE", options.file, "The .dnn file")->required();
    addCommonOptions(*sub, options, diagnostics);
    sub->footer("`dnnc --help` has examples and the exit codes.");
    sub->callback([this, command] { options.command = command; });
    return sub;
  }
};

/// "" or what is wrong with the first argument where a command should stand.
std::string checkCommand(const CLI::App& app, const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments[0].substr(0, 1) == "-") {
    return "";
  }
  std::string names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!arguments.empty() && command->get_name() == arguments[0]) {
      return "";
    }
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  return (arguments.empty() ? "a command is missing" : "there is no command `" + arguments[0] + "`") +
         "; the commands are " + names + ", and `dnnc --help` explains them";
}

/// How many of the arguments belong to dnnc: for `run`, everything up to FILE; the rest is the program's, even where
/// dnnc has an option of the same name.
size_t countOwnArguments(const CLI::App& app, const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] != "run") {
    return arguments.size();
  }
  const CLI::App* run = app.get_subcommand("run");
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument.empty() || argument[0] != '-') {
      return i + 1;
    }
    const CLI::Option* option = run->get_option_no_throw(argument);
    if (option != nullptr && option->get_items_expected_min() > 0) {
      ++i; // its value is the next argument
    }
  }
  return arguments.size();
}

} // namespace

std::variant<Options, int> parseCommandLine(int argc, char** argv) {
  CommandLine line;
  std::vector<std::string> own(argv + 1, argv + argc);
  size_t ownCount = countOwnArguments(line.app, own);
  line.options.arguments.assign(own.begin() + static_cast<std::ptrdiff_t>(ownCount), own.end());
  own.resize(ownCount);
  if (std::string mistake = checkCommand(line.app, own); !mistake.empty()) {
    std::cerr << "dnnc: " << mistake << "\n";
    return kUsageError;
  }
  std::reverse(own.begin(), own.end()); // the order that CLI11 takes a vector in
  try {
    line.app.parse(own);
  } catch (const CLI::Success& asked) { // help or version
    line.app.exit(asked);
    return kSuccess;
  } catch (const CLI::ParseError& mistake) {
    std::cerr << "dnnc: " << mistake.what() << "; `dnnc --help` shows how to call it\n";
    return kUsageError;
  }
  line.options.json = line.diagnostics == "json";
  for (const auto& [name, stage] : kStages) {
    if (name == line.stage) {
      line.options.stage = stage;
    }
  }
  for (const std::string& data : line.options.data) {
    if (size_t equals = data.find('='); equals == 0 || equals == std::string::npos || equals + 1 == data.size()) {
      std::cerr << "dnnc: --data takes NAME=PATH, not `" << data << "`\n";
      return kUsageError;
    }
  }
  return line.options;
}

} // namespace dnn::driver
