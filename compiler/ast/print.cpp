// The AST as text.
#include "compiler/ast/ast.h"

#include <charconv>

namespace dnn::ast {

namespace {

template <class List, class Print> std::string join(const List& list, Print print) {
  std::string out;
  for (const auto& one : list) {
    out += (out.empty() ? "" : ", ") + print(one);
  }
  return out;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
    case '\n': out += "\\n"; break;
    case '\t': out += "\\t"; break;
    case '"':
    case '\\': out += '\\'; [[fallthrough]];
    default: out += c;
    }
  }
  return out + "\"";
}

/// The shortest text that reads back as the same number, always recognisable as a float.
std::string spelled(double value) {
  char buffer[40];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

std::string print(const Stmt& s, int indent);
std::string printBody(const Block& body, int indent);

std::string printList(const std::vector<ExprPtr>& list) {
  return join(list, [](const ExprPtr& e) { return print(*e); });
}

std::string printArgs(const std::vector<Arg>& args) {
  return join(args, [](const Arg& a) { return (a.name ? a.name->text + " = " : "") + print(*a.value); });
}

std::string printBinders(const std::vector<IndexBinder>& binders) {
  return join(binders, [](const IndexBinder& b) {
    return (b.pack ? "*" : "") + b.name.text + (b.extent ? ": " + print(*b.extent) : "");
  });
}

/// Compound expressions as operands stand in parentheses, so that the text shows the tree.
std::string operand(const Expr& e) {
  bool compound =
      getIf<Unary>(e) || getIf<Binary>(e) || getIf<If>(e) || getIf<Reduce>(e) || getIf<Fold>(e) || getIf<Scan>(e);
  return compound ? "(" + print(e) + ")" : print(e);
}

struct PrintExpr {
  std::string operator()(const IntLiteral& e) { return std::to_string(e.value); }
  std::string operator()(const FloatLiteral& e) { return spelled(e.value); }
  std::string operator()(const BoolLiteral& e) { return e.value ? "true" : "false"; }
  std::string operator()(const StringLiteral& e) { return quoted(e.value); }
  std::string operator()(const NameRef& e) { return e.name.text; }
  std::string operator()(const PackRef& e) { return "*" + e.name.text; }
  std::string operator()(const Member& e) { return operand(*e.base) + "." + e.name.text; }
  std::string operator()(const Call& e) { return operand(*e.callee) + "(" + printArgs(e.args) + ")"; }
  std::string operator()(const Subscript& e) {
    return operand(*e.base) + "[" + printList(e.items) + (e.fill ? "; " + print(*e.fill) : "") + "]";
  }
  std::string operator()(const Unary& e) {
    return std::string(spelling(e.op)) + (e.op == UnaryOp::Not ? " " : "") + operand(*e.operand);
  }
  std::string operator()(const Binary& e) {
    return operand(*e.left) + " " + std::string(spelling(e.op)) + " " + operand(*e.right);
  }
  std::string operator()(const If& e) {
    return "if " + print(*e.condition) + " then " + operand(*e.whenTrue) + " else " + operand(*e.whenFalse);
  }
  std::string operator()(const Reduce& e) {
    std::string guard = e.guard ? " | " + print(*e.guard) : "";
    return std::string(spelling(e.kind)) + "[" + printBinders(e.indices) + guard + "] " + operand(*e.body);
  }
  std::string operator()(const Fold& e) {
    return std::string(spelling(e.kind)) + "[" + e.parameter.text + " in " + print(*e.over) + "] " + operand(*e.body);
  }
  std::string operator()(const Scan& e) {
    std::string carries = join(e.carries, [](const Carry& c) {
      return c.name.text + (c.type ? ": " + print(*c.type) : "") + " = " + print(*c.value);
    });
    std::string body;
    for (const StmtPtr& stmt : e.body->stmts) {
      body += print(*stmt, 0);
    }
    for (char& c : body) {
      c = c == '\n' ? ' ' : c; // an expression is one line
    }
    return "scan " + e.index.text + ": " + print(*e.extent) + (e.reverse ? " reverse" : "") +
           (e.saveEvery ? " save every " + print(*e.saveEvery) : "") + " with " + carries + " { " + body + "}";
  }
  std::string operator()(const List& e) { return "[" + printList(e.items) + "]"; }
  std::string operator()(const Tuple& e) { return "(" + printList(e.items) + ")"; }
  std::string operator()(const Range& e) { return print(*e.from) + ".." + print(*e.to); }
};

std::string printParams(const std::vector<ParamDecl>& params) {
  return join(params, [](const ParamDecl& p) { return p.name.text + ": " + print(*p.type); });
}

std::string printEvery(const std::optional<Every>& every) {
  if (!every) {
    return "";
  }
  bool epochs = every->unit == Every::Unit::Epoch;
  std::string count = every->count ? print(*every->count) : "1";
  return " every " + count + (epochs ? " epochs" : " steps");
}

std::string printNames(const std::vector<Name>& names) {
  return "(" + join(names, [](const Name& n) { return n.text; }) + ")";
}

std::string printSignature(const Signature& s) {
  std::string out = s.name.text;
  if (s.hasStatics) {
    out += "(" +
           join(s.statics,
                [](const StaticDecl& d) {
                  return d.name.text + ": " + d.kind.text + (d.value ? " = " + print(*d.value) : "");
                }) +
           ")";
  }
  out += "(" + printParams(s.params) + ") -> " + print(*s.result);
  if (!s.wheres.empty()) {
    out += " where " + join(s.wheres, [](const WhereDim& w) { return w.name.text + " = " + print(*w.value); });
  }
  return out;
}

std::string printFn(const FnDecl& fn, int indent) {
  std::string out = "fn " + printSignature(fn.signature) + printBody(fn.body, indent);
  if (fn.vjp) {
    out += std::string(static_cast<size_t>(indent) * 2, ' ') + "vjp " + printNames(fn.vjp->params) +
           printBody(fn.vjp->body, indent);
  }
  return out;
}

/// Each statement's text from its keyword on, with its line break.
struct PrintStmt {
  int indent;

  std::string operator()(const Let& s) {
    std::string target = s.tuple ? printNames(s.names) : s.names.front().text;
    std::string with = s.each ? " with " + s.parameter->text + " = " + print(*s.each) : "";
    return "let " + target + (s.indexed ? "[" + printBinders(s.indices) + "]" : "") + " = " + print(*s.value) + with +
           "\n";
  }
  std::string operator()(const Const& s) { return "const " + s.name.text + " = " + print(*s.value) + "\n"; }
  std::string operator()(const Param& s) {
    return "param " + s.name.text + ": " + print(*s.type) + " ~ " + print(*s.init) + "\n";
  }
  std::string operator()(const State& s) {
    return "state " + s.name.text + ": " + print(*s.type) + " = " + print(*s.init) + "\n";
  }
  std::string operator()(const Update& s) { return "update " + s.name.text + " = " + print(*s.value) + "\n"; }
  std::string operator()(const Require& s) {
    return "require " + print(*s.condition) + (s.message ? ", " + quoted(*s.message) : "") + "\n";
  }
  std::string operator()(const When& s) {
    std::string out;
    std::string margin(static_cast<size_t>(indent) * 2, ' ');
    for (const When::Branch& branch : s.branches) {
      out +=
          (out.empty() ? "when " : margin + "else when ") + print(*branch.condition) + printBody(branch.body, indent);
    }
    return s.otherwise ? out + margin + "else" + printBody(*s.otherwise, indent) : out;
  }
  std::string operator()(const Return& s) { return "return " + printList(s.values) + "\n"; }
  std::string operator()(const Next& s) { return "next " + s.name.text + " = " + print(*s.value) + "\n"; }
  std::string operator()(const Until& s) { return "until " + print(*s.condition) + "\n"; }
  std::string operator()(const Emit& s) { return "emit " + printList(s.values) + "\n"; }
  std::string operator()(const Data& s) {
    std::string options = s.options.empty() ? "" : ", " + printArgs(s.options);
    std::string head = "data " + s.name.text + " = ";
    if (const auto* call = std::get_if<ExprPtr>(&s.source)) {
      return head + print(**call) + options + "\n";
    }
    if (const auto* table = std::get_if<TableSource>(&s.source)) {
      return head + "table { " +
             join(table->fields,
                  [](const TableField& f) { return f.name.text + ": " + print(*f.type) + " = " + print(*f.value); }) +
             " }" + options + "\n";
    }
    const auto& made = std::get<GenerateSource>(s.source);
    std::string seed = made.seed ? " seed " + print(*made.seed) : "";
    return head + "generate " + print(*made.count) + seed + options + printBody(made.body, indent);
  }
  std::string operator()(const Opt& s) { return "opt " + s.name.text + " = " + print(*s.value) + "\n"; }
  std::string operator()(const Step& s) {
    std::string reads =
        join(s.reads, [](const Step::Read& r) { return printNames(r.fields) + " in " + r.source.text; });
    return "step" + (reads.empty() ? "" : " " + reads) + printBody(s.body, indent);
  }
  std::string operator()(const Eval& s) {
    return "eval " + printNames(s.fields) + " in " + s.source.text + printEvery(s.every) + printBody(s.body, indent);
  }
  std::string operator()(const Whole& s) { return "whole " + printNames(s.values) + printBody(s.body, indent); }
  std::string operator()(const Phase& s) { return "phase " + s.name.text + printBody(s.body, indent); }
  std::string operator()(const Track& s) {
    return "track " + s.name.text + " = " + s.of.text + " with " + print(*s.rule) + "\n";
  }
  std::string operator()(const Init& s) {
    return "init " + print(*s.target) + " from " + quoted(s.path) + (s.as ? " as " + quoted(*s.as) : "") + "\n";
  }
  std::string operator()(const Sweep& s) {
    return "sweep " + join(s.items, [](const Sweep::Item& i) { return i.name.text + " in " + print(*i.values); }) +
           "\n";
  }
  std::string operator()(const Predict& s) {
    std::string limits = s.limits.empty() ? "" : " where " + join(s.limits, [](const Predict::Limit& l) {
                                                   return l.dim.text + " <= " + print(*l.most);
                                                 });
    return "predict " + s.name.text + "(" + printParams(s.params) + ") -> " + print(*s.result) + limits +
           printBody(s.body, indent);
  }
  std::string operator()(const Minimize& s) {
    std::string except = s.except.empty() ? "" : " except " + printList(s.except);
    std::string accumulate = s.accumulate ? " accumulate " + operand(*s.accumulate) : "";
    std::string through = s.through.empty() ? "" : " through " + printList(s.through);
    return "minimize " + print(*s.loss) + " over " + printList(s.over) + except + " with " + s.optimizer.text +
           printEvery(s.every) + accumulate + through + "\n";
  }
  std::string operator()(const Log& s) {
    return "log " +
           join(s.entries,
                [](const Log::Entry& e) { return (e.image ? "image " : "") + e.name.text + " = " + print(*e.value); }) +
           printEvery(s.every) + "\n";
  }
  std::string operator()(const Run& s) {
    return "run " +
           join(s.options,
                [](const Run::Option& o) {
                  return o.name.text + " = " + print(*o.value) + (o.on ? " on " + print(*o.on) : "");
                }) +
           "\n";
  }
  std::string operator()(const Checkpoint& s) {
    std::string best = s.best ? " keep best " + print(*s.best) : "";
    return "checkpoint " + quoted(s.path) + (s.of ? " of " + print(*s.of) : "") + printEvery(s.every) + best + "\n";
  }
  std::string operator()(const LocalFn& s) { return printFn(*s.fn, indent); }
};

struct PrintDecl {
  std::string operator()(const ImportDecl& d) { return "import " + quoted(d.path) + "\n"; }
  std::string operator()(const ConstDecl& d) { return "const " + d.name.text + " = " + print(*d.value) + "\n"; }
  std::string operator()(const FnDecl& d) { return printFn(d, 0); }
  std::string operator()(const LayerDecl& d) { return "layer " + printSignature(d.signature) + printBody(d.body, 0); }
  std::string operator()(const OptimizerDecl& d) {
    return "optimizer " + printSignature(d.signature) + printBody(d.body, 0);
  }
  std::string operator()(const TrainDecl& d) { return "train " + d.name.text + printBody(d.body, 0); }
};

std::string print(const Stmt& s, int indent) {
  return std::string(static_cast<size_t>(indent) * 2, ' ') + std::visit(PrintStmt{indent}, s.node);
}

/// The statements of a block, a line each, one level further in than the line that it ends.
std::string printBody(const Block& body, int indent) {
  std::string out = "\n";
  for (const StmtPtr& stmt : body.stmts) {
    out += print(*stmt, indent + 1);
  }
  return out;
}

} // namespace

std::string print(const Expr& e) { return std::visit(PrintExpr{}, e.node); }

std::string print(const Type& t) {
  if (const auto* tuple = std::get_if<TupleType>(&t.node)) {
    return "(" + join(tuple->items, [](const TypePtr& item) { return print(*item); }) + ")";
  }
  const auto& tensor = std::get<TensorType>(t.node);
  std::string dims = tensor.dims.empty() ? "" : "[" + printList(tensor.dims) + "]";
  return tensor.dtype.text + dims + (tensor.bound ? " < " + operand(*tensor.bound) : "");
}

std::string print(const File& file) {
  std::string out;
  for (const auto& decl : file.decls) {
    out += std::visit(PrintDecl{}, decl->node);
  }
  return out;
}

} // namespace dnn::ast
