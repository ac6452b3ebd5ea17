#include "compiler/driver/ir_environment.h"

#include "compiler/graph/text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace dnn::driver {

namespace {

struct Line {
  std::string what; // symbol, input, persistent, seed, step, epoch
  std::string name;
  std::vector<double> numbers;
  std::string where;
};

Error errorAt(const Line& line, std::string message) { return Error{std::move(message), line.where}; }

Result<std::vector<Line>> readLines(std::string_view text, std::string_view fileName) {
  std::vector<Line> lines;
  std::istringstream stream{std::string(text)};
  std::string raw;
  for (int number = 1; std::getline(stream, raw); ++number) {
    if (!raw.starts_with("//!")) {
      continue;
    }
    Line line{.where = std::string(fileName) + ":" + std::to_string(number) + ":1"};
    std::istringstream words(raw.substr(3));
    std::string word;
    words >> line.what >> word;
    if (word != "=") {
      line.name = word;
      words >> word;
    }
    if (word != "=") {
      return errorAt(line, "expected `//! symbol|input|persistent NAME = NUMBERS` or `//! seed|step|epoch = NUMBER`");
    }
    while (words >> word) {
      char* end = nullptr;
      line.numbers.push_back(std::strtod(word.c_str(), &end));
      if (*end != '\0') {
        return errorAt(line, "`" + word + "` is not a number");
      }
    }
    if (line.numbers.empty()) {
      return errorAt(line, "there is no number behind `=`");
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

Result<graph::Tensor> makeTensor(const Line& line, const TensorType& type, std::span<const int64_t> symbolValues) {
  std::vector<int64_t> dims;
  for (const Dim& dim : type.dims) {
    dims.push_back(dim.evaluate(symbolValues));
  }
  graph::Tensor tensor = graph::Tensor::zeros(type.dtype, std::move(dims));
  auto size = static_cast<size_t>(tensor.size());
  if (line.numbers.size() != 1 && line.numbers.size() != size) {
    return errorAt(line, std::to_string(line.numbers.size()) + " numbers for " + std::to_string(size) + " elements");
  }
  for (size_t i = 0; i < size; ++i) {
    tensor.set(static_cast<int64_t>(i), line.numbers[line.numbers.size() == 1 ? 0 : i]);
  }
  return tensor;
}

std::string tensorText(const graph::Tensor& tensor) {
  std::string text(nameOf(tensor.dtype));
  for (size_t i = 0; i < tensor.dims.size(); ++i) {
    text += (i ? ", " : "[") + std::to_string(tensor.dims[i]);
  }
  text += tensor.dims.empty() ? " =" : "] =";
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (!isFloat(tensor.dtype)) {
      text += " " + std::to_string(tensor.ints[static_cast<size_t>(i)]);
      continue;
    }
    double value = tensor.get(i);
    char number[40];
    std::snprintf(number, sizeof number, " %.9g", std::isnan(value) ? std::fabs(value) : value); // never -nan
    text += number;
  }
  return text + "\n";
}

} // namespace

Result<graph::Environment> parseEnvironment(std::string_view text, std::string_view fileName,
                                            const graph::Function& function) {
  Result<std::vector<Line>> lines = readLines(text, fileName);
  if (!lines) {
    return lines.error();
  }
  graph::Environment environment;
  for (const Symbol& symbol : function.symbols) {
    environment.symbols[symbol.name] = symbol.max;
  }
  for (const Line& line : *lines) {
    if (line.what == "symbol") {
      environment.symbols[line.name] = static_cast<int64_t>(line.numbers[0]);
    }
  }
  std::vector<int64_t> symbolValues;
  for (const Symbol& symbol : function.symbols) {
    symbolValues.push_back(environment.symbols[symbol.name]);
  }
  for (const graph::Persistent& p : function.module.persistents) {
    environment.persistents[p.path] = *makeTensor({.numbers = {0}}, p.type, symbolValues);
  }
  for (const Line& line : *lines) {
    if (line.what == "symbol") {
      continue;
    }
    if (line.what == "seed") {
      environment.seed = static_cast<uint64_t>(line.numbers[0]);
    } else if (line.what == "step") {
      environment.step = static_cast<uint32_t>(line.numbers[0]);
    } else if (line.what == "epoch") {
      environment.epoch = static_cast<uint32_t>(line.numbers[0]);
    } else if (line.what == "persistent") {
      const graph::Persistent* p = function.module.findPersistent(line.name);
      if (p == nullptr) {
        return errorAt(line, "the module has no persistent tensor `" + line.name + "`");
      }
      Result<graph::Tensor> tensor = makeTensor(line, p->type, symbolValues);
      if (!tensor) {
        return tensor.error();
      }
      environment.persistents[line.name] = std::move(*tensor);
    } else if (line.what == "input") {
      const auto& ops = function.body.ops;
      auto op = std::ranges::find_if(
          ops, [&](const graph::Op* o) { return o->kind == graph::OpKind::Input && o->symbol == line.name; });
      if (op == ops.end()) {
        continue; // of another function
      }
      Result<graph::Tensor> tensor = makeTensor(line, (*op)->results[0]->type, symbolValues);
      if (!tensor) {
        return tensor.error();
      }
      environment.inputs[line.name] = std::move(*tensor);
    } else {
      return errorAt(line,
                     "there is no `" + line.what + "` to set; there are symbol, input, persistent, seed, step, epoch");
    }
  }
  return environment;
}

std::string printResults(const graph::Function& function, const graph::Outputs& outputs,
                         const graph::Environment& environment) {
  std::string text;
  for (const graph::Op* op : function.body.ops) {
    if (op->kind == graph::OpKind::Output) {
      text += "output " + graph::printString(op->symbol) + " : " + tensorText(outputs.outputs.at(op->symbol));
    } else if (op->kind == graph::OpKind::Update) {
      text += "update " + graph::printSymbol(op->symbol) + " : " + tensorText(environment.persistents.at(op->symbol));
    }
  }
  for (size_t i = 0; i < outputs.returns.size(); ++i) {
    text += "return " + std::to_string(i) + " : " + tensorText(outputs.returns[i]);
  }
  return text;
}

} // namespace dnn::driver
