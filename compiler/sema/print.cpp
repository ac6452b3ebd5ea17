// Text of the instantiated program, as the comment in program.h shows it. Names are made unique within a function.
#include "compiler/sema/program.h"

#include <charconv>
#include <map>
#include <set>

namespace dnn::sema {

namespace {

std::string number(double value) {
  char buffer[32];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return error == std::errc() ? std::string(buffer, end) : "?";
}

std::string_view word(Reduce::Kind kind) {
  switch (kind) {
  case Reduce::Kind::Sum: return "sum";
  case Reduce::Kind::Prod: return "prod";
  case Reduce::Kind::Max: return "max";
  case Reduce::Kind::Min: return "min";
  case Reduce::Kind::Mean: return "mean";
  case Reduce::Kind::ArgMax: return "argmax";
  case Reduce::Kind::ArgMin: return "argmin";
  case Reduce::Kind::Any: return "any";
  case Reduce::Kind::All: return "all";
  }
  return "?";
}

/// How an operator is written between its operands, and how tightly it binds; "" for a call.
struct Infix {
  std::string_view sign;
  int level = 0;
};
Infix infixOf(ScalarOp op) {
  switch (op) {
  case ScalarOp::Or: return {"or", 1};
  case ScalarOp::And: return {"and", 2};
  case ScalarOp::Lt: return {"<", 4};
  case ScalarOp::Le: return {"<=", 4};
  case ScalarOp::Gt: return {">", 4};
  case ScalarOp::Ge: return {">=", 4};
  case ScalarOp::Eq: return {"==", 4};
  case ScalarOp::Ne: return {"!=", 4};
  case ScalarOp::Add: return {"+", 5};
  case ScalarOp::Sub: return {"-", 5};
  case ScalarOp::Mul: return {"*", 6};
  case ScalarOp::Div: return {"/", 6};
  case ScalarOp::Mod: return {"%", 6};
  default: return {}; // written as calls
  }
}

class Printer {
public:
  Printer(const Program& program, std::string& out) : program_(program), out_(out) {}

  void function(const Function& f, const std::string& head) {
    function_ = &f;
    nameThings();
    out_ += head;
    for (size_t i = 0; i < f.symbols.size(); ++i) {
      out_ += (i == 0 ? " [" : ", ") + f.symbols[i].name + " <= " + std::to_string(f.symbols[i].max);
    }
    out_ += f.symbols.empty() ? "" : "]";
    if (!f.inputs.empty()) {
      out_ += " (";
      for (size_t i = 0; i < f.inputs.size(); ++i) {
        out_ += (i == 0 ? "" : ", ") + vars_[f.inputs[i].var] + ": " + type(f.inputs[i].var);
      }
      out_ += ")";
    }
    out_ += " {\n";
    block(f.body);
    if (!f.returns.empty()) {
      out_ += "  return " + list(f.returns) + "\n";
    }
    out_ += "}\n";
  }

private:
  const Program& program_;
  std::string& out_;
  const Function* function_ = nullptr;
  std::vector<std::string> vars_;
  std::vector<std::string> indices_;
  int depth_ = 1;

  void line(const std::string& text) { out_ += std::string(static_cast<size_t>(depth_) * 2, ' ') + text + "\n"; }
  void block(const std::vector<Statement>& body) {
    for (const Statement& stmt : body) {
      out_ += std::string(static_cast<size_t>(depth_) * 2, ' ');
      std::visit([&](auto& node) { statement(node); }, stmt.node);
      out_ += "\n";
    }
  }

  void nameThings() {
    std::set<std::string> taken;
    auto unique = [&](const std::string& wanted) {
      std::string name = wanted;
      for (int n = 1; !taken.insert(name).second; ++n) {
        name = wanted + "_" + std::to_string(n);
      }
      return name;
    };
    vars_.clear();
    std::map<std::string, int> uses; // so that many equal names do not cost quadratic time
    for (const Var& v : function_->vars) {
      int n = uses[v.name]++;
      vars_.push_back(unique(n == 0 ? v.name : v.name + "_" + std::to_string(n)));
    }
    indices_.clear();
    for (const IndexInfo& i : function_->indices) {
      indices_.push_back(i.name);
    }
  }

  std::string dim(const Dim& d) const { return d.str(function_->symbols); }
  std::string type(VarId var) const { return function_->vars[var].type.str(function_->symbols); }
  std::string list(const std::vector<VarId>& vars) const {
    std::string text;
    for (VarId v : vars) {
      text += (text.empty() ? "" : ", ") + vars_[v];
    }
    return text;
  }
  std::string binders(const std::vector<IndexId>& indices) const {
    std::string text;
    for (IndexId i : indices) {
      text += (text.empty() ? "" : ", ") + indices_[i] + ": " + dim(function_->indices[i].extent);
    }
    return text;
  }

  void statement(const Let& let) {
    out_ += vars_[let.var];
    if (!let.indices.empty()) {
      // Indices of one let with the same name are told apart.
      std::set<std::string> taken;
      for (IndexId i : let.indices) {
        std::string name = function_->indices[i].name;
        for (int n = 1; !taken.insert(name).second; ++n) {
          name = function_->indices[i].name + std::to_string(n);
        }
        indices_[i] = name;
      }
      out_ += "[" + binders(let.indices) + "]";
    }
    out_ += " = " + scalar(let.value, 0) + " : " + std::string(nameOf(function_->vars[let.var].type.dtype));
    if (auto& bound = function_->vars[let.var].type.bound) {
      out_ += " < " + dim(*bound);
    }
  }
  void statement(const ReadPersistent& read) {
    const Persistent& p = program_.persistents[read.persistent];
    out_ += vars_[read.var] + (p.kind == plan::Persistent::Kind::Parameter ? " = param " : " = state ") + p.path +
            " : " + type(read.var);
  }
  void statement(const ReadEnv& read) {
    out_ += vars_[read.var] + (read.what == ReadEnv::What::Step ? " = env step" : " = env epoch");
  }
  void statement(const Reshape& reshape) {
    out_ += vars_[reshape.var] + " = reshape " + vars_[reshape.from] + " : " + type(reshape.var);
  }
  void statement(const Concat& concat) {
    out_ += vars_[concat.var] + " = concat(" + list(concat.parts) + ") axis " + std::to_string(concat.axis) + " : " +
            type(concat.var);
  }
  void statement(const Grad& grad) {
    out_ += "(" + list(grad.results) + ") = grad(" + vars_[grad.loss] + "; " + list(grad.wrt) + ")";
  }
  void statement(const CallVjp& call) {
    out_ += "(" + list(call.results) + ") = call " + program_.helpers[call.primal].name + "(" + list(call.args) +
            ") rule " + program_.helpers[call.rule].name;
  }
  void statement(const Scan& scan) {
    std::vector<VarId> results;
    std::vector<VarId> emits;
    std::vector<VarId> nexts;
    std::string carries;
    for (const Scan::Emit& emit : scan.emits) {
      results.push_back(emit.stacked);
      emits.push_back(emit.value);
    }
    for (const Scan::Carry& carry : scan.carries) {
      results.push_back(carry.last);
      nexts.push_back(carry.next);
      carries += (carries.empty() ? "" : ", ") + vars_[carry.value] + " = " + vars_[carry.initial];
    }
    out_ += "(" + list(results) + ") = scan " + vars_[scan.step] + ": " + dim(scan.extent) +
            (scan.reverse ? " reverse" : "") +
            (scan.saveEvery > 0 ? " save every " + std::to_string(scan.saveEvery) : "") +
            (carries.empty() ? "" : " with ") + carries + " {\n";
    ++depth_;
    block(scan.body);
    if (!nexts.empty()) {
      line("next " + list(nexts));
    }
    if (!emits.empty()) {
      line("emit " + list(emits));
    }
    if (scan.until) {
      line("until " + vars_[*scan.until]);
    }
    --depth_;
    out_ += std::string(static_cast<size_t>(depth_) * 2, ' ') + "}";
  }
  void statement(const Update& update) {
    out_ += "update " + program_.persistents[update.persistent].path + " = " + vars_[update.value];
  }
  void statement(const Output& output) { out_ += "output " + output.name + " = " + vars_[output.value]; }

  std::string args(const std::vector<ScalarPtr>& items) {
    std::string text;
    for (const ScalarPtr& item : items) {
      text += (text.empty() ? "" : ", ") + scalar(item, 0);
    }
    return text;
  }

  /// `level`: how tightly what stands around binds; 0 nothing, 6 a factor, 7 an operand of `-`.
  std::string scalar(const ScalarPtr& s, int level) {
    struct Visit {
      Printer& self;
      const Scalar& s;
      int level;
      std::string operator()(const Number& n) {
        std::string text = number(n.value);
        if (text.find_first_of(".en") == std::string::npos) {
          text += ".0";
        }
        if (s.dtype != DType::F32) {
          text += std::string(nameOf(s.dtype));
        }
        return n.value < 0 && level > 0 ? "(" + text + ")" : text;
      }
      std::string operator()(const Integer& n) {
        if (s.dtype == DType::Bool) {
          return n.value ? "true" : "false";
        }
        std::string text = std::to_string(n.value);
        return n.value < 0 && level > 0 ? "(" + text + ")" : text;
      }
      std::string operator()(const IndexRef& i) { return self.indices_[i.index]; }
      std::string operator()(const ExtentRef& e) {
        std::string text = self.dim(e.extent);
        return text.find_first_of(" *") != std::string::npos && level > 0 ? "(" + text + ")" : text;
      }
      std::string operator()(const Access& a) {
        std::string text = self.vars_[a.var];
        if (a.subscripts.empty()) {
          return text;
        }
        text += "[" + self.args(a.subscripts);
        return text + (a.fill ? "; " + number(*a.fill) : "") + "]";
      }
      std::string operator()(const Apply& a) {
        if (a.op == ScalarOp::Select) {
          std::string text = "if " + self.scalar(a.args[0], 0) + " then " + self.scalar(a.args[1], 0) + " else " +
                             self.scalar(a.args[2], 0);
          return level > 0 ? "(" + text + ")" : text;
        }
        if (a.op == ScalarOp::Neg) {
          std::string text = "-" + self.scalar(a.args[0], 7);
          return level > 0 ? "(" + text + ")" : text;
        }
        Infix infix = infixOf(a.op);
        if (infix.sign.empty()) {
          return std::string(infoOf(a.op).spelling) + "(" + self.args(a.args) + ")";
        }
        std::string text = self.scalar(a.args[0], infix.level - (infix.level == 4 ? -1 : 0)) + " " +
                           std::string(infix.sign) + " " + self.scalar(a.args[1], infix.level + 1);
        return level > infix.level ? "(" + text + ")" : text;
      }
      std::string operator()(const Cast& c) {
        return std::string(nameOf(s.dtype)) + "(" + self.scalar(c.value, 0) + ")";
      }
      std::string operator()(const Reduce& r) {
        std::string text = std::string(word(r.kind)) + "[" + self.binders(r.indices);
        text += r.guard ? " | " + self.scalar(r.guard, 0) : "";
        text += "] " + self.scalar(r.body, 6);
        return level > 0 ? "(" + text + ")" : text;
      }
      std::string operator()(const Draw& d) {
        std::string text = "draw_" + std::string(nameOf(d.distribution)) + "(site " + std::to_string(d.site);
        for (VarId v : d.steps) {
          text += ", " + self.vars_[v];
        }
        for (IndexId i : d.coordinates) {
          text += ", " + self.indices_[i];
        }
        return text + ")";
      }
    };
    return std::visit(Visit{*this, *s, level}, s->node);
  }
};

std::string headOf(const Function& f, const plan::Entry& entry) {
  std::string sources;
  for (const std::string& source : entry.sources) {
    sources += (sources.empty() ? " " : ", ") + source;
  }
  switch (f.kind) {
  case plan::Entry::Kind::Init: return "init";
  case plan::Entry::Kind::Step: return f.name + sources;
  case plan::Entry::Kind::Eval: return "eval" + sources;
  case plan::Entry::Kind::Whole: return "whole " + entry.name;
  case plan::Entry::Kind::Predict: return "predict " + entry.name;
  case plan::Entry::Kind::Generate: return "generate " + entry.name;
  }
  return "?";
}

} // namespace

std::string print(const Program& program) {
  std::string out = "program " + program.plan.program + "\n";
  for (const Persistent& p : program.persistents) {
    switch (p.kind) {
    case plan::Persistent::Kind::Parameter: out += "param "; break;
    case plan::Persistent::Kind::State: out += "state "; break;
    case plan::Persistent::Kind::OptimizerState: out += "optimizer_state "; break;
    }
    out += p.path + " : " + p.type.str({}) + "\n";
  }
  for (size_t i = 0; i < program.functions.size(); ++i) {
    out += "\n";
    Printer(program, out).function(program.functions[i], headOf(program.functions[i], program.plan.entries[i]));
  }
  for (const Function& helper : program.helpers) {
    out += "\n";
    Printer(program, out).function(helper, "helper " + helper.name);
  }
  return out;
}

} // namespace dnn::sema
