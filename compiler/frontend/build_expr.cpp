// Expressions. A chain `a + b * c` arrives flat, as operands and operators in a row; Chain gives it its tree.
#include "compiler/frontend/ast_builder.h"

#include "DnnLexer.h"

#include <algorithm>
#include <charconv>

namespace dnn::frontend {

using diag::DiagId;
using diag::SourceRange;
using syntax::DnnLexer;

namespace {

uint32_t highestIn(std::initializer_list<const ast::Expr*> children) {
  uint32_t height = 0;
  for (const ast::Expr* child : children) {
    height = std::max(height, child == nullptr ? 0 : child->height + 1);
  }
  return height;
}

uint32_t highestIn(const std::vector<ast::ExprPtr>& children) {
  uint32_t height = 0;
  for (const ast::ExprPtr& child : children) {
    height = std::max(height, highestIn({child.get()}));
  }
  return height;
}

/// Levels below a node. The types and the body of a scan are not counted here: see AstBuilder::scan.
struct HeightOf {
  uint32_t operator()(const ast::IntLiteral&) { return 0; }
  uint32_t operator()(const ast::FloatLiteral&) { return 0; }
  uint32_t operator()(const ast::BoolLiteral&) { return 0; }
  uint32_t operator()(const ast::StringLiteral&) { return 0; }
  uint32_t operator()(const ast::NameRef&) { return 0; }
  uint32_t operator()(const ast::PackRef&) { return 0; }
  uint32_t operator()(const ast::Member& e) { return highestIn({e.base.get()}); }
  uint32_t operator()(const ast::Call& e) {
    uint32_t height = highestIn({e.callee.get()});
    for (const ast::Arg& arg : e.args) {
      height = std::max(height, highestIn({arg.value.get()}));
    }
    return height;
  }
  uint32_t operator()(const ast::Subscript& e) {
    return std::max(highestIn({e.base.get(), e.fill.get()}), highestIn(e.items));
  }
  uint32_t operator()(const ast::Unary& e) { return highestIn({e.operand.get()}); }
  uint32_t operator()(const ast::Binary& e) { return highestIn({e.left.get(), e.right.get()}); }
  uint32_t operator()(const ast::If& e) { return highestIn({e.condition.get(), e.whenTrue.get(), e.whenFalse.get()}); }
  uint32_t operator()(const ast::Reduce& e) {
    uint32_t height = highestIn({e.guard.get(), e.body.get()});
    for (const ast::IndexBinder& index : e.indices) {
      height = std::max(height, highestIn({index.extent.get()}));
    }
    return height;
  }
  uint32_t operator()(const ast::Fold& e) { return highestIn({e.over.get(), e.body.get()}); }
  uint32_t operator()(const ast::Scan& e) {
    uint32_t height = highestIn({e.extent.get(), e.saveEvery.get()});
    for (const ast::Carry& carry : e.carries) {
      height = std::max(height, highestIn({carry.value.get()}));
    }
    return height;
  }
  uint32_t operator()(const ast::List& e) { return highestIn(e.items); }
  uint32_t operator()(const ast::Tuple& e) { return highestIn(e.items); }
  uint32_t operator()(const ast::Range& e) { return highestIn({e.from.get(), e.to.get()}); }
};

/// How tightly an operator binds; see the table in DnnParser.g4.
enum Level : int { kOr = 1, kAnd, kNot, kComparison, kSum, kProduct, kTightest };

struct Operator {
  ast::BinaryOp op;
  Level level;
};

Operator operatorOf(size_t token) {
  using ast::BinaryOp;
  switch (token) {
  case DnnLexer::PLUS: return {BinaryOp::Add, kSum};
  case DnnLexer::MINUS: return {BinaryOp::Sub, kSum};
  case DnnLexer::STAR: return {BinaryOp::Mul, kProduct};
  case DnnLexer::SLASH: return {BinaryOp::Div, kProduct};
  case DnnLexer::PERCENT: return {BinaryOp::Mod, kProduct};
  case DnnLexer::EQ: return {BinaryOp::Eq, kComparison};
  case DnnLexer::NE: return {BinaryOp::Ne, kComparison};
  case DnnLexer::LT: return {BinaryOp::Lt, kComparison};
  case DnnLexer::LE: return {BinaryOp::Le, kComparison};
  case DnnLexer::GT: return {BinaryOp::Gt, kComparison};
  case DnnLexer::GE: return {BinaryOp::Ge, kComparison};
  case DnnLexer::AND: return {BinaryOp::And, kAnd};
  case DnnLexer::OR: return {BinaryOp::Or, kOr};
  default: DNN_UNREACHABLE("the grammar has no other binary operator");
  }
}

ast::ReduceKind reduceKindOf(size_t token) {
  using ast::ReduceKind;
  switch (token) {
  case DnnLexer::SUM: return ReduceKind::Sum;
  case DnnLexer::PROD: return ReduceKind::Prod;
  case DnnLexer::MAX: return ReduceKind::Max;
  case DnnLexer::MIN: return ReduceKind::Min;
  case DnnLexer::MEAN: return ReduceKind::Mean;
  case DnnLexer::ARGMAX: return ReduceKind::ArgMax;
  case DnnLexer::ARGMIN: return ReduceKind::ArgMin;
  case DnnLexer::ANY: return ReduceKind::Any;
  case DnnLexer::ALL: return ReduceKind::All;
  default: DNN_UNREACHABLE("the grammar has no other reducer");
  }
}

} // namespace

/// Precedence climbing over operands and operators in a row. The recursion is over levels of precedence, never over the
/// length of the chain.
class AstBuilder::Chain {
public:
  Chain(AstBuilder& builder, antlr4::ParserRuleContext& ctx) : builder_(builder) {
    for (antlr4::tree::ParseTree* child : ctx.children) {
      auto* rule = static_cast<antlr4::ParserRuleContext*>(child); // the chain has no tokens of its own
      if (rule->getRuleIndex() == P::RuleOperand) {
        operands_.push_back(static_cast<P::OperandContext*>(rule));
      } else {
        operators_.push_back(rule->getStart());
      }
    }
  }

  ast::ExprPtr build() { return climb(operand(kOr), kOr); }

private:
  const Operator* next() {
    if (at_ == operators_.size()) {
      return nullptr;
    }
    next_ = operatorOf(operators_[at_]->getType());
    return &next_;
  }

  /// `left` and all that follows with operators of at least this level.
  ast::ExprPtr climb(ast::ExprPtr left, int level) {
    while (next() != nullptr && next_.level >= level) {
      Operator op = next_;
      SourceRange opRange = builder_.rangeOf(*operators_[at_]);
      ++at_;
      ast::ExprPtr right = climb(operand(op.level + 1), op.level + 1);
      SourceRange range = cover(left->range, right->range);
      left = builder_.make(range, ast::Binary{op.op, opRange, std::move(left), std::move(right)});
      if (op.level == kComparison && next() != nullptr && next_.level == kComparison) {
        builder_.diags_.report<DiagId::chained_comparison>(builder_.rangeOf(*operators_[at_]))
            .hint("write `a < b and b < c`");
      }
    }
    return left;
  }

  ast::ExprPtr operand(int level) {
    DNN_ASSERT(at_ < operands_.size(), "a chain has one operand more than operators");
    return operand(*operands_[at_], level);
  }

  /// The children of an operand, looked up once: generated accessors search all children by type.
  struct Parts {
    std::vector<P::PrefixContext*> prefixes;
    P::ReducerContext* reducer = nullptr;
    P::ReductionContext* reduction = nullptr;
    P::CallContext* call = nullptr;
    P::MemberContext* member = nullptr;
    P::AtomContext* atom = nullptr;
    std::vector<P::SuffixContext*> suffixes;

    explicit Parts(P::OperandContext& ctx) {
      for (antlr4::tree::ParseTree* child : ctx.children) {
        switch (static_cast<antlr4::ParserRuleContext*>(child)->getRuleIndex()) {
        case P::RulePrefix: prefixes.push_back(static_cast<P::PrefixContext*>(child)); break;
        case P::RuleReducer: reducer = static_cast<P::ReducerContext*>(child); break;
        case P::RuleReduction: reduction = static_cast<P::ReductionContext*>(child); break;
        case P::RuleCall: call = static_cast<P::CallContext*>(child); break;
        case P::RuleMember: member = static_cast<P::MemberContext*>(child); break;
        case P::RuleAtom: atom = static_cast<P::AtomContext*>(child); break;
        case P::RuleSuffix: suffixes.push_back(static_cast<P::SuffixContext*>(child)); break;
        default: DNN_UNREACHABLE("the grammar has no other part of an operand");
        }
      }
    }
  };

  /// One operand in a place where operators of at least `level` may follow; takes in what a `not` or a reducer reaches.
  ast::ExprPtr operand(P::OperandContext& ctx, int level) {
    const Parts parts(ctx);
    const std::vector<P::PrefixContext*>& prefixes = parts.prefixes;
    // Prefixes apply from the inside out, but a `not` takes in the comparison behind it, so it is applied on its way
    // back.
    size_t nots = 0;
    while (nots < prefixes.size() && isNot(*prefixes[nots])) {
      ++nots;
    }
    for (size_t i = 0; i < prefixes.size(); ++i) {
      bool misplaced = isNot(*prefixes[i]) && (i >= nots || level > kNot);
      if (misplaced) {
        builder_.diags_.report<DiagId::misplaced_not>(builder_.rangeOf(*prefixes[i]))
            .hint("put the `not` and what it negates into parentheses");
      }
    }
    ast::ExprPtr e = core(parts);
    for (size_t i = prefixes.size(); i > nots; --i) {
      SourceRange range = cover(builder_.rangeOf(*prefixes[i - 1]), e->range);
      e = builder_.make(range, ast::Unary{ast::UnaryOp::Neg, std::move(e)});
    }
    if (nots > 0 && level <= kNot) {
      e = climb(std::move(e), kComparison);
    }
    for (size_t i = nots; i > 0; --i) {
      SourceRange range = cover(builder_.rangeOf(*prefixes[i - 1]), e->range);
      e = builder_.make(range, ast::Unary{ast::UnaryOp::Not, std::move(e)});
    }
    return e;
  }

  static bool isNot(P::PrefixContext& prefix) { return prefix.getStart()->getType() == DnnLexer::NOT; }

  ast::ExprPtr core(const Parts& parts) {
    if (parts.reduction != nullptr) {
      return reduce(parts);
    }
    ast::ExprPtr e;
    if (parts.reducer != nullptr) {
      ast::Name name = builder_.name(*parts.reducer);
      SourceRange range = name.range;
      e = builder_.make(range, ast::NameRef{std::move(name)});
      if (parts.call != nullptr) {
        e = builder_.called(std::move(e), *parts.call);
      } else if (parts.member != nullptr) {
        SourceRange whole = cover(range, builder_.rangeOf(*parts.member));
        e = builder_.make(whole, ast::Member{std::move(e), builder_.name(*parts.member->name())});
      }
    } else {
      e = builder_.atom(*parts.atom);
    }
    for (P::SuffixContext* suffix : parts.suffixes) {
      e = builder_.suffixed(std::move(e), *suffix);
    }
    return e;
  }

  /// The body is the rest of the product, and the innermost of several reducers takes it: sum[i] max[j] a * b.
  ast::ExprPtr reduce(const Parts& parts) {
    P::ReductionContext& red = *parts.reduction;
    SourceRange start = builder_.rangeOf(*parts.reducer);
    if (red.binder().size() == 1 && red.binder(0)->IN() != nullptr && red.binder(0)->STAR() == nullptr &&
        red.expr() == nullptr) {
      return fold(parts, start);
    }
    ast::Reduce node;
    node.kind = reduceKindOf(parts.reducer->getStart()->getType());
    node.head = cover(start, builder_.rangeOf(*red.RBRACK()->getSymbol()));
    node.indices = builder_.binders(red.binder());
    node.guard = red.expr() == nullptr ? nullptr : builder_.expr(*red.expr());
    node.body = climb(operand(*red.operand(), kProduct), kProduct);
    SourceRange range = cover(start, node.body->range);
    return builder_.make(range, std::move(node));
  }

  /// sum[p in net] …
  ast::ExprPtr fold(const Parts& parts, SourceRange start) {
    P::ReductionContext& red = *parts.reduction;
    ast::Fold node;
    node.kind = reduceKindOf(parts.reducer->getStart()->getType());
    node.head = cover(start, builder_.rangeOf(*red.RBRACK()->getSymbol()));
    node.parameter = builder_.name(*red.binder(0)->name());
    node.over = builder_.expr(*red.binder(0)->expr());
    node.body = climb(operand(*red.operand(), kProduct), kProduct);
    SourceRange range = cover(start, node.body->range);
    return builder_.make(range, std::move(node));
  }

  AstBuilder& builder_;
  std::vector<P::OperandContext*> operands_;
  std::vector<antlr4::Token*> operators_;
  size_t at_ = 0; // operands_[at_] is the current one; operators_[at_] stands behind it
  Operator next_{};
};

ast::ExprPtr AstBuilder::make(SourceRange range, ast::Expr::Node node) {
  auto e = std::make_unique<ast::Expr>();
  e->range = range;
  e->node = std::move(node);
  e->height = std::visit(HeightOf{}, e->node);
  if (e->height > ast::kMaxHeight) {
    if (!tooHighReported_) {
      diags_.report<DiagId::expression_too_long>(range, ast::kMaxHeight).hint("name parts of it with `let`");
      tooHighReported_ = true; // once a statement: what goes on here would be too high again
    }
    e->node = ast::IntLiteral{};
    e->height = 0;
  }
  highest_ = std::max(highest_, e->height);
  return e;
}

ast::ExprPtr AstBuilder::expr(P::ExprContext& ctx) {
  auto* rule = static_cast<antlr4::ParserRuleContext*>(ctx.children.front());
  if (rule->getRuleIndex() == P::RuleChain) {
    return Chain(*this, *rule).build();
  }
  if (rule->getRuleIndex() == P::RuleScanExpr) {
    return scan(*ctx.scanExpr());
  }
  P::IfExprContext& branch = *ctx.ifExpr();
  ast::If node;
  node.condition = expr(*branch.expr(0));
  node.whenTrue = expr(*branch.expr(1));
  node.whenFalse = expr(*branch.expr(2));
  return make(rangeOf(ctx), std::move(node));
}

ast::ExprPtr AstBuilder::arithmetic(P::ArithmeticContext& ctx) { return Chain(*this, ctx).build(); }

ast::ExprPtr AstBuilder::scan(P::ScanExprContext& ctx) {
  uint32_t outside = std::exchange(highest_, 0);
  ast::Scan node;
  node.index = name(*ctx.name());
  node.extent = expr(*ctx.expr(0));
  node.reverse = ctx.REVERSE() != nullptr;
  node.saveEvery = ctx.SAVE() == nullptr ? nullptr : expr(*ctx.expr(1));
  for (P::CarryContext* carry : ctx.carry()) {
    node.carries.push_back(
        {name(*carry->name()), carry->type() != nullptr ? type(*carry->type()) : nullptr, expr(*carry->expr())});
  }
  node.body = std::make_unique<ast::Block>(block(*ctx.block(), ast::Context::Scan));
  uint32_t inside = std::exchange(highest_, outside);
  ast::ExprPtr e = make(rangeOf(ctx), std::move(node));
  e->height = std::max(e->height, inside + 1); // the next level up checks it
  highest_ = std::max(highest_, e->height);
  return e;
}

ast::ExprPtr AstBuilder::atom(P::AtomContext& ctx) {
  SourceRange range = rangeOf(ctx);
  antlr4::Token& token = *ctx.getStart();
  switch (token.getType()) {
  case DnnLexer::INT:
  case DnnLexer::FLOAT: return number(token);
  case DnnLexer::STRING: return make(range, ast::StringLiteral{string(token)});
  case DnnLexer::TRUE: return make(range, ast::BoolLiteral{true});
  case DnnLexer::FALSE: return make(range, ast::BoolLiteral{false});
  case DnnLexer::LBRACK: {
    ast::List list;
    for (P::ElementContext* one : ctx.element()) {
      list.items.push_back(element(*one));
    }
    return make(range, std::move(list));
  }
  case DnnLexer::LPAREN: break;
  default: return make(range, ast::NameRef{name(ctx)});
  }
  ast::Tuple tuple;
  for (P::ExprContext* one : ctx.expr()) {
    tuple.items.push_back(expr(*one));
  }
  if (tuple.items.size() > 1) {
    return make(range, std::move(tuple));
  }
  ast::ExprPtr inner = std::move(tuple.items.front());
  inner->range = range;
  return inner;
}

ast::ExprPtr AstBuilder::number(antlr4::Token& token) {
  SourceRange range = rangeOf(token);
  std::string text = token.getText();
  if (token.getType() == DnnLexer::INT) {
    int64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) {
      diags_.report<DiagId::integer_too_large>(range, text);
    }
    return make(range, ast::IntLiteral{value});
  }
  double value = 0;
  bool outOfRange = std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc();
  if (outOfRange && text.find('-') == std::string::npos) { // with a negative exponent it is too small: zero
    diags_.report<DiagId::float_too_large>(range, text);
  }
  return make(range, ast::FloatLiteral{outOfRange ? 0 : value});
}

ast::ExprPtr AstBuilder::element(P::ElementContext& ctx) {
  ast::ExprPtr from = expr(*ctx.expr(0));
  if (ctx.children.size() == 1) {
    return from;
  }
  return make(rangeOf(ctx), ast::Range{std::move(from), expr(*ctx.expr(1))});
}

ast::ExprPtr AstBuilder::item(P::ItemContext& ctx) {
  return ctx.children.size() == 1 ? expr(*ctx.expr()) : make(rangeOf(ctx), ast::PackRef{name(*ctx.name())});
}

std::vector<ast::ExprPtr> AstBuilder::items(const std::vector<P::ItemContext*>& list) {
  std::vector<ast::ExprPtr> out;
  for (P::ItemContext* one : list) {
    out.push_back(item(*one));
  }
  return out;
}

ast::ExprPtr AstBuilder::suffixed(ast::ExprPtr base, P::SuffixContext& ctx) {
  if (ctx.call() != nullptr) {
    return called(std::move(base), *ctx.call());
  }
  if (ctx.subscript() != nullptr) {
    return subscripted(std::move(base), *ctx.subscript());
  }
  SourceRange range = cover(base->range, rangeOf(ctx));
  return make(range, ast::Member{std::move(base), name(*ctx.member()->name())});
}

ast::ExprPtr AstBuilder::called(ast::ExprPtr base, P::CallContext& ctx) {
  SourceRange range = cover(base->range, rangeOf(ctx));
  return make(range, ast::Call{std::move(base), args(ctx.arg())});
}

ast::ExprPtr AstBuilder::subscripted(ast::ExprPtr base, P::SubscriptContext& ctx) {
  SourceRange range = cover(base->range, rangeOf(ctx));
  ast::ExprPtr fill = ctx.expr() == nullptr ? nullptr : expr(*ctx.expr());
  return make(range, ast::Subscript{std::move(base), items(ctx.item()), std::move(fill)});
}

std::vector<ast::Arg> AstBuilder::args(const std::vector<P::ArgContext*>& list) {
  std::vector<ast::Arg> out;
  for (P::ArgContext* ctx : list) {
    ast::Arg arg;
    arg.value = element(*ctx->element(0));
    if (ctx->children.size() > 1) {
      ast::ExprPtr left = std::exchange(arg.value, element(*ctx->element(1)));
      const auto* ref = ast::getIf<ast::NameRef>(*left);
      if (ref == nullptr) {
        diags_.report<DiagId::argument_not_named>(left->range);
      }
      arg.name = ref == nullptr ? ast::Name{"", left->range} : ref->name;
    } else if (!out.empty() && out.back().name) {
      diags_.report<DiagId::positional_after_named>(arg.value->range).note(out.back().name->range, "the named one");
    }
    out.push_back(std::move(arg));
  }
  return out;
}

std::vector<ast::IndexBinder> AstBuilder::binders(const std::vector<P::BinderContext*>& list) {
  std::vector<ast::IndexBinder> out;
  for (P::BinderContext* ctx : list) {
    ast::ExprPtr extent = ctx->expr() == nullptr ? nullptr : expr(*ctx->expr());
    if (ctx->IN() != nullptr) {
      diags_.report<DiagId::misplaced_in>(rangeOf(*ctx)).hint("a reducer over parameters has one name and no guard");
    }
    out.push_back({ctx->STAR() != nullptr, name(*ctx->name()), std::move(extent)});
  }
  return out;
}

std::vector<ast::Arg> AstBuilder::assignments(const std::vector<P::AssignmentContext*>& list) {
  std::vector<ast::Arg> out;
  for (P::AssignmentContext* ctx : list) {
    out.push_back({name(*ctx->name()), expr(*ctx->expr())});
  }
  return out;
}

} // namespace dnn::frontend
