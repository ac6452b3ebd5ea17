#include "compiler/frontend/format.h"

#include "compiler/frontend/ast_builder.h"
#include "compiler/frontend/check_text.h"
#include "compiler/frontend/layout.h"
#include "compiler/frontend/parse_tree.h"
#include "compiler/frontend/tokens.h"

#include "DnnLexer.h"
#include "DnnParser.h"

#include <algorithm>

namespace dnn::frontend {

namespace {

using L = syntax::DnnLexer;
using P = syntax::DnnParser;

/// What the parse tree knows of tokens.
class Marks {
public:
  Marks(antlr4::ParserRuleContext& root, size_t tokens)
      : startsStatement(tokens), isName(tokens), endsReduction(tokens), startsList(tokens), startsBody(tokens),
        aligned(tokens) {
    walk(root);
  }

  std::vector<bool> startsStatement;
  std::vector<bool> isName;
  std::vector<bool> endsReduction; // the `]` of `sum[k]`
  std::vector<bool> startsList;    // the `(` of the parameters behind the static ones
  std::vector<bool> startsBody;    // of a fn, behind its `=`
  std::vector<std::string> aligned;

private:
  void walk(antlr4::ParserRuleContext& at) {
    size_t start = at.getStart()->getTokenIndex();
    switch (at.getRuleIndex()) {
    case P::RuleDecl:
    case P::RuleStmt:
    case P::RuleTableField: startsStatement[start] = true; break;
    case P::RuleName:
    case P::RulePlainName: isName[start] = true; break;
    case P::RuleReduction:
      endsReduction[static_cast<P::ReductionContext&>(at).RBRACK()->getSymbol()->getTokenIndex()] = true;
      break;
    case P::RuleSignature: {
      auto lists = static_cast<P::SignatureContext&>(at).declList();
      if (lists.size() == 2 && !lists[1]->declItem().empty()) {
        startsList[lists[1]->getStart()->getTokenIndex()] = true;
      }
      break;
    }
    case P::RuleFnDecl:
      if (auto* body = static_cast<P::FnDeclContext&>(at).expr()) {
        startsBody[body->getStart()->getTokenIndex()] = true;
      }
      break;
    case P::RuleLetStmt: align(static_cast<P::LetStmtContext&>(at).ASSIGN(), "let"); break;
    case P::RuleConstDecl: align(static_cast<P::ConstDeclContext&>(at).ASSIGN(), "const"); break;
    case P::RuleLogStmt: align(static_cast<P::LogStmtContext&>(at).logEntry(0)->ASSIGN(), "log"); break;
    default: break;
    }
    for (antlr4::tree::ParseTree* child : at.children) {
      if (auto* rule = dynamic_cast<antlr4::ParserRuleContext*>(child)) {
        walk(*rule);
      }
    }
  }

  void align(antlr4::tree::TerminalNode* assign, const char* kind) {
    aligned[assign->getSymbol()->getTokenIndex()] = kind;
  }
};

struct Token {
  size_t type = 0;
  uint32_t begin = 0; // bytes of the text
  uint32_t end = 0;
};

/// The comments in the blanks between two tokens, and the line breaks around them.
struct Gap {
  std::vector<Comment> comments;
  bool newline = false; // behind the last comment, or none
  bool blankLine = false;
};

Gap readGap(std::string_view gap, bool atStart) {
  Gap out;
  int lines = atStart ? 1 : 0; // since what stood there last
  for (size_t at = 0; at < gap.size(); ++at) {
    if (gap[at] == '\n') {
      ++lines;
    } else if (gap[at] == '#') {
      size_t end = std::min(gap.find('\n', at), gap.size());
      std::string text(gap.substr(at, end - at));
      text.erase(text.find_last_not_of(" \t\r") + 1);
      out.comments.push_back({std::move(text), lines > 0, lines > 1});
      lines = 0;
      at = end - 1;
    }
  }
  out.newline = lines > 0;
  out.blankLine = lines > 1;
  return out;
}

bool endsOperand(const Token& token, bool isName) {
  switch (token.type) {
  case L::INT:
  case L::FLOAT:
  case L::STRING:
  case L::TRUE:
  case L::FALSE:
  case L::RPAREN:
  case L::RBRACK: return true;
  default: return isName;
  }
}

class Formatter {
public:
  Formatter(std::string_view text, const std::vector<Token>& tokens, const Marks& marks)
      : text_(text), tokens_(tokens), marks_(marks) {}

  std::string run() {
    std::vector<LayoutToken> out;
    std::vector<int> depths = {0}; // of ( and [ in each open block
    uint32_t end = 0;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const Token& token = tokens_[i];
      Gap gap = readGap(text_.substr(end, token.begin - end), i == 0);
      LayoutToken& to = out.emplace_back();
      to.text = text_.substr(token.begin, token.end - token.begin);
      to.comments = std::move(gap.comments);
      to.newline = gap.newline;
      to.blankLine = gap.blankLine;
      to.startsStatement = marks_.startsStatement[i];
      to.glued = i > 0 && isGlued(i);
      to.opensBlock = token.type == L::LBRACE;
      to.closesBlock = token.type == L::RBRACE;
      to.aligns = marks_.aligned[i];
      if (token.type == L::LBRACE) {
        to.depth = depths.back();
        depths.push_back(0);
      } else if (token.type == L::RBRACE) {
        depths.pop_back();
        to.depth = depths.back();
      } else {
        depths.back() -= token.type == L::RPAREN || token.type == L::RBRACK;
        to.depth = depths.back();
        depths.back() += token.type == L::LPAREN || token.type == L::LBRACK;
      }
      to.breakable = i > 0 ? breakBefore(i) : Break::Never;
      end = token.end;
    }
    return layOut(out, readGap(text_.substr(end), tokens_.empty()).comments);
  }

private:
  /// The star of `net.*.b`.
  bool isAnyNames(size_t i) const { return i > 0 && tokens_[i].type == L::STAR && tokens_[i - 1].type == L::DOT; }

  bool isPrefix(size_t i) const {
    size_t type = tokens_[i].type;
    return (type == L::MINUS || type == L::STAR) && !isAnyNames(i) &&
           (i == 0 || !endsOperand(tokens_[i - 1], marks_.isName[i - 1]) || marks_.endsReduction[i - 1]);
  }

  bool isGlued(size_t i) const {
    size_t type = tokens_[i].type;
    size_t previous = tokens_[i - 1].type;
    if (previous == L::LPAREN || previous == L::LBRACK || previous == L::DOT || previous == L::DOTDOT ||
        isPrefix(i - 1)) {
      return true;
    }
    switch (type) {
    case L::RPAREN:
    case L::RBRACK:
    case L::COMMA:
    case L::SEMI:
    case L::COLON:
    case L::DOT:
    case L::DOTDOT: return true;
    case L::LPAREN:
    case L::LBRACK: return attaches(i);
    default: return false;
    }
  }

  /// Is this bracket that of a call, a subscript or a list of parameters?
  bool attaches(size_t i) const {
    const Token& before = tokens_[i - 1];
    if (marks_.endsReduction[i - 1]) {
      return false;
    }
    bool reducer = before.type >= L::SUM && before.type <= L::ALL;
    return marks_.isName[i - 1] || reducer || before.type == L::RPAREN || before.type == L::RBRACK ||
           before.type == L::STRING;
  }

  Break breakBefore(size_t i) const {
    if (marks_.startsBody[i]) {
      return Break::Body;
    }
    if (isPrefix(i) || isAnyNames(i) || marks_.startsStatement[i]) {
      return Break::Never;
    }
    size_t previous = tokens_[i - 1].type;
    if (previous == L::COMMA || marks_.startsList[i]) {
      return Break::List;
    }
    switch (tokens_[i].type) {
    case L::WHERE:
    case L::THEN:
    case L::ELSE:
    case L::WITH:
    case L::OR:
    case L::AND: return Break::List;
    case L::EQ:
    case L::NE:
    case L::LT:
    case L::LE:
    case L::GT:
    case L::GE:
    case L::ARROW:
    case L::PLUS:
    case L::MINUS: return Break::Operator;
    case L::STAR:
    case L::SLASH:
    case L::PERCENT: return Break::Product;
    default: return previous == L::ASSIGN ? Break::Last : Break::Never;
    }
  }

  std::string_view text_;
  const std::vector<Token>& tokens_;
  const Marks& marks_;
};

} // namespace

std::optional<std::string> formatFile(diag::FileId file, diag::Diagnostics& diags) {
  std::optional<std::string> out;
  withParseTree(file, diags, [&](syntax::DnnParser::FileContext& tree, const Offsets& offsets, const Tokens& scanned) {
    std::vector<Token> tokens;
    for (const antlr4::Token* token : scanned.list) {
      diag::SourceRange range = rangeOf(file, offsets, *token);
      if (token->getType() != antlr4::Token::EOF) {
        tokens.push_back({token->getType(), range.begin, range.end});
      }
    }
    // Offsets are those of the text with its byte-order mark, which the layout leaves out.
    std::string text(diags.sources().text(file));
    std::fill_n(text.begin(), offsets.start(), ' ');
    out = Formatter(text, tokens, Marks(tree, tokens.size() + 1)).run();
  });
  return out;
}

} // namespace dnn::frontend
