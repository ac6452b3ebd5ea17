// Sources that are files of arrays: IDX, .npy, .npz, CIFAR.
#include "compiler/sema/entries.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/source_options.h"

namespace dnn::sema {

bool Instantiator::readArrayOptions(const std::string& kind, const ast::Call& call, plan::Source& plan,
                                    std::optional<int64_t>& classes, Env& env) {
  bool ok = true;
  for (const ast::Arg& arg : call.args) {
    if (!arg.name) {
      continue;
    }
    if (arg.name->text == "classes") {
      classes = evalOption(*arg.value, env, "classes", 1, INT32_MAX);
      ok &= classes.has_value();
    } else if (isRowOption(arg.name->text)) {
      ok &= readRowOption(arg, plan, env);
    } else {
      ok = unknownOption(kind, *arg.name, {"classes", "split", "split_seed", "fold", "folds"});
    }
  }
  return ok && checkFolds(call.callee->range, plan);
}

bool Instantiator::readIdx(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env) {
  if (!readPaths(call, plan, env)) {
    return false;
  }
  std::optional<int64_t> classes;
  bool ok = readArrayOptions("idx", call, plan, classes, env);
  if (plan.paths.empty()) {
    error<DiagId::no_fields>(e.range, plan.name).hint("name a file for each field");
    return false;
  }
  std::optional<int64_t> rows;
  for (size_t i = 0; i < plan.paths.size(); ++i) {
    Result<IdxInfo> info = probe_.probeIdx(plan.paths[i]);
    if (!info) {
      unreadable(e.range, info.error().message, plan);
      ok = false;
      continue;
    }
    if (info->dims.empty()) {
      error<DiagId::data_unreadable>(e.range, "`" + plan.paths[i] + "` has no rows");
      ok = false;
      continue;
    }
    if (rows && *rows != info->dims[0]) {
      error<DiagId::row_count_differs>(e.range, plan.paths[0], *rows, plan.paths[i], info->dims[0]);
      ok = false;
    }
    rows = rows.value_or(info->dims[0]);
    TensorType row{info->dtype, {}, std::nullopt};
    for (size_t d = 1; d < info->dims.size(); ++d) {
      row.dims.emplace_back(info->dims[d]);
    }
    if (classes && i + 1 == plan.paths.size()) {
      if (isFloat(row.dtype)) {
        error<DiagId::bound_on_float>(e.range, nameOf(row.dtype));
        ok = false;
      }
      row.dtype = DType::I32;
      row.bound = Dim(*classes);
    }
    source.rows.push_back(row);
    plan.fields.push_back(portOf("field" + std::to_string(i), row));
  }
  return ok;
}

bool Instantiator::readNpy(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env) {
  if (!readPaths(call, plan, env)) {
    return false;
  }
  std::optional<int64_t> classes;
  if (!readArrayOptions("npy", call, plan, classes, env)) {
    return false;
  }
  if (plan.paths.empty()) {
    error<DiagId::no_fields>(e.range, plan.name).hint("name a file for each field");
    return false;
  }
  for (size_t i = 0; i < plan.paths.size(); ++i) {
    bool last = i + 1 == plan.paths.size();
    plan.fields.push_back(field("field" + std::to_string(i), last ? classes.value_or(0) : 0));
  }
  return lookUp(e.range, plan, source);
}

bool Instantiator::readRagged(const ast::Name& name, const ast::Call& words, std::optional<int64_t> bound,
                              plan::Source& plan, Env& env) {
  if (plan.maxLength > 0) {
    error<DiagId::second_sequence>(name.range, plan.name);
    return false;
  }
  bool good = true;
  std::optional<int64_t> most;
  std::vector<std::string> arrays;
  for (const ast::Arg& arg : words.args) {
    if (!arg.name) {
      std::optional<std::string> array = evalString(*arg.value, env, "an array of the file");
      good &= array.has_value();
      arrays.push_back(array.value_or(""));
    } else if (arg.name->text == "max") {
      constexpr int64_t kMostLength = int64_t{1} << 24;
      most = evalOption(*arg.value, env, "max", 1, kMostLength);
      good &= most.has_value();
    } else {
      good = unknownOption("ragged", *arg.name, {"max"});
    }
  }
  if (arrays.size() != 2) {
    error<DiagId::wrong_argument_count>(words.callee->range, "ragged", "2 arrays", arrays.size());
    return false;
  }
  if (good && !most) {
    error<DiagId::missing_argument>(words.callee->range, "ragged", "max")
        .hint("write how long an example is at most: `max = 128`");
  }
  plan.maxLength = most.value_or(1);
  plan.fields.push_back(field(name.text, bound.value_or(0)));
  plan.members.push_back(arrays[0]);
  plan.offsets.push_back(arrays[1]);
  plan.fields.push_back(field(name.text + ".length"));
  plan.fields.back().lengthOf = 1;
  plan.members.emplace_back();
  plan.offsets.emplace_back();
  return good && most.has_value();
}

bool Instantiator::readNpz(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env) {
  if (!readPath(e, call, "npz", "1 file", plan, env)) {
    return false;
  }
  bool ok = true;
  for (const ast::Arg& arg : call.args) {
    if (!arg.name) {
      continue;
    }
    if (isRowOption(arg.name->text)) {
      ok &= readRowOption(arg, plan, env);
      continue;
    }
    const ast::Expr* array = arg.value.get();
    std::optional<int64_t> bound;
    bool good = readBound(array, bound, env);
    auto* words = ast::getIf<ast::Call>(*array);
    auto* word = words ? ast::getIf<ast::NameRef>(*words->callee) : nullptr;
    if (word && word->name.text == "ragged") {
      ok &= good && readRagged(*arg.name, *words, bound, plan, env);
      continue;
    }
    std::optional<std::string> member = good ? evalString(*array, env, "an array of the file") : std::nullopt;
    ok &= member.has_value();
    plan.fields.push_back(field(arg.name->text, bound.value_or(0)));
    plan.members.push_back(member.value_or(""));
    plan.offsets.emplace_back();
  }
  if (ok && plan.fields.empty()) {
    error<DiagId::no_fields>(e.range, plan.name).hint("name the arrays: `x = \"images\", y = \"labels\" < 10`");
    return false;
  }
  return ok && checkFolds(call.callee->range, plan) && lookUp(e.range, plan, source);
}

bool Instantiator::readCifar(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env) {
  if (!readPaths(call, plan, env)) {
    return false;
  }
  if (plan.paths.empty()) {
    error<DiagId::no_fields>(e.range, plan.name)
        .hint("name the files: `cifar(\"data_batch_1.bin\", \"data_batch_2.bin\")`");
    return false;
  }
  bool ok = true;
  int64_t classes = 10;
  for (const ast::Arg& arg : call.args) {
    if (!arg.name) {
      continue;
    }
    if (arg.name->text == "labels") {
      std::optional<std::string> labels = evalWord(arg, {"fine", "coarse"});
      ok &= labels.has_value();
      plan.labels = 2;
      plan.coarse = labels == "coarse";
      classes = plan.coarse ? 20 : 100;
    } else if (isRowOption(arg.name->text)) {
      ok &= readRowOption(arg, plan, env);
    } else {
      ok = unknownOption("cifar", *arg.name, {"labels", "split", "split_seed", "fold", "folds"});
    }
  }
  plan.fields = {field("x"), field("y", classes)};
  plan.fields[0].dtype = plan::DType::U8;
  plan.fields[0].dims = {32, 32, 3};
  plan.fields[1].dtype = plan::DType::I32;
  return ok && checkFolds(call.callee->range, plan) && lookUp(e.range, plan, source);
}

} // namespace dnn::sema
