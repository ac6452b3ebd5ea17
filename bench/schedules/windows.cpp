#include "bench/schedules/windows.h"

#include "compiler/support/assert.h"
#include "compiler/transform/outline_kernels.h"

#include <cstdio>

namespace dnn::bench {

namespace {

using Sizes = std::vector<std::pair<std::string, int64_t>>;

std::string type(const Sizes& sizes) {
  std::string text;
  for (const auto& [name, size] : sizes) {
    text += (text.empty() ? "f32[" : ", ") + std::to_string(size);
  }
  return text + "]";
}

std::string domain(const Sizes& sizes) {
  std::string text;
  for (const auto& [name, size] : sizes) {
    text += (text.empty() ? "[" : ", ") + name + ":" + std::to_string(size);
  }
  return text + "]";
}

std::string access(const Sizes& sizes) {
  std::string text;
  for (const auto& [name, size] : sizes) {
    text += (text.empty() ? "[" : ", ") + name;
  }
  return text + "]";
}

std::string textOf(const Windows& w, char direction) {
  auto places = [&](int64_t size) {
    return w.padding ? (size + 2 * *w.padding - w.kernel) / w.stride + 1 : (size + w.stride - 1) / w.stride;
  };
  auto before = [&](int64_t size) { // the odd zero stands behind
    return w.padding.value_or(std::max<int64_t>((places(size) - 1) * w.stride + w.kernel - size, 0) / 2);
  };
  bool grouped = w.groups > 1;
  Sizes images = {{"n", w.images}, {"y", w.height}, {"x", w.width}}, kernel = {{"u", w.kernel}, {"v", w.kernel}},
        result = {{"n", w.images}, {"i", places(w.height)}, {"j", places(w.width)}};
  if (grouped) {
    images.emplace_back("g", w.groups);
    result.emplace_back("g", w.groups);
  }
  images.emplace_back("c", w.channels / w.groups);
  kernel.emplace_back("c", w.channels / w.groups);
  Sizes reduced = kernel;
  if (grouped) {
    kernel.emplace_back("g", w.groups);
  }
  kernel.emplace_back("o", w.columns / w.groups);
  result.emplace_back("o", w.columns / w.groups);
  auto subscript = [&](const char* place, const char* tap, int64_t size) {
    return std::to_string(w.stride) + "*" + place + " + " + tap + " - " + std::to_string(before(size));
  };
  auto leaves = [&](int64_t size) { return before(size) > 0 || (places(size) - 1) * w.stride + w.kernel > size; };
  std::string read = "[n, " + subscript("i", "u", w.height) + ", " + subscript("j", "v", w.width) +
                     (grouped ? ", g" : "") + ", c" + (leaves(w.height) || leaves(w.width) ? "; 0.0]" : "]");
  std::string text = "func @step {\n  %x = input \"x\" : " + type(images) + "\n  %w = input \"w\" : " + type(kernel) +
                     "\n  %y = comp " + domain(result) + " add " + domain(reduced) + " : f32 { mul(%x" + read + ", %w" +
                     access(kernel) + ") }\n";
  if (direction == 'f') {
    return text + "  output \"y\" = %y\n}\n";
  }
  std::string of = direction == 'i' ? "x" : "w";
  return text + "  %g = input \"g\" : " + type(result) + "\n  %l = comp [] add " + domain(result) + " : f32 { mul(%y" +
         access(result) + ", %g" + access(result) + ") }\n  %d = grad %l wrt (%" + of +
         ") : " + type(direction == 'i' ? images : kernel) + "\n  output \"d\" = %d\n}\n";
}

bool isContraction(const schedule::Kernel& kernel) {
  return std::ranges::any_of(kernel.function->body.ops, [](const graph::Op* op) {
    return op->kind == graph::OpKind::Comp && op->reduction != Reduction::None;
  });
}

} // namespace

std::optional<Windows> parseWindows(const std::string& word) {
  Windows w;
  int used = 0;
  if (std::sscanf(word.c_str(), "%ldx%ldx%ldx%ld:%ldk%ld%n", &w.images, &w.height, &w.width, &w.channels, &w.columns,
                  &w.kernel, &used) != 6) {
    return std::nullopt;
  }
  auto place = static_cast<size_t>(used);
  while (place < word.size() && word[place] != ':') {
    char letter = word[place];
    int64_t* what = letter == 's'   ? &w.stride
                    : letter == 'p' ? &w.padding.emplace()
                    : letter == 'g' ? &w.groups
                                    : nullptr;
    if (what == nullptr || std::sscanf(word.c_str() + place + 1, "%ld%n", what, &used) != 1) {
      return std::nullopt;
    }
    place += 1 + static_cast<size_t>(used);
  }
  w.directions = place < word.size() ? word.substr(place + 1) : "f";
  bool positive = w.images > 0 && w.height > 0 && w.width > 0 && w.channels > 0 && w.columns > 0 && w.kernel > 0 &&
                  w.stride > 0 && w.padding.value_or(0) >= 0 && w.groups > 0;
  bool fits = positive && w.channels % w.groups == 0 && w.columns % w.groups == 0 &&
              (!w.padding || w.kernel <= std::min(w.height, w.width) + 2 * *w.padding);
  bool known = !w.directions.empty() && w.directions.find_first_not_of("fiw") == std::string::npos;
  return fits && known ? std::optional(w) : std::nullopt;
}

WindowKernels kernelsOf(const Windows& windows, char direction) {
  auto module = graph::parseModule(textOf(windows, direction), "windows");
  DNN_ASSERT(bool(module), "the text of windows parses");
  bool done = bool(transform::differentiateAll(**module)) && bool(transform::optimize(**module));
  const transform::Pass* fuse = transform::findPass("fuse");
  done = done && bool(transform::runPasses(**module, {&fuse, 1}));
  DNN_ASSERT(done, "sums of products have derivatives");
  WindowKernels result;
  transform::KernelTable table = transform::outlineKernels(**module, transform::placeUpdates(**module));
  std::ranges::copy_if(table.kernels, std::back_inserter(result.kernels), isContraction);
  result.module = std::move(*module);
  return result;
}

} // namespace dnn::bench
