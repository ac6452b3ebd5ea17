#include "compiler/autodiff/gradcheck.h"

#include "compiler/autodiff/expand_grads.h"
#include "compiler/autodiff/widen_storage.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

namespace dnn::autodiff {

using graph::Environment;
using graph::Function;
using graph::Interpreter;
using graph::Module;
using graph::Op;
using graph::OpKind;
using graph::Tensor;
using graph::Value;

namespace {

struct Check {
  const Value* loss = nullptr;
  const Value* wrt = nullptr;
  const Value* gradient = nullptr;
  std::string name;
};

/// A copy of the module in which grads are expanded, and where their operands and results are now.
struct Differentiated {
  std::unique_ptr<Module> module;
  Function* function = nullptr;
  std::vector<Check> checks;
};

/// Results of grads are made outputs so that they are still found when other ops compute them.
Result<Differentiated> differentiatedCopy(const Module& module, const std::string& functionName,
                                          const std::function<Status(Module&)>& prepare) {
  Differentiated copy;
  Result<std::unique_ptr<Module>> parsed = graph::parseModule(graph::print(module, true), "gradcheck");
  if (!parsed) {
    return parsed.error(); // names that the text form cannot carry
  }
  copy.module = std::move(*parsed);
  widenStorage(*copy.module);
  copy.function = copy.module->findFunction(functionName);
  if (copy.function == nullptr) {
    return Error{"there is no function `" + functionName + "` to check", ""};
  }
  std::vector<Op*> grads;
  for (Op* op : copy.function->body.ops) {
    if (op->kind == OpKind::Grad) {
      grads.push_back(op);
    }
  }
  if (grads.empty()) {
    return Error{"`" + functionName + "` takes no gradient", ""};
  }
  constexpr std::string_view mark = "gradcheck.";
  for (const Op* grad : grads) {
    for (size_t i = 0; i < grad->results.size(); ++i) {
      const Value* wrt = grad->operands[i + 1];
      Op* output = copy.function->append(OpKind::Output, {grad->results[i]}, {}, grad->loc);
      output->symbol = std::string(mark) + std::to_string(copy.checks.size());
      std::string name = wrt->def->symbol.empty() ? wrt->name : wrt->def->symbol;
      copy.checks.push_back({grad->operands[0], wrt, nullptr, name.empty() ? "a value" : name});
    }
  }
  if (Result<bool> expanded = expandGrads(*copy.module); !expanded) {
    return expanded.error();
  }
  if (prepare) {
    if (Status prepared = prepare(*copy.module); !prepared) {
      return prepared.error();
    }
  }
  for (const Op* op : copy.function->body.ops) {
    if (op->kind == OpKind::Output && op->symbol.starts_with(mark)) {
      copy.checks[std::stoul(op->symbol.substr(mark.size()))].gradient = op->operands[0];
    }
  }
  return copy;
}

/// The loss along a line through the point where the gradient was taken.
class Line {
public:
  Line(Interpreter& interpreter, const Environment& environment, const Check& check, const Tensor& point)
      : interpreter_(interpreter), environment_(environment), check_(check), point_(point) {}

  /// Moves element i by t·weights[i].
  std::vector<std::pair<int64_t, double>> weights;

  double at(double t) {
    Tensor moved = point_;
    for (auto [element, weight] : weights) {
      moved.set(element, point_.get(element) + t * weight);
    }
    const Value* loss = check_.loss;
    Interpreter::Given given;
    given[check_.wrt] = std::move(moved);
    Result<std::vector<Tensor>> result = interpreter_.evaluate(environment_, {&loss, 1}, given);
    DNN_ASSERT(result, "the function has been evaluated at the point itself");
    return (*result)[0].get(0);
  }

private:
  Interpreter& interpreter_;
  const Environment& environment_;
  const Check& check_;
  const Tensor& point_;
};

struct Comparison {
  bool smooth = true;
  double numeric = 0;
  double error = 0; // relative
};

/// How far the analytic derivative is from the numeric ones that a few step sizes give.
Comparison compare(Line& line, double analytic, double scale, double tolerance) {
  Comparison best;
  best.error = HUGE_VAL;
  double center = line.at(0);
  if (!std::isfinite(center)) {
    return {false, center, 0};
  }
  bool corner = false;
  for (double h = 1e-3 * scale; h > 1e-8 * scale; h /= 8) {
    double plus = line.at(h);
    double minus = line.at(-h);
    double halfPlus = line.at(h / 2);
    double halfMinus = line.at(-h / 2);
    double coarse = (plus - minus) / (2 * h);
    double fine = (halfPlus - halfMinus) / h;
    double numeric = (4 * fine - coarse) / 3;
    double largest = std::max({std::fabs(plus), std::fabs(minus), std::fabs(center), 1e-3});
    double noise = 4e-14 * largest / h; // rounding of the loss, as a derivative
    // Relative to the derivative, or to what rounding leaves of it: a difference within the noise is within the
    // tolerance.
    double size = std::max({std::fabs(analytic), std::fabs(numeric), noise / tolerance});
    double error = std::fabs(analytic - numeric) / size;
    if (std::isfinite(numeric) && error < best.error) {
      best = {true, numeric, error};
    }
    if (best.error <= tolerance) {
      return best;
    }
    // A corner at the point: the one-sided slopes stay apart by the same amount however small the step is. (Where the
    // loss is smooth they approach each other as h does.)
    double right = (halfPlus - center) / (h / 2);
    double left = (center - halfMinus) / (h / 2);
    double rightCoarse = (plus - center) / h;
    double leftCoarse = (center - minus) / h;
    double gap = std::fabs(right - left);
    double gapCoarse = std::fabs(rightCoarse - leftCoarse);
    corner |= !std::isfinite(numeric) || (gap > 0.75 * gapCoarse && gap > 8 * noise && gap > 1e-4 * size);
  }
  // No step agreed. At the last steps a corner shows, or there is none and the gradient is wrong.
  if (corner) {
    best.smooth = false;
  }
  return best;
}

std::string placeOf(const Tensor& tensor, int64_t element) {
  std::string text;
  for (size_t d = tensor.dims.size(); d-- > 0;) {
    text = std::to_string(element % tensor.dims[d]) + (text.empty() ? "" : ", ") + text;
    element /= tensor.dims[d];
  }
  return "[" + text + "]";
}

class Checker {
public:
  /// The loss is computed by one copy, which is as the user wrote it, the gradient by the other.
  Checker(const Function& loss, const Function& gradient, const Environment& environment,
          const GradcheckOptions& options)
      : interpreter_(loss), gradients_(gradient), environment_(environment), options_(options), random_(options.seed) {}

  Result<GradcheckEntry> run(const Check& check, const Value* gradientValue) {
    std::vector<const Value*> wanted = {check.wrt, check.loss};
    Result<std::vector<Tensor>> values = interpreter_.evaluate(environment_, wanted);
    Result<std::vector<Tensor>> gradients = gradients_.evaluate(environment_, {&gradientValue, 1});
    if (!values || !gradients) {
      return !values ? values.error() : gradients.error();
    }
    const Tensor& point = (*values)[0];
    const Tensor& gradient = (*gradients)[0];
    GradcheckEntry entry;
    entry.name = check.name;
    Line line(interpreter_, environment_, check, point);
    for (int64_t element : chooseElements(point.size())) {
      line.weights = {{element, 1.0}};
      double scale = std::max(1.0, std::fabs(point.get(element)));
      add(entry, compare(line, gradient.get(element), scale, options_.tolerance), gradient.get(element),
          placeOf(point, element));
    }
    if (point.size() > 1) {
      line.weights.clear();
      double slope = 0;
      double scale = 1;
      std::uniform_real_distribution<double> weight(-1, 1);
      for (int64_t i = 0; i < point.size(); ++i) {
        line.weights.emplace_back(i, weight(random_));
        slope += line.weights.back().second * gradient.get(i);
        scale = std::max(scale, std::fabs(point.get(i)));
      }
      add(entry, compare(line, slope, scale / std::sqrt(double(point.size())), options_.tolerance), slope,
          "a direction");
    }
    return entry;
  }

private:
  std::vector<int64_t> chooseElements(int64_t size) {
    std::vector<int64_t> elements;
    if (size <= options_.maxElements) {
      for (int64_t i = 0; i < size; ++i) {
        elements.push_back(i);
      }
      return elements;
    }
    std::uniform_int_distribution<int64_t> pick(0, size - 1);
    for (int i = 0; i < options_.maxElements; ++i) {
      elements.push_back(pick(random_));
    }
    std::ranges::sort(elements);
    elements.erase(std::unique(elements.begin(), elements.end()), elements.end());
    return elements;
  }

  void add(GradcheckEntry& entry, const Comparison& comparison, double analytic, std::string place) const {
    ++entry.checked;
    if (!comparison.smooth) {
      ++entry.skipped;
      return;
    }
    bool wrong = !(comparison.error <= options_.tolerance) || !std::isfinite(analytic);
    if (comparison.error >= entry.worst || (wrong && entry.ok)) {
      entry.worst = comparison.error;
      entry.worstPlace = std::move(place);
      entry.analytic = analytic;
      entry.numeric = comparison.numeric;
    }
    entry.ok = entry.ok && !wrong;
  }

  Interpreter interpreter_;
  Interpreter gradients_;
  const Environment& environment_;
  const GradcheckOptions& options_;
  std::mt19937_64 random_;
};

} // namespace

bool GradcheckReport::ok() const {
  return std::ranges::all_of(entries, [](const GradcheckEntry& entry) { return entry.ok; });
}

Result<GradcheckReport> gradcheck(const Module& module, const std::string& functionName, const Environment& environment,
                                  const GradcheckOptions& options) {
  Result<Differentiated> plain = differentiatedCopy(module, functionName, nullptr);
  if (!plain) {
    return plain.error();
  }
  Result<Differentiated> prepared = differentiatedCopy(module, functionName, options.prepare);
  if (!prepared) {
    return prepared.error();
  }
  Environment widened = environment;
  for (auto* tensors : {&widened.persistents, &widened.inputs}) {
    for (auto& [name, tensor] : *tensors) {
      tensor.dtype = computedAs(tensor.dtype);
    }
  }
  Checker checker(*plain->function, *prepared->function, widened, options);
  GradcheckReport report;
  for (size_t i = 0; i < plain->checks.size(); ++i) {
    Result<GradcheckEntry> entry = checker.run(plain->checks[i], prepared->checks[i].gradient);
    if (!entry) {
      return entry.error();
    }
    report.entries.push_back(*entry);
  }
  return report;
}

std::string print(const GradcheckReport& report) {
  std::string text;
  for (const GradcheckEntry& entry : report.entries) {
    char line[256];
    std::snprintf(line, sizeof line, "%-4s %-32s %4d checked, %d not smooth, largest relative error %.2e",
                  entry.ok ? "ok" : "FAIL", entry.name.c_str(), entry.checked, entry.skipped, entry.worst);
    text += line;
    if (!entry.ok) {
      std::snprintf(line, sizeof line, " at %s: %.12g, by differences %.12g", entry.worstPlace.c_str(), entry.analytic,
                    entry.numeric);
      text += line;
    }
    text += "\n";
  }
  return text;
}

} // namespace dnn::autodiff
