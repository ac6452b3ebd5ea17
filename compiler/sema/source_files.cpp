// Data sources that are files: what a file holds is looked up when the program is compiled, so that the types of the
// fields are known.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/source_options.h"
#include "compiler/sema/suggest.h"

namespace dnn::sema {

namespace {

/// How the extent of a source's sequences is written in the types of its rows.
constexpr SymbolId kLength = 1;

} // namespace

TensorType rowType(const plan::Port& port) {
  TensorType row{port.dtype, {}, port.bound > 0 ? std::optional(Dim(port.bound)) : std::nullopt};
  row.dims.assign(port.dims.begin(), port.dims.end());
  for (const plan::VaryingExtent& extent : port.varying) {
    row.dims[extent.dim] = Dim::symbol(kLength);
  }
  if (port.lengthOf > 0) {
    row.bound = Dim::symbol(kLength) + Dim(1);
  }
  return row;
}

bool Instantiator::readCall(const ast::Expr& e, plan::Source& plan, Source& source, Env& env) {
  auto* call = ast::getIf<ast::Call>(e);
  auto* callee = call ? ast::getIf<ast::NameRef>(*call->callee) : nullptr;
  std::string kind = callee ? callee->name.text : "";
  using Kind = plan::Source::Kind;
  struct Format {
    std::string_view name;
    Kind kind;
    bool (Instantiator::*read)(const ast::Expr&, const ast::Call&, plan::Source&, Source&, Env&);
  };
  static constexpr Format formats[] = {
      {"csv", Kind::Csv, &Instantiator::readCsv},          {"idx", Kind::Idx, &Instantiator::readIdx},
      {"npy", Kind::Npy, &Instantiator::readNpy},          {"npz", Kind::Npz, &Instantiator::readNpz},
      {"cifar", Kind::Cifar, &Instantiator::readCifar},    {"text", Kind::Text, &Instantiator::readText},
      {"images", Kind::Images, &Instantiator::readImages},
  };
  std::vector<std::string> names;
  for (const Format& format : formats) {
    if (kind == format.name) {
      plan.kind = format.kind;
      return (this->*format.read)(e, *call, plan, source, env);
    }
    names.emplace_back(format.name);
  }
  names.insert(names.end(), {"table", "generate"});
  error<DiagId::unknown_data_source>(e.range, callee ? kind : ast::print(e)).hint(didYouMean(kind, names));
  return false;
}

bool Instantiator::readPaths(const ast::Call& call, plan::Source& plan, Env& env) {
  bool ok = true;
  for (const ast::Arg& arg : call.args) {
    if (arg.name) {
      continue;
    }
    std::optional<std::string> path = evalString(*arg.value, env, "a file");
    if (path && path->empty()) {
      error<DiagId::empty_path>(arg.value->range);
      path.reset();
    }
    ok &= path.has_value();
    plan.paths.push_back(path.value_or(""));
  }
  if (auto given = options_.dataPaths.find(plan.name); given != options_.dataPaths.end()) {
    if (given->second.size() != plan.paths.size()) {
      error<DiagId::wrong_path_count>(call.callee->range, plan.name, counted(plan.paths.size(), "file"),
                                      given->second.size());
      return false;
    }
    plan.paths = given->second;
  }
  return ok;
}

bool Instantiator::readPath(const ast::Expr& e, const ast::Call& call, std::string_view kind, std::string_view one,
                            plan::Source& plan, Env& env) {
  bool ok = readPaths(call, plan, env);
  if (ok && plan.paths.size() != 1) {
    error<DiagId::wrong_argument_count>(e.range, kind, one, plan.paths.size());
    ok = false;
  }
  return ok;
}

bool Instantiator::lookUp(SourceRange range, plan::Source& plan, Source& source, int64_t limit,
                          const std::string& vocabularyFile) {
  Result<plan::Source> found = probe_.probeSource(plan, limit, vocabularyFile);
  if (!found) {
    unreadable(range, found.error().message, plan);
    return false;
  }
  plan = std::move(*found);
  for (const plan::Port& port : plan.fields) {
    source.rows.push_back(rowType(port));
  }
  return true;
}

void Instantiator::unreadable(SourceRange range, const std::string& message, const plan::Source& plan) {
  std::string paths;
  for (size_t i = 0; i < plan.paths.size(); ++i) {
    paths += i == 0 ? "PATH" : ",PATH";
  }
  error<DiagId::data_unreadable>(range, message)
      .hint(std::string("name the ") + (plan.paths.size() == 1 ? "file" : "files") + " with `--data " + plan.name +
            "=" + paths + "`");
}

} // namespace dnn::sema
