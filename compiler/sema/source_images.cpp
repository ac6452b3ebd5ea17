// Folders of images.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/source_options.h"

#include <algorithm>

namespace dnn::sema {

bool Instantiator::readImages(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env) {
  if (!readPath(e, call, "images", "1 folder", plan, env)) {
    return false;
  }
  constexpr int64_t kMostPixels = 1 << 14;
  bool ok = true;
  std::vector<int64_t> size;
  int64_t channels = 3;
  const ast::Expr* classes = nullptr;
  for (const ast::Arg& arg : call.args) {
    if (!arg.name) {
      continue;
    }
    const std::string& name = arg.name->text;
    if (name == "size") {
      // One number is height and width.
      auto* list = ast::getIf<ast::List>(*arg.value);
      if (list && list->items.size() != 2) {
        error<DiagId::wrong_argument_count>(arg.value->range, "size", "a height and a width", list->items.size());
        ok = false;
        continue;
      }
      for (size_t i = 0; i < 2; ++i) {
        std::optional<int64_t> extent = evalOption(list ? *list->items[i] : *arg.value, env, "size", 1, kMostPixels);
        ok &= extent.has_value();
        size.push_back(extent.value_or(1));
        if (!extent) {
          break;
        }
      }
      plan.resize = true;
    } else if (name == "channels") {
      std::optional<int64_t> count = evalStaticInt(*arg.value, env, "`channels`");
      if (count && *count != 1 && *count != 3 && *count != 4) {
        error<DiagId::bad_channels>(arg.value->range, *count);
        count.reset();
      }
      ok &= count.has_value();
      channels = count.value_or(3);
    } else if (name == "labels") {
      ok &= evalWord(arg, {"none"}).has_value();
      plan.labels = 0;
    } else if (name == "classes") {
      classes = arg.value.get();
    } else if (isRowOption(name)) {
      ok &= readRowOption(arg, plan, env);
    } else {
      ok = unknownOption("images", *arg.name,
                         {"size", "channels", "labels", "classes", "split", "split_seed", "fold", "folds"});
    }
  }
  ok = ok && (!classes || readClasses(*classes, plan, env));
  if (!ok || !checkFolds(call.callee->range, plan)) {
    return false;
  }
  plan.fields = {field("x")};
  plan.fields[0].dtype = plan::DType::U8;
  plan.fields[0].dims = plan.resize ? std::vector<int64_t>{size[0], size[1], channels}
                                    : std::vector<int64_t>{1, 1, channels}; // until the first image has been seen
  if (plan.labels > 0) {
    plan.fields.push_back(field("y"));
    plan.fields[1].dtype = plan::DType::I32;
  }
  return lookUp(e.range, plan, source);
}

bool Instantiator::readClasses(const ast::Expr& e, plan::Source& plan, Env& env) {
  Value value = eval(e, env);
  if (value.poisoned()) {
    return false;
  }
  auto* ref = value.as<SourceRef>();
  if (ref && sources_[ref->source].failed) {
    return false;
  }
  const plan::Source* other = ref ? &program_.plan.sources[ref->source] : nullptr;
  if (!other || other->kind != plan::Source::Kind::Images || other->labels == 0 || plan.labels == 0) {
    error<DiagId::other_classes>(e.range, ast::print(e));
    return false;
  }
  plan.classes = other->classes;
  return true;
}

} // namespace dnn::sema
