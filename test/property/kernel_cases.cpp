#include "test/property/kernel_cases.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>

namespace dnn::test {

namespace {

using Random = std::mt19937_64;

int pick(Random& random, int from, int to) { return std::uniform_int_distribution<int>(from, to)(random); }
bool chance(Random& random, int percent) { return pick(random, 1, 100) <= percent; }
template <size_t N> const char* oneOf(Random& random, const std::array<const char*, N>& list) {
  return list[static_cast<size_t>(pick(random, 0, static_cast<int>(N) - 1))];
}

/// Sizes around the widths of vectors and tiles, and now and then large.
int size(Random& random) {
  static constexpr int interesting[] = {1, 2, 3, 4, 5, 7, 8, 10, 12, 15, 16, 17, 24, 31, 32, 33, 48, 64, 65, 100};
  return chance(random, 70) ? interesting[pick(random, 0, 19)] : pick(random, 1, 100);
}

std::string number(int value) { return std::to_string(value); }

/// Collects the lines of a function.
class Text {
public:
  explicit Text(int maxN) : head_("func @NAME helper [N <= " + number(maxN) + "] {\n") {}
  Text() : head_("func @NAME helper {\n") {}

  std::string input(const std::string& type) {
    std::string name = "%x" + number(inputs_);
    lines_ += "  " + name + " = input \"" + number(inputs_++) + "\" : " + type + "\n";
    return name;
  }
  std::string op(const std::string& definition) {
    std::string name = "%v" + number(values_++);
    lines_ += "  " + name + " = " + definition + "\n";
    return name;
  }
  /// Number of the input that was named last.
  uint32_t lastInput() const { return static_cast<uint32_t>(inputs_ - 1); }
  void line(const std::string& text) { lines_ += "  " + text + "\n"; }
  std::string done(const std::vector<std::string>& returns) const {
    std::string text = head_ + lines_ + "  return ";
    for (size_t i = 0; i < returns.size(); ++i) {
      text += (i > 0 ? ", " : "") + returns[i];
    }
    return text + "\n}\n";
  }

private:
  std::string head_, lines_;
  int inputs_ = 0, values_ = 0;
};

/// A row dimension: the batch or a static one.
struct Rows {
  std::string extent;
  int max;
};
Rows rows(Random& random) {
  int n = size(random);
  return chance(random, 60) ? Rows{"N", n} : Rows{number(n), n};
}

std::string activation(Random& random, const std::string& s) {
  switch (pick(random, 0, 5)) {
  case 0: return "max(" + s + ", 0.0)";
  case 1: return "tanh(" + s + ")";
  case 2: return "div(1.0, add(1.0, exp(neg(" + s + "))))";
  case 3: return "select(gt(" + s + ", 0.0), " + s + ", mul(0.01, " + s + "))";
  case 4: return "mul(" + s + ", erf(" + s + "))";
  default: return s;
  }
}

/// Now and then what a window reads is computed from the input x first, and is not zero where x is; `extents` are x's.
std::string maybeComputed(Random& random, Text& text, const std::string& x, const std::string& extents) {
  if (!chance(random, 30)) {
    return x;
  }
  std::string dims, at, last;
  for (size_t start = 0, d = 0; start < extents.size(); ++d) {
    size_t end = std::min(extents.find(", ", start), extents.size());
    last = "d" + number(static_cast<int>(d));
    at += (d > 0 ? ", " : "") + last;
    dims += (d > 0 ? ", " : "") + last + ":" + extents.substr(start, end - start);
    start = end + 2;
  }
  std::string channels = "f32[" + dims.substr(dims.rfind(':') + 1) + "]";
  std::string shift = text.input(channels), scale = text.input(channels);
  std::string body = "sub(mul(" + x + "[" + at + "], " + scale + "[" + last + "]), " + shift + "[" + last + "])";
  return text.op("comp [" + dims + "] : f32 { " + (chance(random, 50) ? "max(" + body + ", -0.5)" : body) + " }");
}

/// Products of matrices in every transposition, with an epilogue.
KernelCase product(Random& random) {
  Rows m = rows(random);
  std::string n = number(size(random)), k = number(size(random));
  if (chance(random, 3)) {
    k = "1024"; // rows that share lines of the first cache
  }
  if (chance(random, 30)) {
    n = number(8 * pick(random, 1, 8)); // whole tiles of columns
  }
  Text text(m.max);
  bool transposeA = chance(random, 30), transposeB = chance(random, 40);
  std::string a = text.input(transposeA ? "f32[" + k + ", " + m.extent + "]" : "f32[" + m.extent + ", " + k + "]");
  std::string b = text.input(transposeB ? "f32[" + n + ", " + k + "]" : "f32[" + k + ", " + n + "]");
  std::string left = a + (transposeA ? "[k, m]" : "[m, k]"), right = b + (transposeB ? "[n, k]" : "[k, n]");
  if (chance(random, 15) && k != "1024") { // where rounding errors are larger than what is tolerated
    left = "exp(" + left + ")";            // a computed operand
  }
  if (chance(random, 15)) {
    right = "select(gt(" + right + ", 0.0), " + right + ", 0.0)";
  }
  std::string dims = "[m:" + m.extent + ", n:" + n + "]";
  std::string reduction = chance(random, 90) ? "add" : "max";
  std::string s =
      text.op("comp " + dims + " " + reduction + " [k:" + k + "] : f32 { mul(" + left + ", " + right + ") }");
  std::vector<std::string> returns;
  if (chance(random, 10)) { // a mask by the place, as in causal attention
    std::string condition = pick(random, 0, 1) == 0 ? "gt(n, m)" : "le(add(n, 1), m)";
    s = text.op("comp " + dims + " : f32 { select(" + condition + ", -1.0e30, mul(0.5, " + s + "[m, n])) }");
  }
  if (chance(random, 70)) {
    std::string bias = text.input("f32[" + n + "]");
    std::string y =
        text.op("comp " + dims + " : f32 { " + activation(random, "add(" + s + "[m, n], " + bias + "[n])") + " }");
    returns.push_back(y);
    if (chance(random, 30)) {
      returns.push_back(text.op("comp " + dims + " : f32 { mul(" + y + "[m, n], " + s + "[m, n]) }"));
    }
  }
  if (returns.empty() || chance(random, 20)) {
    returns.push_back(s);
  }
  return {"product", text.done(returns), {}, {}};
}

/// A weight gradient with the optimizer that uses it, in place.
KernelCase update(Random& random) {
  Rows m = rows(random);
  std::string in = number(size(random)), out = number(size(random));
  Text text(m.max);
  std::string x = text.input("f32[" + m.extent + ", " + in + "]");
  std::string dy = text.input("f32[" + m.extent + ", " + out + "]");
  std::string rate = text.input("f32");
  std::string type = "f32[" + in + ", " + out + "]", dims = "[i:" + in + ", o:" + out + "]";
  bool bias = chance(random, 25); // a sum over the batch instead of a product
  if (bias) {
    type = "f32[" + out + "]";
    dims = "[o:" + out + "]";
  }
  std::string at = bias ? "[o]" : "[i, o]";
  std::string p = text.input(type);
  std::string g = text.op("comp " + dims + " add [n:" + m.extent + "] : f32 { " +
                          (bias ? dy + "[n, o]" : "mul(" + x + "[n, i], " + dy + "[n, o])") + " }");
  std::string own = "comp " + dims + " : f32 ";
  KernelCase result{"update", "", {}, {}};
  if (bias) {
    text.line("%unused = comp [] add [n:" + m.extent + ", i:" + in + "] : f32 { " + x + "[n, i] }");
  }
  std::vector<std::string> returns;
  switch (pick(random, 0, 2)) {
  case 0:
    returns = {text.op(own + "{ sub(" + p + at + ", mul(" + rate + "[], " + g + at + ")) }")};
    result.inPlace = {3};
    break;
  case 1: {
    std::string m0 = text.input(type);
    std::string m1 = text.op(own + "{ add(mul(0.9, " + m0 + at + "), " + g + at + ") }");
    returns = {m1, text.op(own + "{ sub(" + p + at + ", mul(" + rate + "[], " + m1 + at + ")) }")};
    result.inPlace = {4, 3};
    break;
  }
  default: {
    std::string m0 = text.input(type), v0 = text.input(type);
    std::string m1 = text.op(own + "{ add(mul(0.9, " + m0 + at + "), mul(0.1, " + g + at + ")) }");
    std::string v1 =
        text.op(own + "{ add(mul(0.999, " + v0 + at + "), mul(0.001, mul(" + g + at + ", " + g + at + "))) }");
    std::string step = text.op("env \"step\" : i32"); // the bias correction is the same at every point
    std::string corrected = "div(" + m1 + at + ", sub(1.0, pow(0.9, f32(add(" + step + "[], 1)))))";
    std::string p1 = text.op(own + "{ sub(" + p + at + ", div(mul(" + rate + "[], " + corrected + "), add(sqrt(" + v1 +
                             at + "), 1e-3))) }");
    returns = {m1, v1, p1};
    result.inPlace = {4, 5, 3};
    result.positiveInputs = {5};
    break;
  }
  }
  if (bias) {
    returns.push_back("%unused");
    result.inPlace.push_back(std::nullopt);
  }
  if (chance(random, 20)) {
    result.inPlace.clear(); // the same out of place
  }
  result.text = text.done(returns);
  return result;
}

/// Softmax and cross-entropy, forward and backward, with the mean of the loss.
KernelCase rowsOfSoftmax(Random& random) {
  Rows n = rows(random);
  std::string k = number(chance(random, 80) ? size(random) : pick(random, 100, 400));
  Text text(n.max);
  std::string s = text.input("f32[" + n.extent + ", " + k + "]");
  std::string row = "[n:" + n.extent + "]", full = "[n:" + n.extent + ", k:" + k + "]";
  std::string m = text.op("comp " + row + " max [k:" + k + "] : f32 { " + s + "[n, k] }");
  std::string e = "exp(sub(" + s + "[n, k], " + m + "[n]))";
  if (chance(random, 40)) {
    std::string stage = text.op("comp " + full + " : f32 { " + e + " }");
    e = stage + "[n, k]";
  }
  std::string z = text.op("comp " + row + " add [k:" + k + "] : f32 { " + e + " }");
  if (chance(random, 30)) {
    return {"softmax", text.done({text.op("comp " + full + " : f32 { div(" + e + ", " + z + "[n]) }")}), {}, {}};
  }
  std::string t = text.input("i32[" + n.extent + "] < " + k);
  std::string count = "f32(extent(" + n.extent + "))";
  if (n.extent != "N") {
    count = n.extent + ".0";
  }
  std::string l =
      text.op("comp " + row + " : f32 { sub(add(log(" + z + "[n]), " + m + "[n]), " + s + "[n, " + t + "[n]]) }");
  std::string loss = text.op("comp [] add " + row + " : f32 { div(" + l + "[n], " + count + ") }");
  std::string d = text.op("comp " + full + " : f32 { div(sub(div(" + e + ", " + z + "[n]), select(eq(k, " + t +
                          "[n]), 1.0, 0.0)), " + count + ") }");
  std::vector<std::string> returns = {loss, d};
  if (chance(random, 30)) {
    returns.push_back(l);
  }
  return {"cross-entropy", text.done(returns), {}, {}};
}

/// Rows long enough to run one after the other: softmax and norms with what follows, over their input or beside it.
KernelCase rowByRow(Random& random) {
  static constexpr std::array widths = {"96", "1000", "1024", "1537", "2051"};
  std::string k = oneOf(random, widths);
  int most = std::max(8192 / std::stoi(k) + 1, pick(random, 2, 40));
  Rows n = chance(random, 50) ? Rows{"N", most} : Rows{number(most), most};
  Text text(n.max);
  std::string s = text.input("f32[" + n.extent + ", " + k + "]");
  std::string row = "[n:" + n.extent + "]", full = "[n:" + n.extent + ", k:" + k + "]";
  std::string element = s + "[n, k]";
  std::vector<std::string> returns;
  if (chance(random, 30)) { // a norm
    std::string mean = text.op("comp " + row + " add [k:" + k + "] : f32 { mul(0.001, " + element + ") }");
    std::string centred = "sub(" + element + ", " + mean + "[n])";
    std::string square = text.op("comp " + row + " add [k:" + k + "] : f32 { mul(" + centred + ", " + centred + ") }");
    returns.push_back(text.op("comp " + full + " : f32 { div(" + centred + ", sqrt(add(0.1, " + square + "[n]))) }"));
  } else {
    std::string m = text.op("comp " + row + " max [k:" + k + "] : f32 { " + element + " }");
    std::string e = "exp(sub(" + element + ", " + m + "[n]))";
    if (chance(random, 60)) {
      e = text.op("comp " + full + " : f32 { " + e + " }") + "[n, k]";
    }
    std::string z = text.op("comp " + row + " add [k:" + k + "] : f32 { " + e + " }");
    if (chance(random, 70)) {
      std::string t = text.input("i32[" + n.extent + "] < " + k);
      std::string loss = text.op("comp [] add " + row + " : f32 { sub(add(log(" + z + "[n]), " + m + "[n]), " + s +
                                 "[n, " + t + "[n]]) }");
      returns.push_back(text.op("comp [] : f32 { mul(0.01, " + loss + "[]) }"));
      e = "sub(div(" + e + ", " + z + "[n]), select(eq(k, " + t + "[n]), 1.0, 0.0))";
    } else {
      e = "div(" + e + ", " + z + "[n])";
    }
    returns.push_back(text.op("comp " + full + " : f32 { sub(" + element + ", mul(0.5, " + e + ")) }"));
  }
  std::vector<std::optional<uint32_t>> inPlace(returns.size());
  if (chance(random, 50)) {
    inPlace.back() = 0;
  }
  return {"row by row", text.done(returns), std::move(inPlace), {}};
}

std::string scalarExpression(Random& random, const std::vector<std::string>& leaves, int depth) {
  if (depth == 0 || chance(random, 15)) {
    return chance(random, 80) ? leaves[static_cast<size_t>(pick(random, 0, static_cast<int>(leaves.size()) - 1))]
                              : number(pick(random, -3, 3)) + ".5";
  }
  auto arg = [&] { return scalarExpression(random, leaves, depth - 1); };
  static constexpr std::array unary = {"neg",   "abs",  "tanh",  "erf", "sin",      "cos",
                                       "floor", "ceil", "round", "exp", "stop_grad"};
  static constexpr std::array binary = {"add", "sub", "mul", "min", "max"};
  switch (pick(random, 0, 7)) {
  case 0: return std::string(oneOf(random, unary)) + "(mul(0.25, " + arg() + "))";
  case 1: return "select(lt(" + arg() + ", " + arg() + "), " + arg() + ", " + arg() + ")";
  case 2: return "sqrt(add(1.0, abs(" + arg() + ")))";
  case 3: return "log(add(1.0, abs(" + arg() + ")))";
  case 4: return "div(" + arg() + ", add(1.0, abs(" + arg() + ")))";
  default: return std::string(oneOf(random, binary)) + "(" + arg() + ", " + arg() + ")";
  }
}

KernelCase elementwise(Random& random) {
  Rows n = rows(random);
  Text text(n.max);
  std::string a = number(size(random)), b = number(chance(random, 70) ? size(random) : 1);
  std::string x = text.input("f32[" + n.extent + ", " + a + ", " + b + "]");
  std::string y = text.input("f32[" + a + "]"), z = text.input("f32[" + n.extent + ", " + b + "]");
  std::string w = text.input("f32[" + b + ", " + a + "]");
  std::string dims = "[n:" + n.extent + ", i:" + a + ", j:" + b + "]";
  std::vector<std::string> leaves = {x + "[n, i, j]",
                                     y + "[i]",
                                     z + "[n, j]",
                                     w + "[j, i]",
                                     "f32(i)",
                                     x + "[n, i + 1, j - 1; 0.5]",
                                     y + "[" + number(std::stoi(a) - 1) + " - i]"};
  std::vector<std::string> returns;
  // Floor and comparisons jump, so what feeds them must be the same number in f32 and f64: inputs are small fractions
  // and the first stage is what they see.
  std::string first = "add(mul(" + x + "[n, i, j], " + y + "[i]), add(" + z + "[n, j], add(" + w + "[j, i], add(" +
                      leaves[5] + ", " + leaves[6] + "))))";
  returns.push_back(text.op("comp " + dims + " : f32 { " + first + " }"));
  std::string v = returns[0] + "[n, i, j]";
  returns.push_back(text.op("comp " + dims + " : f32 { " + scalarExpression(random, {v, "1.0"}, 2) + " }"));
  if (chance(random, 50)) {
    returns.push_back(text.op("comp " + dims + " : bool { gt(" + v + ", " + leaves[0] + ") }"));
  }
  if (chance(random, 30)) {
    returns.push_back(text.op("comp " + dims + " : f64 { mul(f64(" + v + "), exp(-1.5f64)) }"));
  }
  if (chance(random, 30)) {
    std::string type = chance(random, 50) ? "bf16" : "f16";
    returns.push_back(text.op("comp " + dims + " : " + type + " { " + type + "(mul(0.25, " + v + ")) }"));
  }
  if (chance(random, 30)) {
    returns.push_back(text.op("comp " + dims + " : i32 { add(i32(" + v + "), mul(i, j) / 3 + (i + n) % 5) }"));
  }
  return {"elementwise", text.done(returns), {}, {}};
}

KernelCase reductions(Random& random) {
  Rows n = rows(random);
  Text text(n.max);
  std::string a = number(size(random)), b = number(size(random));
  std::string x = text.input("f32[" + n.extent + ", " + a + ", " + b + "]");
  static constexpr std::array<const char*, 3> axes = {"n", "i", "j"};
  const std::string extents[] = {n.extent, a, b};
  std::vector<std::string> returns;
  for (int count = pick(random, 1, 3); count > 0; --count) {
    int mask = pick(random, 1, 7);
    std::string dims, reduced;
    for (int axis = 0; axis < 3; ++axis) {
      std::string& list = (mask >> axis & 1) != 0 ? reduced : dims;
      list += (list.empty() ? "" : ", ") + std::string(axes[static_cast<size_t>(axis)]) + ":" + extents[axis];
    }
    std::string element = x + "[n, i, j]";
    static constexpr std::array kinds = {"add", "max", "min", "argmax", "argmin", "any", "all", "mul"};
    std::string kind = oneOf(random, kinds);
    std::string head = "comp [" + dims + "] " + kind + " [" + reduced + "] : ";
    if (kind == "any" || kind == "all") {
      returns.push_back(text.op(head + "bool { gt(" + element + ", " + (kind == "any" ? "1.9" : "-1.9") + ") }"));
    } else if (kind == "argmax" || kind == "argmin") {
      returns.push_back(text.op(head + "i32 { " + element + " }"));
    } else if (kind == "mul") {
      returns.push_back(text.op(head + "f32 { add(1.0, mul(0.001, " + element + ")) }"));
    } else if (chance(random, 20)) {
      returns.push_back(text.op(head + "i32 { add(i32(mul(4.0, " + element + ")), i) }"));
    } else {
      returns.push_back(text.op(head + "f32 { mul(" + element + ", " + element + ") }"));
    }
  }
  return {"reduction", text.done(returns), {}, {}};
}

/// Sums over many rows of a wide result: tiles of columns, and rows in pieces.
KernelCase columnSums(Random& random) {
  int most = pick(random, 1, 600);
  Rows n = chance(random, 60) ? Rows{"N", most} : Rows{number(most), most};
  Text text(n.max);
  static constexpr std::array widths = {"3", "6", "8", "10", "16", "17", "24", "33", "64", "65", "100", "128", "200"};
  std::string c = oneOf(random, widths);
  bool deep = chance(random, 25); // two reduced indices
  std::string x = text.input("f32[" + n.extent + ", " + (deep ? "3, " : "") + c + "]");
  std::string y = text.input("f32[" + n.extent + "]");
  std::string element = x + (deep ? "[n, q, i]" : "[n, i]");
  static constexpr std::array bodies = {"ELEMENT", "mul(ELEMENT, Y[n])", "exp(neg(ELEMENT))"};
  std::string body = oneOf(random, bodies);
  body.replace(body.find("ELEMENT"), 7, element);
  if (size_t at = body.find("Y["); at != std::string::npos) {
    body.replace(at, 1, y);
  }
  std::string sum = text.op("comp [i:" + c + "] " + (chance(random, 80) ? "add" : "max") + " [n:" + n.extent +
                            (deep ? ", q:3" : "") + "] : f32 { " + body + " }");
  std::string bias = text.input("f32[" + c + "]");
  std::string updated = text.op("comp [i:" + c + "] : f32 { sub(" + bias + "[i], mul(0.1, " + sum + "[i])) }");
  return {"column sums", text.done({updated}), {chance(random, 50) ? std::optional<uint32_t>(2) : std::nullopt}, {}};
}

KernelCase gatherAndScatter(Random& random) {
  Rows n = rows(random);
  Text text(n.max);
  std::string v = number(size(random)), d = number(size(random));
  std::string t = text.input("i32[" + n.extent + "] < " + v), table = text.input("f32[" + v + ", " + d + "]");
  std::string dy = text.input("f32[" + n.extent + ", " + d + "]");
  std::string e = text.op("comp [n:" + n.extent + ", d:" + d + "] : f32 { mul(2.0, " + table + "[" + t + "[n], d]) }");
  std::string s = text.op("scatter add f32[" + v + ", " + d + "] [n:" + n.extent + ", d:" + d + "] at (" + t +
                          "[n], d) { " + dy + "[n, d] }");
  KernelCase result{"gather-scatter", "", {}, {}};
  std::vector<std::string> returns = {e};
  if (chance(random, 50)) {
    std::string p = text.input("f32[" + v + ", " + d + "]");
    returns = {text.op("comp [v:" + v + ", d:" + d + "] : f32 { sub(" + p + "[v, d], mul(0.5, " + s + "[v, d])) }")};
    result.inPlace = {3};
    text.line("%e2 = comp [] add [n:" + n.extent + ", d:" + d + "] : f32 { " + e + "[n, d] }");
    returns.push_back("%e2");
    result.inPlace.push_back(std::nullopt);
  } else {
    returns.push_back(s);
  }
  result.text = text.done(returns);
  return result;
}

KernelCase accuracy(Random& random) {
  Rows n = rows(random);
  Text text(n.max);
  std::string k = number(size(random));
  std::string s = text.input("f32[" + n.extent + ", " + k + "]"), t = text.input("i32[" + n.extent + "] < " + k);
  std::string best = text.op("comp [n:" + n.extent + "] argmax [k:" + k + "] : i32 { " + s + "[n, k] }");
  std::string hits = text.op("comp [] add [n:" + n.extent + "] : f32 { f32(eq(" + best + "[n], " + t + "[n])) }");
  return {"accuracy", text.done(chance(random, 50) ? std::vector{hits} : std::vector{hits, best}), {}, {}};
}

KernelCase convolution(Random& random) {
  Rows n = rows(random);
  n.max = 1 + n.max % 6;
  n.extent = n.extent == "N" ? "N" : number(n.max);
  Text text(n.max);
  int h = pick(random, 4, 12), window = pick(random, 1, 3), stride = pick(random, 1, 2), pad = pick(random, 0, 1);
  int out = (h + 2 * pad - window) / stride + 1;
  std::string c = number(pick(random, 1, 9)), o = number(size(random) % 40 + 1);
  std::string x = text.input("f32[" + n.extent + ", " + number(h) + ", " + number(h) + ", " + c + "]");
  std::string w = text.input("f32[" + number(window) + ", " + number(window) + ", " + c + ", " + o + "]");
  std::string dims = "[n:" + n.extent + ", i:" + number(out) + ", j:" + number(out) + ", o:" + o + "]";
  auto at = [&](const char* i, const char* u) { return number(stride) + "*" + i + " + " + u + " - " + number(pad); };
  std::string s =
      text.op("comp " + dims + " add [u:" + number(window) + ", v:" + number(window) + ", c:" + c + "] : f32 { mul(" +
              x + "[n, " + at("i", "u") + ", " + at("j", "v") + ", c; 0.0], " + w + "[u, v, c, o]) }");
  if (chance(random, 60)) {
    s = text.op("comp " + dims + " : f32 { max(" + s + "[n, i, j, o], 0.0) }");
  }
  if (chance(random, 30)) {
    std::string half = number((out + 1) / 2);
    s = text.op("comp [n:" + n.extent + ", i:" + half + ", j:" + half + ", o:" + o + "] max [u:2, v:2] : f32 { " + s +
                "[n, 2*i + u, 2*j + v, o; -1.0] }");
  }
  return {"convolution", text.done({s}), {}, {}};
}

/// A convolution of any rank, its gradients, or both along channels alone (depthwise), from one random geometry.
KernelCase windowsOf(Random& random, bool inLanes) {
  static constexpr std::array<std::array<const char*, 3>, 2> names = {{{"i", "j", "k"}, {"u", "v", "w"}}};
  Rows n = rows(random);
  n.max = inLanes ? pick(random, 8, 40) : 1 + n.max % 9;
  n.extent = n.extent == "N" ? "N" : number(n.max);
  Text text(n.max);
  int rank = chance(random, 70) ? 2 : chance(random, 60) ? 1 : 3;
  int channels = inLanes ? pick(random, 1, 12) : chance(random, 70) ? pick(random, 1, 9) : size(random) % 40 + 1;
  int results = inLanes ? pick(random, 1, 12) : chance(random, 60) ? pick(random, 1, 20) : size(random);
  bool depthwise = chance(random, 15);
  std::string c = number(channels), o = number(results);
  std::string held = number(channels - (channels > 1 && chance(random, 5) ? 1 : 0)); // of x: the last may be missing
  std::string places = "n:" + n.extent, window, inExtents = n.extent, outExtents = n.extent, windowExtents;
  std::string inAt, outAt = "n", back = "n", in = "n:" + n.extent, ownWindow;
  for (size_t d = 0; d < static_cast<size_t>(rank); ++d) {
    int extent = pick(random, 1, rank == 3 ? 7 : inLanes ? 12 : 17), kernel = pick(random, 1, 5);
    int stride = chance(random, 60) ? 1 : pick(random, 2, 3), dilation = chance(random, 75) ? 1 : pick(random, 2, 3);
    int pad = pick(random, 0, kernel - 1), reach = (kernel - 1) * dilation + 1;
    extent = std::max(extent, reach - 2 * pad);
    int out = (extent + 2 * pad - reach) / stride + 1;
    out += chance(random, 8) ? pick(random, 1, 3) : 0; // beyond the end, where nothing but fill values are
    std::string i = names[0][d], u = names[1][d];
    bool bare = kernel == 1 && stride == 1 && chance(random, 50);
    places += ", " + i + ":" + number(out);
    in += ", " + i + ":" + number(extent);
    window += (window.empty() ? "" : ", ") + u + ":" + number(kernel);
    ownWindow += (ownWindow.empty() ? "" : ", ") + u;
    inExtents += ", " + number(extent);
    outExtents += ", " + number(out);
    windowExtents += number(kernel) + ", ";
    inAt += ", " + (bare ? i : number(stride) + "*" + i + " + " + number(dilation) + "*" + u + " - " + number(pad));
    outAt += ", " + i;
    back += ", " + (bare ? i : i + " - " + number(dilation) + "*" + u + " + " + number(pad));
  }
  std::string x, w, body, dims, reduced, at;
  int kind = pick(random, 0, 2);
  if (depthwise) {
    x = maybeComputed(random, text, text.input("f32[" + inExtents + ", " + held + "]"), inExtents + ", " + held);
    w = text.input("f32[" + windowExtents + c + "]");
    body = "mul(" + x + "[n" + inAt + ", c; 0.0], " + w + "[" + ownWindow + ", c])";
    dims = places + ", c:" + c;
    reduced = window;
    at = outAt + ", c";
  } else if (kind == 0) { // forward
    x = maybeComputed(random, text, text.input("f32[" + inExtents + ", " + held + "]"), inExtents + ", " + held);
    w = text.input("f32[" + windowExtents + c + ", " + o + "]");
    std::string element = x + "[n" + inAt + ", c; 0.0]";
    if (chance(random, 15)) {
      element = "max(" + element + ", 0.0)";
    }
    body = "mul(" + element + ", " + w + "[" + ownWindow + ", c, o])";
    dims = places + ", o:" + o;
    reduced = window + ", c:" + c;
    at = outAt + ", o";
  } else if (kind == 1) { // the gradient of the input, stride 1
    x = maybeComputed(random, text, text.input("f32[" + inExtents + ", " + o + "]"), inExtents + ", " + o);
    w = text.input("f32[" + windowExtents + c + ", " + o + "]");
    body = "mul(" + x + "[" + back + ", o; 0.0], " + w + "[" + ownWindow + ", c, o])";
    dims = in + ", c:" + c;
    reduced = "o:" + o + ", " + window;
    at = outAt + ", c";
  } else { // the gradient of the weights
    x = maybeComputed(random, text, text.input("f32[" + inExtents + ", " + held + "]"), inExtents + ", " + held);
    w = text.input("f32[" + outExtents + ", " + o + "]");
    body = "mul(" + x + "[n" + inAt + ", c; 0.0], " + w + "[" + outAt + ", o])";
    dims = window + ", c:" + c + ", o:" + o;
    reduced = places;
    at = ownWindow + ", c, o";
  }
  std::vector<std::string> returns = {text.op("comp [" + dims + "] add [" + reduced + "] : f32 { " + body + " }")};
  KernelCase result{inLanes ? "windows in lanes" : "windows", "", {}, {}};
  if (!depthwise && kind == 2 && chance(random, 60)) {
    std::string p = text.input("f32[" + windowExtents + c + ", " + o + "]");
    returns = {text.op("comp [" + dims + "] : f32 { sub(" + p + "[" + at + "], mul(0.125, " + returns[0] + "[" + at +
                       "])) }")};
    result.inPlace = {text.lastInput()};
  } else if (chance(random, 50)) {
    std::string last = dims.substr(dims.rfind(':') + 1);
    std::string b = text.input("f32[" + last + "]"), channel = at.substr(at.rfind(' ') + 1);
    std::string biased = "add(" + returns[0] + "[" + at + "], " + b + "[" + channel + "])";
    std::string y = text.op("comp [" + dims + "] : f32 { " + activation(random, biased) + " }");
    if (chance(random, 50)) {
      returns[0] = y;
    } else {
      returns.push_back(y);
    }
  }
  result.text = text.done(returns);
  return result;
}

KernelCase windows(Random& random) { return windowsOf(random, false); }
/// Few channels and many images.
KernelCase windowsInLanes(Random& random) { return windowsOf(random, true); }

/// A convolution of channels in groups, or one of its gradients: each group of results sees its own channels alone.
KernelCase groups(Random& random) {
  Rows n = rows(random);
  n.max = 1 + n.max % 9;
  n.extent = n.extent == "N" ? "N" : number(n.max);
  Text text(n.max);
  std::string g = number(pick(random, 1, 4)), c = number(pick(random, 1, 9)), o = number(pick(random, 1, 17));
  int in = pick(random, 5, 12), kernel = pick(random, 1, 5), stride = pick(random, 1, 2),
      pad = pick(random, 0, kernel - 1);
  int kind = pick(random, 0, 2);
  stride = kind == 1 ? 1 : stride;
  std::string places = number((in + 2 * pad - kernel) / stride + 1), k = number(kernel), shift = number(pad);
  std::string image = "[" + n.extent + ", " + number(in) + ", " + number(in) + ", " + g + ", " + c + "]";
  std::string results = "[" + n.extent + ", " + places + ", " + places + ", " + g + ", " + o + "]";
  std::string weights = "[" + k + ", " + k + ", " + c + ", " + g + ", " + o + "]";
  std::string window =
      "[n, " + number(stride) + "*i + u - " + shift + ", " + number(stride) + "*j + v - " + shift + ", g, c; 0.0]";
  std::string outer = "n:" + n.extent + ", i:" + places + ", j:" + places, taps = "u:" + k + ", v:" + k;
  std::string head, body;
  if (kind == 0) { // forward
    std::string x = text.input("f32" + image), w = text.input("f32" + weights);
    head = "comp [" + outer + ", g:" + g + ", o:" + o + "] add [" + taps + ", c:" + c + "]";
    body = "mul(" + x + window + ", " + w + "[u, v, c, g, o])";
  } else if (kind == 1) { // the gradient of the input
    std::string d = text.input("f32" + results), w = text.input("f32" + weights);
    head = "comp [n:" + n.extent + ", i:" + number(in) + ", j:" + number(in) + ", g:" + g + ", c:" + c +
           "] add [o:" + o + ", " + taps + "]";
    body = "mul(" + d + "[n, i - u + " + shift + ", j - v + " + shift + ", g, o; 0.0], " + w + "[u, v, c, g, o])";
  } else { // the gradient of the weights
    std::string x = text.input("f32" + image), d = text.input("f32" + results);
    head = "comp [" + taps + ", c:" + c + ", g:" + g + ", o:" + o + "] add [" + outer + "]";
    body = "mul(" + x + window + ", " + d + "[n, i, j, g, o])";
  }
  return {"groups", text.done({text.op(head + " : f32 { " + body + " }")}), {}, {}};
}

/// A convolution with a window of 3 × 3 and enough channels for vectors, or the gradient of its input, in several
/// orders of the dims, with what is computed before and after.
KernelCase windowsOfThree(Random& random) {
  static constexpr std::array sizes = {"8", "9", "12", "16", "17", "24", "33"};
  Rows n = rows(random);
  n.max = 1 + n.max % 9;
  n.extent = n.extent == "N" ? "N" : number(n.max);
  Text text(n.max);
  std::string c = oneOf(random, sizes), o = oneOf(random, sizes);
  bool backward = chance(random, 40), batch = chance(random, 85);
  std::string items = batch ? "n:" + n.extent + ", " : "", extents = batch ? n.extent + ", " : "",
              at = batch ? "n, " : "";
  std::string dims = items, inExtents = extents, element = at, own = at;
  for (const char* names : {"iu", "jv"}) {
    int pad = pick(random, 0, 2), in = pick(random, std::max(1, 3 - 2 * pad), 17), out = in + 2 * pad - 2;
    std::string i(1, names[0]), u(1, names[1]), shift = number(pad);
    dims += i + ":" + number(backward ? in : out) + ", ";
    inExtents += number(backward ? out : in) + ", ";
    element += backward ? i + " - " + u + " + " + shift + ", " : i + " + " + u + " - " + shift + ", ";
    own += i + ", ";
  }
  bool channelsFirst = !backward && batch && chance(random, 10);
  std::string x, body;
  if (channelsFirst) { // images [n, c, i, j]
    x = text.input("f32[" + n.extent + ", " + c + ", " +
                   inExtents.substr(extents.size(), inExtents.size() - extents.size() - 2) + "]");
    element = x + "[n, c, " + element.substr(3, element.size() - 5) + "; 0.0]";
  } else {
    x = maybeComputed(random, text, text.input("f32[" + inExtents + c + "]"), inExtents + c);
    element = x + "[" + element + "c; 0.0]";
  }
  if (chance(random, 25)) {
    element = "max(" + element + ", 0.0)";
  }
  std::string w = text.input("f32[3, 3, " + (backward ? o + ", " + c : c + ", " + o) + "]");
  body = "mul(" + element + ", " + w + (backward ? "[u, v, o, c])" : "[u, v, c, o])");
  dims += "o:" + o;
  own += "o";
  std::vector<std::string> returns = {text.op("comp [" + dims + "] add [" +
                                              (backward ? "c:" + c + ", u:3, v:3" : "u:3, v:3, c:" + c) + "] : f32 { " +
                                              body + " }")};
  if (chance(random, 60)) {
    std::string b = text.input("f32[" + o + "]");
    std::string y = text.op("comp [" + dims + "] : f32 { " +
                            activation(random, "add(" + returns[0] + "[" + own + "], " + b + "[o])") + " }");
    if (chance(random, 50)) {
      returns[0] = y;
    } else {
      returns.push_back(y);
    }
  }
  return {"windows of three", text.done(returns), {}, {}};
}

/// A product with every second or third place of its images (a convolution of one place with a stride), or the gradient
/// of its weights.
KernelCase stridedProducts(Random& random) {
  static constexpr std::array sizes = {"2", "3", "6", "8", "12", "16", "20", "33"};
  int most = pick(random, 1, 12), rank = pick(random, 1, 2);
  std::string n = chance(random, 60) ? "N" : number(most), c = oneOf(random, sizes), o = oneOf(random, sizes);
  Text text(most);
  std::string data = n, results = n, element = "n", place = "n", places = "n:" + n;
  for (int d = 0; d < rank; ++d) {
    std::string i(1, "ij"[d]);
    int stride = pick(random, 2, 3), out = pick(random, 1, 14), first = pick(random, 0, 2);
    data += ", " + number(first + stride * (out - 1) + pick(random, 1, stride));
    results += ", " + number(out);
    element += ", " + number(stride) + "*" + i + (first > 0 ? " + " + number(first) : "");
    place += ", " + i;
    places += ", " + i + ":" + number(out);
  }
  std::string x = text.input("f32[" + data + ", " + c + "]");
  std::string at = x + "[" + element + ", c]";
  if (chance(random, 20)) {
    at = "max(" + at + ", 0.0)";
  }
  if (chance(random, 50)) { // forward, with a bias
    std::string w = text.input("f32[" + c + ", " + o + "]"), b = text.input("f32[" + o + "]"),
                dims = places + ", o:" + o;
    std::string y = text.op("comp [" + dims + "] add [c:" + c + "] : f32 { mul(" + at + ", " + w + "[c, o]) }");
    y = text.op("comp [" + dims + "] : f32 { max(add(" + y + "[" + place + ", o], " + b + "[o]), 0.0) }");
    return {"strided products", text.done({y}), {}, {}};
  }
  std::string d = text.input("f32[" + results + ", " + o + "]"), dims = "[c:" + c + ", o:" + o + "]";
  std::string sum =
      text.op("comp " + dims + " add [" + places + "] : f32 { mul(" + at + ", " + d + "[" + place + ", o]) }");
  if (chance(random, 40)) {
    return {"strided products", text.done({sum}), {}, {}};
  }
  std::string p = text.input("f32[" + c + ", " + o + "]");
  std::string updated = text.op("comp " + dims + " : f32 { sub(" + p + "[c, o], mul(0.125, " + sum + "[c, o])) }");
  KernelCase result{"strided products", text.done({updated}), {}, {}};
  if (chance(random, 60)) {
    result.inPlace = {2};
  }
  return result;
}

/// A product for places of images, added to every second place of another one's: the gradient of what a product with
/// and one without a stride read.
KernelCase productsByPlaces(Random& random) {
  static constexpr std::array sizes = {"2", "3", "8", "12", "16", "20", "33", "64"};
  int most = pick(random, 1, 6), rank = pick(random, 1, 2);
  std::string n = chance(random, 60) ? "N" : number(most), c = oneOf(random, sizes), o = oneOf(random, sizes);
  Text text(most);
  std::string data = n, half = n, place = "n", halfPlace = "n", places = "n:" + n, even;
  for (int d = 0; d < rank; ++d) {
    std::string i(1, "ij"[d]);
    int out = pick(random, 2, 15);
    data += ", " + number(out);
    half += ", " + number((out + 1) / 2);
    place += ", " + i;
    halfPlace += ", " + i + "/2";
    places += ", " + i + ":" + number(out);
    std::string here = "eq(mod(" + i + ", 2), 0)";
    even = even.empty() ? here : "and(" + even + ", " + here + ")";
  }
  bool turned = chance(random, 50);
  std::string x = text.input("f32[" + data + ", " + c + "]"),
              w = text.input("f32[" + (turned ? o + ", " + c : c + ", " + o) + "]"),
              z = text.input("f32[" + half + ", " + o + "]"), dims = places + ", o:" + o;
  std::string y = text.op("comp [" + dims + "] add [c:" + c + "] : f32 { mul(" + x + "[" + place + ", c], " + w +
                          (turned ? "[o, c]" : "[c, o]") + ") }");
  y = text.op("comp [" + dims + "] : f32 { add(" + y + "[" + place + ", o], select(" + even + ", " + z + "[" +
              halfPlace + ", o], 0.0)) }");
  return {"products by places", text.done({y}), {}, {}};
}

/// A sum of more terms than a block has for each element of a small result, often with the update: the gradient of
/// weights that are applied to many places.
KernelCase longSums(Random& random) {
  static constexpr std::array sizes = {"2", "3", "6", "8", "12", "16", "20", "33", "50", "130"};
  int most = pick(random, 2, 6), each = pick(random, 30, 200);
  std::string terms = chance(random, 60) ? number(each) + "*N" : number(each * most);
  std::string c = oneOf(random, sizes), o = oneOf(random, sizes);
  Text text(most);
  std::string x = text.input("f32[" + terms + ", " + c + "]"), d = text.input("f32[" + terms + ", " + o + "]");
  std::string dims = "[c:" + c + ", o:" + o + "]";
  std::string sum = text.op("comp " + dims + " add [p:" + terms + "] : f32 { mul(" + x + "[p, c], " + d + "[p, o]) }");
  if (chance(random, 40)) {
    return {"long sums", text.done({sum}), {}, {}};
  }
  std::string p = text.input("f32[" + c + ", " + o + "]");
  std::string updated = text.op("comp " + dims + " : f32 { sub(" + p + "[c, o], mul(0.125, " + sum + "[c, o])) }");
  KernelCase result{"long sums", text.done({updated}), {}, {}};
  if (chance(random, 60)) {
    result.inPlace = {2};
  }
  return result;
}

/// The gradient of the weights of a convolution with a window of 3 × 3, long enough to be summed in blocks, with the
/// update.
KernelCase weightsOfThree(Random& random) {
  static constexpr std::array sizes = {"8", "9", "12", "16", "17", "24", "32"};
  bool small = chance(random, 30); // images of which several are in a block
  int most = pick(random, 5, 20);
  std::string n = chance(random, 60) ? "N" : number(most), c = oneOf(random, sizes), o = oneOf(random, sizes);
  Text text(most);
  std::string data = n, factor = n, element = "n", places = "n", reduced = "n:" + n;
  for (const char* names : {"iu", "jv"}) {
    int pad = pick(random, 0, 2), in = pick(random, small ? 3 : 9, small ? 7 : 19), out = in + 2 * pad - 2;
    std::string i(1, names[0]), u(1, names[1]);
    data += ", " + number(in);
    factor += ", " + number(out);
    element += ", " + i + " + " + u + " - " + number(pad);
    places += ", " + i;
    reduced += ", " + i + ":" + number(out);
  }
  std::string x = maybeComputed(random, text, text.input("f32[" + data + ", " + c + "]"), data + ", " + c);
  std::string d = text.input("f32[" + factor + ", " + o + "]");
  std::string at = x + "[" + element + ", c; 0.0]", other = d + "[" + places + ", o]";
  if (chance(random, 25)) {
    at = "max(" + at + ", 0.0)";
  }
  std::string dims = "[u:3, v:3, c:" + c + ", o:" + o + "]";
  std::string sum = text.op("comp " + dims + " add [" + reduced + "] : f32 { mul(" + at + ", " + other + ") }");
  if (chance(random, 40)) {
    return {"weights of three", text.done({sum}), {}, {}};
  }
  std::string p = text.input("f32[3, 3, " + c + ", " + o + "]");
  std::string updated =
      text.op("comp " + dims + " : f32 { sub(" + p + "[u, v, c, o], mul(0.125, " + sum + "[u, v, c, o])) }");
  KernelCase result{"weights of three", text.done({updated}), {}, {}};
  if (chance(random, 60)) {
    result.inPlace = {text.lastInput()};
  }
  return result;
}

/// A reduction of a few terms over windows that touch or overlap, and what reads an element for each place below it, as
/// the gradient of a maximum does.
KernelCase shortReductions(Random& random) {
  Rows n = rows(random);
  n.max = 1 + n.max % 9;
  n.extent = n.extent == "N" ? "N" : number(n.max);
  Text text(n.max);
  std::string c = number(chance(random, 50) ? pick(random, 1, 17) : 8 * pick(random, 1, 4));
  int h = pick(random, 1, 9), w = pick(random, 1, 9), k = pick(random, 1, 3), l = pick(random, 1, 3);
  bool touching = chance(random, 75);
  int down = touching ? k : 1, across = touching ? l : pick(random, 1, 2);
  std::string extents =
      "[" + n.extent + ", " + number((h - 1) * down + k) + ", " + number((w - 1) * across + l) + ", " + c + "]";
  std::string x = text.input("f32" + extents);
  std::string at = "[n, " + number(down) + "*i + u, " + number(across) + "*j + v, c]";
  static constexpr std::array kinds = {"add", "max", "min", "mul", "argmax", "argmin", "any"};
  std::string kind = oneOf(random, kinds);
  bool position = kind.starts_with("arg"), test = kind == "any";
  std::string body = test ? "gt(" + x + at + ", 0.5)" : chance(random, 70) ? x + at : "mul(" + x + at + ", 0.5)";
  std::string r = text.op("comp [n:" + n.extent + ", i:" + number(h) + ", j:" + number(w) + ", c:" + c + "] " + kind +
                          " [u:" + number(k) + ", v:" + number(l) + "] : " +
                          (position ? "i32"
                           : test   ? "bool"
                                    : "f32") +
                          " { " + body + " }");
  if (!touching || chance(random, 40)) {
    return {"short reductions", text.done({r}), {}, {}};
  }
  std::string g = text.input("f32[" + n.extent + ", " + number(h) + ", " + number(w) + ", " + c + "]");
  std::string i = k > 1 ? "i/" + number(k) : "i", j = l > 1 ? "j/" + number(l) : "j";
  std::string below = "[n, " + i + ", " + j + ", c]", element = r + below;
  std::string place = "add(mul(" + number(l) + ", mod(i, " + number(k) + ")), mod(j, " + number(l) + "))";
  std::string condition = position ? "eq(" + element + ", " + place + ")"
                          : test   ? element
                                   : "ge(" + x + "[n, i, j, c], " + element + ")";
  std::string out = text.op("comp [n:" + n.extent + ", i:" + number(h * k) + ", j:" + number(w * l) + ", c:" + c +
                            "] : f32 { select(" + condition + ", " + g + below + ", 0.0) }");
  return {"short reductions", text.done({out}), {}, {}};
}

/// Reductions over windows with a border around what they read, overlapping or apart, and now and then what is made of
/// each place.
KernelCase paddedReductions(Random& random) {
  Rows n = rows(random);
  n.max = 1 + n.max % 9;
  n.extent = n.extent == "N" ? "N" : number(n.max);
  Text text(n.max);
  std::string c = number(chance(random, 50) ? pick(random, 1, 9) : 16 * pick(random, 1, 5));
  std::array<int, 2> places{}, sizes{}, steps{}, befores{}, results{};
  for (size_t d = 0; d < 2; ++d) {
    places[d] = pick(random, 1, 9), sizes[d] = pick(random, 1, 4), steps[d] = pick(random, 1, 3);
    befores[d] = pick(random, 0, sizes[d]);
    results[d] = std::max(1, (places[d] + befores[d] + pick(random, 0, 2) - sizes[d]) / steps[d] + 1);
  }
  std::string extents = "[" + n.extent + ", " + number(places[0]) + ", " + number(places[1]) + ", " + c + "]";
  std::string x = text.input("f32" + extents);
  static constexpr std::array fills = {"0.0", "-100.0", "100.0", "0.25"};
  std::string fill = oneOf(random, fills);
  auto at = [&](const std::string& tensor, const std::string& outside) {
    return tensor + "[n, " + number(steps[0]) + "*i + u - " + number(befores[0]) + ", " + number(steps[1]) +
           "*j + v - " + number(befores[1]) + ", c; " + outside + "]";
  };
  static constexpr std::array kinds = {"add", "add", "max", "max", "min", "argmax", "argmin"};
  std::string kind = oneOf(random, kinds);
  bool position = kind.starts_with("arg");
  std::string body = at(x, fill);
  int form = pick(random, 0, 9);
  if (form < 2) {
    body = "mul(" + body + ", 0.5)";
  } else if (form < 4) {
    body = "select(gt(" + at(text.input("f32" + extents), "0.0") + ", 0.1), " + body + ", 0.0)";
  } else if (form < 5) {
    body = "mul(" + body + ", " + text.input("f32[" + number(sizes[0]) + ", " + number(sizes[1]) + ", " + c + "]") +
           "[u, v, c])";
  }
  std::string dims = "[n:" + n.extent + ", i:" + number(results[0]) + ", j:" + number(results[1]) + ", c:" + c + "] ";
  std::string r = text.op("comp " + dims + kind + " [u:" + number(sizes[0]) + ", v:" + number(sizes[1]) +
                          "] : " + (position ? "i32" : "f32") + " { " + body + " }");
  if (position || chance(random, 40)) {
    return {"padded reductions", text.done({r}), {}, {}};
  }
  std::string bias = text.input("f32[" + c + "]");
  std::string y =
      text.op("comp " + dims + ": f32 { " + activation(random, "add(" + r + "[n, i, j, c], " + bias + "[c])") + " }");
  std::string twice = text.op("comp " + dims + ": f32 { mul(2.0, " + y + "[n, i, j, c]) }");
  return {"padded reductions", text.done(chance(random, 50) ? std::vector{y} : std::vector{y, twice}), {}, {}};
}

/// Each place of a result is one of several values, by its residue: what reads a window with strides gives back.
KernelCase residues(Random& random) {
  Rows n = rows(random);
  n.max = 1 + n.max % 9;
  n.extent = n.extent == "N" ? "N" : number(n.max);
  Text text(n.max);
  std::string c = number(chance(random, 40) ? pick(random, 1, 9) : 16 * pick(random, 1, 3));
  int h = pick(random, 1, 13), w = pick(random, 1, 6), step = pick(random, 2, 3), parts = (h + step - 1) / step;
  std::string y = text.input("f32[" + n.extent + ", " + number(parts) + ", " + number(w) + ", " + c + "]");
  std::string chosen;
  for (int residue = step; residue-- > 0;) {
    std::string dims = "[n:" + n.extent + ", i:" + number(parts) + ", j:" + number(w) + ", c:" + c + "] ";
    int terms = pick(random, 1, 3);
    static constexpr std::array kinds = {"add", "add", "max", "min"};
    std::string part = terms == 1 ? y
                                  : text.op("comp " + dims + oneOf(random, kinds) + " [u:" + number(terms) +
                                            "] : f32 { mul(" + y + "[n, i - u + 1, j, c; 0.0], 0.5) }");
    std::string value = part + "[n, i/" + number(step) + ", j, c]";
    chosen = chosen.empty()
                 ? value
                 : "select(eq(mod(i, " + number(step) + "), " + number(residue) + "), " + value + ", " + chosen + ")";
  }
  std::string dims = "[n:" + n.extent + ", i:" + number(h) + ", j:" + number(w) + ", c:" + c + "] ";
  std::string out = text.op("comp " + dims + ": f32 { " + activation(random, chosen) + " }");
  return {"residues", text.done({out}), {}, {}};
}

/// Tensors side by side, with something made of each element before or after.
KernelCase sideBySide(Random& random) {
  Rows n = rows(random);
  Text text(n.max);
  int rows = pick(random, 1, 5), total = 0;
  static constexpr std::array units = {1, 3, 4, 8, 16, 32};
  int unit = units[static_cast<size_t>(pick(random, 0, 5))];
  std::string operands;
  for (int count = pick(random, 2, 4); count > 0; --count) {
    int width = unit * pick(random, 1, 4);
    std::string extents = n.extent + ", " + number(rows) + ", " + number(width);
    std::string x = text.input("f32[" + extents + "]");
    if (chance(random, 30)) {
      x = text.op("comp [n:" + n.extent + ", i:" + number(rows) + ", c:" + number(width) + "] : f32 { mul(0.5, " + x +
                  "[n, i, c]) }");
    }
    operands += (total > 0 ? ", " : "") + x;
    total += width;
  }
  std::string extents = n.extent + ", " + number(rows) + ", " + number(total);
  std::string joined = text.op("concat " + operands + " axis 2 : f32[" + extents + "]");
  std::string dims = "comp [n:" + n.extent + ", i:" + number(rows) + ", c:" + number(total) + "] : f32 ";
  std::string y = text.op(dims + "{ " + activation(random, joined + "[n, i, c]") + " }");
  return {"side by side",
          text.done(chance(random, 40)   ? std::vector{joined}
                    : chance(random, 50) ? std::vector{y}
                                         : std::vector{joined, y}),
          {},
          {}};
}

/// A convolution with an epilogue, and reductions over windows of what that makes, which lie side by side or have gaps:
/// the largest, its position, the sum. Places behind the last window are in none. Where positions are compared, all
/// sums are exact: none by Winograd's products, no rounded activation.
KernelCase tileWindows(Random& random) {
  Rows n = rows(random);
  bool inLanes = chance(random, 40), three = chance(random, 30);
  n.max = inLanes ? pick(random, 12, 40) : 1 + n.max % 6;
  n.extent = n.extent == "N" ? "N" : number(n.max);
  Text text(n.max);
  static constexpr std::array sizes = {"8", "9", "16", "17", "24", "33"};
  std::string c = three ? oneOf(random, sizes) : number(pick(random, 1, 9));
  std::string o = three ? oneOf(random, sizes)
                        : number(inLanes              ? pick(random, 1, 12)
                                 : chance(random, 60) ? pick(random, 1, 17)
                                                      : size(random));
  int rank = three || chance(random, 75) ? 2 : 1;
  std::string places = "n:" + n.extent, pooled = places, in = n.extent, at = "n", own = "n", from = "n", taps, extents,
              within, ofWindow;
  int terms = 1;
  for (int d = 0; d < rank; ++d) {
    std::string i(1, "ij"[d]), u(1, "uv"[d]), a(1, "ab"[d]);
    int kernel = three ? 3 : pick(random, 1, 5), stride = !three && chance(random, 20) ? 2 : 1;
    kernel = kernel == 3 && !three ? 2 : kernel;
    int pad = pick(random, 0, kernel - 1), out = pick(random, 1, 17), extent = (out - 1) * stride + kernel - 2 * pad;
    extent = std::max(extent, 1);
    out = (extent + 2 * pad - kernel) / stride + 1;
    int window = std::min(out, chance(random, 70) ? 2 : pick(random, 1, 3)),
        step = window + (chance(random, 10) ? 1 : 0);
    terms *= window;
    places += ", " + i + ":" + number(out);
    pooled += ", " + i + ":" + number((out - window) / step + 1);
    in += ", " + number(extent);
    at += ", " + number(stride) + "*" + i + " + " + u + " - " + number(pad);
    own += ", " + i;
    from += ", " + (step > 1 ? number(step) + "*" : std::string()) + i + " + " + a;
    taps += u + ":" + number(kernel) + ", ";
    extents += number(kernel) + ", ";
    within += u + ", ";
    ofWindow += (d > 0 ? ", " : "") + a + ":" + number(window);
  }
  std::string x = maybeComputed(random, text, text.input("f32[" + in + ", " + c + "]"), in + ", " + c);
  std::string w = text.input("f32[" + extents + c + ", " + o + "]");
  std::string y = text.op("comp [" + places + ", o:" + o + "] add [" + taps + "c:" + c + "] : f32 { mul(" + x + "[" +
                          at + ", c; 0.0], " + w + "[" + within + "c, o]) }");
  if (chance(random, 80)) {
    std::string b = text.input("f32[" + o + "]"), biased = "add(" + y + "[" + own + ", o], " + b + "[o])";
    y = text.op("comp [" + places + ", o:" + o + "] : f32 { " +
                (chance(random, 70) ? "select(gt(" + biased + ", 0.0), " + biased + ", 0.0)" : biased) + " }");
  }
  auto reduce = [&](const std::string& kind, const char* type) {
    return text.op("comp [" + pooled + ", o:" + o + "] " + kind + " [" + ofWindow + "] : " + type + " { " + y + "[" +
                   from + ", o] }");
  };
  std::vector<std::string> returns;
  bool positions = terms <= 4 && !three && chance(random, 60);
  if (!positions || chance(random, 80)) {
    static constexpr std::array kinds = {"max", "max", "add", "min"};
    returns.push_back(reduce(positions ? "max" : oneOf(random, kinds), "f32"));
  }
  if (positions) {
    returns.push_back(reduce("argmax", "i32"));
  }
  return {"tile windows", text.done(returns), {}, {}};
}

KernelCase draws(Random& random) {
  Rows n = rows(random);
  Text text(n.max);
  std::string k = number(size(random));
  std::string x = text.input("f32[" + n.extent + ", " + k + "]");
  std::string dims = "[n:" + n.extent + ", k:" + k + "]", site = number(pick(random, 0, 1000000));
  std::string batch = n.extent == "N" ? "k, n" : "n*" + k + " + k, 0";
  std::string kept = text.op("comp " + dims + " : f32 { select(lt(uniform(site " + site + "; " + batch +
                             "), 0.5), mul(2.0, " + x + "[n, k]), 0.0) }");
  std::string noise = text.op("comp " + dims + " : f32 { normal(site " + site + "; " + batch + ") }");
  std::string step = text.op("env \"step\" : i32");
  std::string rate = text.op("comp [] : f32 { mul(0.1, f32(add(" + step + "[], 1))) }");
  std::string sum = text.op("comp " + dims + " : f32 { add(" + noise + "[n, k], " + rate + "[]) }");
  return {"draws", text.done({kept, sum, noise}), {}, {}};
}

KernelCase views(Random& random) {
  Rows n = rows(random);
  Text text(n.max);
  int a = size(random) % 20 + 1, b = size(random) % 20 + 1;
  std::string x = text.input("f32[" + n.extent + ", " + number(a) + ", " + number(b) + "]");
  std::string y = text.input("f32[" + n.extent + ", 3]");
  std::string e = text.op("comp [n:" + n.extent + ", i:" + number(a) + ", j:" + number(b) + "] : f32 { mul(2.0, " + x +
                          "[n, i, j]) }");
  std::string flat = text.op("reshape " + e + " : f32[" + n.extent + ", " + number(a * b) + "]");
  std::string joined =
      text.op("concat " + flat + ", " + y + " axis 1 : f32[" + n.extent + ", " + number(a * b + 3) + "]");
  std::string sum =
      text.op("comp [n:" + n.extent + "] add [k:" + number(a * b + 3) + "] : f32 { " + joined + "[n, k] }");
  return {"views", text.done({joined, sum}), {}, {}};
}

/// The text with every read of the tensor widened to f32; none if it is used in another way than by reads of elements.
std::optional<std::string> widenReads(const std::string& text, const std::string& name) {
  std::string out;
  size_t from = 0;
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, from)) {
    size_t end = at + name.size();
    out += text.substr(from, at - from);
    from = end;
    if (text.compare(end, 3, " = ") == 0 || (std::isdigit(static_cast<unsigned char>(text[end])) != 0)) {
      out += name; // its definition, or a longer name
      continue;
    }
    if (text[end] != '[') {
      return std::nullopt;
    }
    int open = 0;
    do {
      open += text[from] == '[' ? 1 : text[from] == ']' ? -1 : 0;
      ++from;
    } while (open > 0);
    std::optional<std::string> inner = widenReads(text.substr(end, from - end), name);
    if (!inner) {
      return std::nullopt;
    }
    out += "f32(" + name + *inner + ")";
  }
  return out + text.substr(from);
}

/// Some of the f32 inputs become floats of 16 bits, unless a result overwrites them.
void narrowInputs(Random& random, KernelCase& kernel) {
  const char* type = chance(random, 50) ? "bf16" : "f16";
  for (uint32_t i = 0; kernel.text.find("%x" + number(static_cast<int>(i)) + " = input") != std::string::npos; ++i) {
    std::string name = "%x" + number(static_cast<int>(i));
    std::string head = name + " = input \"" + number(static_cast<int>(i)) + "\" : ";
    size_t at = kernel.text.find(head + "f32[");
    bool overwritten = std::ranges::find(kernel.inPlace, std::optional<uint32_t>(i)) != kernel.inPlace.end();
    std::optional<std::string> text = widenReads(kernel.text, name);
    if (at != std::string::npos && !overwritten && text && chance(random, 60)) {
      text->replace(text->find(head) + head.size(), 3, type);
      kernel.text = *text;
    }
  }
}

/// Sums over the places of images, with what is made of them and of each place.
KernelCase blocks(Random& random) {
  static constexpr std::array widths = {"4", "5", "8", "12", "16", "17", "20", "24", "32", "33", "64", "100"};
  std::string c = oneOf(random, widths);
  int columns = std::stoi(c), images = pick(random, 8, 20), height = pick(random, 2, 20), width = pick(random, 2, 20);
  while (images * height * width * columns < (1 << 16) && chance(random, 95)) {
    (images < 40 ? images : height < width ? height : width) += 2;
  }
  Rows n = chance(random, 60) ? Rows{"N", images} : Rows{number(images), images};
  bool flat = chance(random, 40); // one index over the block
  std::string places = flat ? ", i:" + number(height * width) : ", i:" + number(height) + ", j:" + number(width);
  std::string at = flat ? "[n, i, c]" : "[n, i, j, c]",
              sizes = flat ? number(height * width) : number(height) + ", " + number(width);
  std::string wide = "comp [n:" + n.extent + places + ", c:" + c + "] : f32 ";
  std::string small = "comp [n:" + n.extent + ", c:" + c + "] ";
  std::string sum = small + "add [" + places.substr(2) + "] : f32 ";
  Text text(n.max);
  std::string x = text.input("f32[" + n.extent + ", " + sizes + ", " + c + "]"), b = text.input("f32[" + c + "]");
  std::vector<std::string> returns;
  if (chance(random, 40)) { // made here
    x = text.op(wide + "{ " + activation(random, "add(" + x + at + ", " + b + "[c])") + " }");
    if (chance(random, 60)) {
      returns.push_back(x);
    }
  }
  auto keep = [&](const std::string& name, int percent) {
    if (chance(random, percent)) {
      returns.push_back(name);
    }
  };
  std::string s = text.op(sum + "{ " + x + at + " }"), last = s;
  keep(s, 50);
  if (chance(random, 50)) { // a gradient's
    std::string y = text.input("f32[" + n.extent + ", " + sizes + ", " + c + "]");
    last = text.op(sum + "{ mul(sub(" + y + at + ", " + b + "[c]), " + x + at + ") }");
    keep(last, 70);
  }
  if (chance(random, 60)) { // a variance's
    std::string k = text.op(small + ": f32 { mul(" + s + "[n, c], " + std::to_string(1.0 / (height * width)) + ") }");
    std::string difference = "sub(" + x + at + ", " + k + "[n, c])";
    std::string e = text.op(sum + "{ " + difference + " }");
    last = text.op(sum + "{ mul(" + difference + ", " + difference + ") }");
    keep(k, 50);
    // The sum of differences from the mean is only rounding errors.
    last = text.op(small + ": f32 { add(" + last + "[n, c], mul(0.01, " + e + "[n, c])) }");
    keep(last, 50);
  }
  if (chance(random, 20)) {
    last = text.op(small + "max [" + places.substr(2) + "] : f32 { " + x + at + " }");
  }
  if (chance(random, 30)) { // a norm
    last = text.op(wide + "{ mul(" + x + at + ", div(1.0, add(1.0, abs(" + last + "[n, c])))) }");
  }
  if (std::ranges::find(returns, last) == returns.end()) {
    returns.push_back(last);
  }
  return {"blocks", text.done(returns), {}, {}};
}

/// Sums over the places of images, or of their rows, that a window's sum writes. Few large images are cut into tasks by
/// rows, so that the sums have loops of their own.
KernelCase sumsBeside(Random& random) {
  static constexpr std::array widths = {"4", "5", "8", "9", "12", "16", "17", "24", "33", "64"};
  std::string c = oneOf(random, widths), o = oneOf(random, widths);
  bool large = chance(random, 25), byRows = chance(random, large ? 60 : 20);
  int images = pick(random, 1, large ? 3 : 20), height = large ? pick(random, 16, 40) : pick(random, 1, 13),
      width = large ? pick(random, 16, 40) : pick(random, 1, 13);
  int stride = pick(random, 1, 2), places = chance(random, 50) ? 3 : pick(random, stride == 2 ? 1 : 2, 5),
      pad = places / 2;
  Rows n = chance(random, 60) ? Rows{"N", images} : Rows{number(images), images};
  Text text(n.max);
  std::string extents = n.extent + ", " + number(stride * height) + ", " + number(stride * width) + ", " + c;
  std::string data = maybeComputed(random, text, text.input("f32[" + extents + "]"), extents);
  std::string weights = text.input("f32[" + number(places) + ", " + number(places) + ", " + c + ", " + o + "]");
  auto place = [&](const std::string& own, const std::string& within) {
    std::string at = stride == 2 ? "2*" + own : own;
    return places == 1 ? at : at + " + " + within + (pad > 0 ? " - " + number(pad) : "");
  };
  std::string size = number(places),
              dims = "[n:" + n.extent + ", i:" + number(height) + ", j:" + number(width) + ", o:" + o + "]";
  std::string window = places == 1 ? "" : "u:" + size + ", v:" + size + ", ";
  std::string at = places == 1 ? "[0, 0, c, o]" : "[u, v, c, o]";
  std::string v =
      text.op("comp " + dims + " add [" + window + "c:" + c + "] : f32 { mul(" + data + "[n, " + place("i", "u") +
              ", " + place("j", "v") + ", c" + (places == 1 ? "" : "; 0.0") + "], " + weights + at + ") }");
  std::vector<std::string> returns;
  if (chance(random, 50)) {
    std::string bias = text.input("f32[" + o + "]");
    std::string y = text.op("comp " + dims + " : f32 { " +
                            activation(random, "add(" + v + "[n, i, j, o], " + bias + "[o])") + " }");
    if (chance(random, 30)) {
      returns.push_back(v);
    }
    v = y;
  }
  returns.push_back(v);
  std::string own = byRows ? "n, i, o" : "n, o", down = "i:" + number(height);
  std::string small = "comp [n:" + n.extent + ", " + (byRows ? down + ", " : "") + "o:" + o + "] ";
  std::string sum = small + "add [" + (byRows ? "" : down + ", ") + "j:" + number(width) + "] : f32 ";
  std::string s = text.op(sum + "{ " + v + "[n, i, j, o] }");
  returns.push_back(s);
  if (chance(random, 50)) {
    std::string other = text.input("f32[" + n.extent + ", " + number(height) + ", " + number(width) + ", " + o + "]");
    returns.push_back(text.op(sum + "{ mul(" + other + "[n, i, j, o], " + v + "[n, i, j, o]) }"));
  }
  if (chance(random, 50)) {
    std::string k = text.op(small + ": f32 { mul(" + s + "[" + own + "], " +
                            std::to_string(1.0 / (byRows ? width : height * width)) + ") }");
    std::string difference = "sub(" + v + "[n, i, j, o], " + k + "[" + own + "])";
    returns.push_back(text.op(sum + "{ mul(" + difference + ", " + difference + ") }"));
  }
  return {"sums beside", text.done(returns), {}, {}};
}

KernelCase windowsAndRows(Random& random) {
  int roll = pick(random, 0, 9);
  return roll < 5 ? paddedReductions(random) : roll < 8 ? residues(random) : sideBySide(random);
}

KernelCase randomF32Kernel(Random& random) {
  using Make = KernelCase (*)(Random&);
  static constexpr std::pair<int, Make> families[] = {
      {6, product},          {2, tileWindows},    {7, update},         {10, rowsOfSoftmax},  {8, elementwise},     {10, reductions},
      {6, gatherAndScatter}, {4, accuracy},       {6, convolution},     {8, windows},         {3, windowsOfThree},
      {3, windowsInLanes},   {2, weightsOfThree}, {2, shortReductions}, {2, groups},          {2, draws},
      {2, windowsAndRows},   {3, views},          {4, columnSums},      {2, rowByRow},        {2, stridedProducts},
      {2, blocks},           {1, longSums},       {2, sumsBeside},      {1, productsByPlaces}};
  int roll = pick(random, 1, 100);
  for (const auto& [percent, make] : families) {
    roll -= percent;
    if (roll <= 0) {
      return make(random);
    }
  }
  return product(random);
}

} // namespace

KernelCase randomKernel(Random& random) {
  KernelCase kernel = randomF32Kernel(random);
  if (chance(random, 15)) {
    narrowInputs(random, kernel);
  }
  return kernel;
}

} // namespace dnn::test
