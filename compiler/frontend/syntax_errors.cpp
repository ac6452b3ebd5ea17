#include "compiler/frontend/syntax_errors.h"

#include "DnnLexer.h"
#include "DnnParser.h"

#include <algorithm>

namespace dnn::frontend {

using diag::DiagId;
using syntax::DnnLexer;
using syntax::DnnParser;

namespace {

bool isKeyword(size_t type) { return type >= DnnLexer::AND && type <= DnnLexer::WITH; }
bool isName(size_t type) { return type >= DnnLexer::BEST && type <= DnnLexer::ID; }

bool has(const antlr4::misc::IntervalSet& set, size_t type) { return set.contains(type); }

bool startsDefinition(size_t type) {
  switch (type) {
  case DnnLexer::IMPORT:
  case DnnLexer::CONST:
  case DnnLexer::FN:
  case DnnLexer::LAYER:
  case DnnLexer::OPTIMIZER:
  case DnnLexer::TRAIN: return true;
  default: return false;
  }
}

/// Continues an expression or a type; could follow almost anything, so it is not worth listing.
bool continues(size_t type) {
  switch (type) {
  case DnnLexer::PLUS:
  case DnnLexer::MINUS:
  case DnnLexer::STAR:
  case DnnLexer::SLASH:
  case DnnLexer::PERCENT:
  case DnnLexer::EQ:
  case DnnLexer::NE:
  case DnnLexer::LT:
  case DnnLexer::LE:
  case DnnLexer::GT:
  case DnnLexer::GE:
  case DnnLexer::AND:
  case DnnLexer::OR:
  case DnnLexer::DOTDOT:
  case DnnLexer::DOT:
  case DnnLexer::LPAREN:
  case DnnLexer::LBRACK: return true;
  default: return false;
  }
}

std::string inBackticks(std::string_view text) {
  std::string out("`");
  out.append(text);
  return out.append("`");
}

std::string spelling(size_t type, const antlr4::dfa::Vocabulary& vocabulary) {
  if (type == antlr4::Token::EOF) {
    return "the end of the file";
  }
  std::string literal = vocabulary.getLiteralName(type); // in single quotes
  return literal.size() > 2 && literal.front() == '\''
             ? inBackticks(std::string_view(literal).substr(1, literal.size() - 2))
             : "";
}

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    out += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    out += words[i];
  }
  return out;
}

/// What could have come, in the user's words.
std::string summarise(const antlr4::misc::IntervalSet& expected, bool inType,
                      const antlr4::dfa::Vocabulary& vocabulary) {
  std::vector<std::string> words;
  bool value = has(expected, DnnLexer::INT) && has(expected, DnnLexer::ID);
  bool name = has(expected, DnnLexer::ID) && !value;
  if (value) {
    words.push_back("a value");
  } else if (name) {
    words.push_back(inType ? "a type" : "a name");
  } else if (has(expected, DnnLexer::INT)) {
    words.push_back("a number");
  }
  if (!value && has(expected, DnnLexer::STRING)) {
    words.push_back("a string");
  }
  std::vector<std::string> continuations;
  for (size_t type : expected.toList()) {
    // An argument's `=` needs a name in front: not worth a mention between `,` and `)`.
    bool covered = (type == DnnLexer::ASSIGN && has(expected, DnnLexer::RPAREN)) || type == DnnLexer::INT ||
                   type == DnnLexer::FLOAT || type == DnnLexer::STRING || type == antlr4::Token::EPSILON ||
                   type > DnnLexer::UNKNOWN;
    bool partOfName = isName(type) && (value || name);
    // A value starts with these too; a type with a parenthesis.
    bool partOfValue =
        value && (continues(type) || (isKeyword(type) && type != DnnLexer::THEN && type != DnnLexer::ELSE));
    bool partOfType = inType && name && (type == DnnLexer::LPAREN || isKeyword(type));
    if (covered || partOfName || partOfValue || partOfType) {
      continue;
    }
    (continues(type) ? continuations : words).push_back(spelling(type, vocabulary));
  }
  if (words.empty()) {
    words = continuations;
  }
  if (words.size() > 4) {
    words.resize(4);
  }
  return words.empty() ? "something else" : join(words);
}

/// Is it between the brackets of an indexed let?
bool inIndices(antlr4::Parser* parser) {
  auto* context = dynamic_cast<antlr4::ParserRuleContext*>(parser->getContext());
  if (context != nullptr && context->getRuleIndex() == DnnParser::RuleName) {
    context = dynamic_cast<antlr4::ParserRuleContext*>(context->parent);
  }
  bool binder = context != nullptr && context->getRuleIndex() == DnnParser::RuleBinder;
  auto* let = binder ? dynamic_cast<antlr4::ParserRuleContext*>(context->parent) : context;
  return let != nullptr && let->getRuleIndex() == DnnParser::RuleLetStmt &&
         (binder || dynamic_cast<DnnParser::LetStmtContext*>(let)->ASSIGN() == nullptr) &&
         !dynamic_cast<DnnParser::LetStmtContext*>(let)->binder().empty();
}

} // namespace

std::string ErrorStrategy::describe(const antlr4::Token& token) const {
  size_t type = token.getType();
  if (type == antlr4::Token::EOF) {
    return "the end of the file";
  }
  if (type == DnnLexer::STRING) {
    return "a string";
  }
  std::string text = token.getText();
  return inBackticks(text.size() > 40 ? text.substr(0, 40).append("…") : text);
}

bool ErrorStrategy::isConsequence(const antlr4::Token& token) const {
  return tokens_.tainted[token.getTokenIndex()] || rangeOf(token).begin >= tokens_.firstBadBracket;
}

bool ErrorStrategy::startsLine(size_t index) const {
  return index == 0 || tokens_.list[index - 1]->getLine() != tokens_.list[index]->getLine() ||
         tokens_.list[index - 1]->getType() == DnnLexer::LBRACE ||
         tokens_.list[index - 1]->getType() == DnnLexer::RBRACE;
}

bool ErrorStrategy::startsStatement(size_t index) const {
  switch (tokens_.list[index]->getType()) {
  case DnnLexer::LET:
  case DnnLexer::CONST:
  case DnnLexer::PARAM:
  case DnnLexer::STATE:
  case DnnLexer::UPDATE:
  case DnnLexer::REQUIRE:
  case DnnLexer::WHEN:
  case DnnLexer::RETURN:
  case DnnLexer::NEXT:
  case DnnLexer::EMIT:
  case DnnLexer::FN: return true;
  // Names elsewhere: in text that does not parse, only the start of a line makes a statement of them.
  case DnnLexer::DATA:
  case DnnLexer::OPT:
  case DnnLexer::STEP:
  case DnnLexer::EVAL:
  case DnnLexer::WHOLE:
  case DnnLexer::PREDICT:
  case DnnLexer::PHASE:
  case DnnLexer::TRACK:
  case DnnLexer::UNTIL:
  case DnnLexer::INIT:
  case DnnLexer::SWEEP:
  case DnnLexer::MINIMIZE:
  case DnnLexer::LOG:
  case DnnLexer::RUN:
  case DnnLexer::CHECKPOINT: return startsLine(index);
  default: return false;
  }
}

namespace {

/// `net.blocks.0.w`, as paths are printed: the lexer makes `.0` a number. Says whether it gave a hint.
template <typename Report> bool hintAtPart(Report& report, const antlr4::Token& token) {
  std::string text = token.getText();
  bool isPart = token.getType() == DnnLexer::FLOAT && text[0] == '.' &&
                text.find_first_not_of("0123456789", 1) == std::string::npos;
  if (isPart) {
    report.hint("a part of a list has its number in brackets: `[" + text.substr(1) + "]`");
  }
  return isPart;
}

} // namespace

void ErrorStrategy::reportError(antlr4::Parser* parser, const antlr4::RecognitionException& e) {
  if (inErrorRecoveryMode(parser)) {
    return;
  }
  beginErrorCondition(parser);
  const antlr4::Token& token = *e.getOffendingToken();
  if (isConsequence(token)) {
    return;
  }
  antlr4::misc::IntervalSet expected = e.getExpectedTokens();
  if (seenAt_ == token.getTokenIndex()) {
    for (size_t state : seen_) {
      expected.addAll(parser->getATN().nextTokens(parser->getATN().states[state]));
    }
  }
  size_t type = token.getType();
  bool wantsName = has(expected, DnnLexer::ID) && !has(expected, DnnLexer::INT);
  bool inType = has(expected, DnnLexer::LPAREN) && wantsName &&
                (parser->getContext()->getRuleIndex() == DnnParser::RuleType ||
                 parser->getContext()->getRuleIndex() == DnnParser::RuleDeclItem);
  if (wantsName && !inType && isKeyword(type)) {
    diags_.report<DiagId::keyword_as_name>(rangeOf(token), token.getText());
    return;
  }
  auto report = diags_.report<DiagId::unexpected_token>(
      rangeOf(token), summarise(expected, inType, parser->getVocabulary()), describe(token));
  if (hintAtPart(report, token)) {
    return;
  }
  if (has(expected, DnnLexer::INT) && type == DnnLexer::IF) {
    report.hint("put the `if` into parentheses");
  } else if (has(expected, DnnLexer::INT) &&
             (type == DnnLexer::SCAN || type == DnnLexer::TABLE || type == DnnLexer::GENERATE)) {
    report.hint(inBackticks(token.getText()) + " stands alone behind `=`");
  } else if (has(expected, DnnLexer::THEN) && type == DnnLexer::LBRACE) {
    report.hint("a conditional value is `if c then a else b`; a conditional block is `when c { … }`");
  } else if (has(expected, DnnLexer::ASSIGN) && type == DnnLexer::EQ) {
    report.hint("one `=` defines, two compare");
  } else if (inIndices(parser)) {
    report.hint(
        "the indices of a `let` are new names, so that every element is defined; what differs from place to place "
        "is an `if` behind the `=`");
  }
}

void ErrorStrategy::reportNoStatement(antlr4::Parser* parser) {
  beginErrorCondition(parser);
  const antlr4::Token& token = *parser->getCurrentToken();
  if (isConsequence(token)) {
    return;
  }
  auto report = diags_.report<DiagId::expected_statement>(rangeOf(token), describe(token));
  if (hintAtPart(report, token)) {
    return;
  }
  size_t next = parser->getTokenStream()->LA(2);
  bool defines = next == DnnLexer::ASSIGN || next == DnnLexer::LBRACK;
  if (isName(token.getType()) && defines && startsLine(token.getTokenIndex())) {
    report.hint("a value gets its name with `let " + token.getText() + " = …`");
  } else if (token.getType() == DnnLexer::IF) {
    report.hint("a conditional block is `when c { … }`");
  } else if (token.getType() == DnnLexer::SEMI) {
    report.hint("statements need nothing between them");
  }
}

antlr4::Token* ErrorStrategy::recoverInline(antlr4::Parser* parser) { throw antlr4::InputMismatchException(parser); }

void ErrorStrategy::skip(antlr4::Parser* parser, uint32_t depth, bool toDefinition) {
  while (parser->getCurrentToken()->getType() != antlr4::Token::EOF) {
    size_t index = parser->getCurrentToken()->getTokenIndex();
    bool start = toDefinition ? startsDefinition(parser->getCurrentToken()->getType()) : startsStatement(index);
    if (tokens_.depth[index] < depth || (tokens_.depth[index] == depth && start)) {
      break;
    }
    parser->consume();
  }
  endErrorCondition(parser);
}

void ErrorStrategy::recover(antlr4::Parser* parser, std::exception_ptr e) {
  antlr4::ParserRuleContext& context = *parser->getContext();
  size_t rule = context.getRuleIndex();
  if (rule == DnnParser::RuleStmt || rule == DnnParser::RuleDecl) {
    size_t start = context.getStart()->getTokenIndex();
    if (parser->getCurrentToken()->getTokenIndex() == start &&
        parser->getCurrentToken()->getType() != antlr4::Token::EOF) {
      parser->consume(); // never stay at the same place
    }
    skip(parser, tokens_.depth[start], rule == DnnParser::RuleDecl);
  } else if (rule != DnnParser::RuleFile) {
    std::rethrow_exception(e); // up to the statement
  }
}

void ErrorStrategy::sync(antlr4::Parser* parser) {
  const antlr4::Token& token = *parser->getCurrentToken();
  if (token.getTokenIndex() != seenAt_) {
    seenAt_ = token.getTokenIndex();
    seen_.clear();
  }
  seen_.push_back(parser->getState());

  size_t type = token.getType();
  size_t rule = parser->getContext()->getRuleIndex();
  bool end = type == antlr4::Token::EOF;
  if (rule == DnnParser::RuleBlock && !end && type != DnnLexer::RBRACE) {
    // Here the keyword decides, wherever it stands on its line.
    bool word = isName(type) && parser->getATN().nextTokens(parser->getATN().states[parser->getState()]).contains(type);
    if (!startsStatement(token.getTokenIndex()) && !word) {
      reportNoStatement(parser);
      skip(parser, tokens_.depth[token.getTokenIndex()], false);
    }
  } else if (rule == DnnParser::RuleFile && !end && !startsDefinition(type)) {
    beginErrorCondition(parser);
    if (!isConsequence(token)) {
      diags_.report<DiagId::expected_declaration>(rangeOf(token), describe(token))
          .hint("a file holds const, fn, layer, optimizer, train and import");
    }
    parser->consume();
    skip(parser, 0, true);
  }
}

} // namespace dnn::frontend
