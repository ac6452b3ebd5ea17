#include "compiler/frontend/layout.h"

#include <algorithm>
#include <climits>

namespace dnn::frontend {

namespace {

/// Columns that a text takes: code points.
size_t widthOf(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

struct Line {
  std::string text;     // with its indentation
  std::string trailing; // comment
  size_t alignAt = 0;   // columns before the `=` that is aligned; 0 = none
  std::string aligns;
};

class Layout {
public:
  Layout(const std::vector<LayoutToken>& tokens, const std::vector<Comment>& last) : tokens_(tokens), last_(last) {
    partners_.resize(tokens.size());
    std::vector<size_t> open;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i].opensBlock) {
        open.push_back(i);
      } else if (tokens[i].closesBlock) {
        partners_[open.back()] = i;
        open.pop_back();
      }
    }
  }

  std::string run() {
    statements(0, tokens_.size(), 0);
    comments(last_, 0, !lines_.empty());
    alignStatements();
    alignComments();
    std::string out;
    for (Line& line : lines_) {
      out += line.text + line.trailing + "\n";
    }
    return out;
  }

private:
  /// Lays out the statements in [begin, end).
  void statements(size_t begin, size_t end, size_t indent) {
    for (size_t at = begin; at < end;) {
      size_t next = at + 1;
      while (next < end && !tokens_[next].startsStatement) {
        next = tokens_[next].opensBlock ? partners_[next] + 1 : next + 1;
      }
      bool first = at == begin;
      comments(tokens_[at].comments, indent, !first || indent == 0);
      if (tokens_[at].blankLine && !(first && tokens_[at].comments.empty())) {
        blankLine();
      }
      statement(at, next, indent);
      at = next;
    }
  }

  void comments(const std::vector<Comment>& comments, size_t indent, bool mayBlank) {
    for (const Comment& comment : comments) {
      if (!comment.ownLine && !lines_.empty() && lines_.back().trailing.empty() && !lines_.back().text.empty()) {
        lines_.back().trailing = "  " + comment.text;
        continue;
      }
      if (comment.blankLine && mayBlank) {
        blankLine();
      }
      mayBlank = true;
      lines_.push_back({std::string(indent, ' ') + comment.text, "", 0, ""});
    }
  }

  void blankLine() {
    if (!lines_.empty() && !lines_.back().text.empty()) {
      lines_.push_back({});
    }
  }

  void statement(size_t begin, size_t end, size_t indent) {
    if (std::string all; oneLine(begin, end, all) && indent + widthOf(all) <= kLineWidth) {
      write(begin, end, indent);
      return;
    }
    size_t from = begin;
    for (size_t at = begin; at < end; ++at) {
      if (!tokens_[at].opensBlock) {
        continue;
      }
      size_t close = partners_[at];
      std::string block;
      // A block in one line stays so, if the line that it ends is not too long.
      if (oneLine(at, close + 1, block) && indent + lineWidth(from, close + 1) <= kLineWidth) {
        at = close;
        continue;
      }
      write(from, at + 1, indent);
      statements(at + 1, close, indent + 2);
      comments(tokens_[close].comments, indent + 2, close > at + 1);
      from = close;
      at = close;
    }
    if (from < end) {
      write(from, end, indent);
    }
  }

  /// The tokens as one line, if no comment stands between them and every block was one line.
  bool oneLine(size_t begin, size_t end, std::string& out) const {
    for (size_t i = begin; i < end; ++i) {
      const LayoutToken& token = tokens_[i];
      bool inside = i > begin;
      if (inside && !token.comments.empty()) {
        return false;
      }
      bool opened = inside && tokens_[i - 1].opensBlock;
      if (opened && token.newline && !token.closesBlock) {
        return false;
      }
      out += inside ? separator(i) + token.text : token.text;
    }
    return true;
  }

  size_t lineWidth(size_t begin, size_t end) const {
    std::string text;
    for (size_t i = begin; i < end; ++i) {
      text += (i > begin ? separator(i) : "") + tokens_[i].text;
    }
    return widthOf(text);
  }

  /// What stands between a token and the one before it on the same line.
  std::string separator(size_t i) const {
    const LayoutToken& token = tokens_[i];
    if (tokens_[i - 1].opensBlock && token.closesBlock) {
      return "";
    }
    if (token.startsStatement && !tokens_[i - 1].opensBlock && tokens_[i - 1].text != ",") {
      return "  ";
    }
    return token.glued ? "" : " ";
  }

  /// Writes tokens of one statement, in as many lines as they need.
  void write(size_t begin, size_t end, size_t indent) {
    size_t at = begin;
    size_t column = indent;
    while (at < end) {
      size_t stop = at + 1;
      // Up to a comment, which ends its line.
      while (stop < end && tokens_[stop].comments.empty()) {
        ++stop;
      }
      size_t fits = at + 1;
      size_t width = column + widthOf(tokens_[at].text);
      while (fits < stop && width + widthOf(separator(fits) + tokens_[fits].text) <= kLineWidth) {
        width += widthOf(separator(fits) + tokens_[fits].text);
        ++fits;
      }
      size_t cut = fits;
      if (fits < stop) {
        cut = bestBreak(at, fits, stop);
      }
      Line line{std::string(column, ' '), "", 0, ""};
      for (size_t i = at; i < cut; ++i) {
        if (!tokens_[i].aligns.empty() && at == begin) {
          line.alignAt = widthOf(line.text);
          line.aligns = tokens_[i].aligns;
        }
        line.text += (i > at ? separator(i) : "") + tokens_[i].text;
      }
      if (cut < end) {
        line.alignAt = 0;
      }
      lines_.push_back(std::move(line));
      if (cut < end) {
        comments(tokens_[cut].comments, indent + 4, false);
      }
      at = cut;
      column = indent + 4;
    }
  }

  /// Where to break so that a line from `at` ends at `fits` at the latest: where the fewest brackets are open, and
  /// there as late as possible. A token that does not fit at all stands alone.
  size_t bestBreak(size_t at, size_t fits, size_t stop) const {
    size_t best = 0;
    int bestRank = 0;
    for (size_t i = at + 1; i <= fits && i < stop; ++i) {
      if (tokens_[i].breakable == Break::Never) {
        continue;
      }
      Break kind = tokens_[i].breakable;
      int rank = kind == Break::Last ? INT_MAX : tokens_[i].depth * 8 + static_cast<int>(kind);
      if (best == 0 || rank <= bestRank) {
        best = i;
        bestRank = rank;
      }
    }
    for (size_t i = fits; best == 0 && i < stop; ++i) {
      best = tokens_[i].breakable == Break::Never ? 0 : i;
    }
    return best == 0 ? stop : best;
  }

  /// Neighbouring lines of one kind get their `=` into one column, as long as that moves none far.
  void alignStatements() {
    constexpr size_t kFarthest = 10;
    for (size_t begin = 0; begin < lines_.size();) {
      size_t end = begin;
      size_t least = SIZE_MAX;
      size_t most = 0;
      while (end < lines_.size() && lines_[end].alignAt > 0 && lines_[end].aligns == lines_[begin].aligns &&
             indentOf(lines_[end]) == indentOf(lines_[begin])) {
        size_t low = std::min(least, lines_[end].alignAt);
        size_t high = std::max(most, lines_[end].alignAt);
        if (high - low > kFarthest) {
          break;
        }
        least = low;
        most = high;
        ++end;
      }
      bool fits = true;
      for (size_t i = begin; i < end; ++i) {
        fits = fits && widthOf(lines_[i].text) + most - lines_[i].alignAt <= kLineWidth;
      }
      for (size_t i = begin; fits && i < end; ++i) {
        Line& line = lines_[i];
        size_t byte = 0;
        for (size_t column = 0; column < line.alignAt; ++byte) {
          column += (static_cast<unsigned char>(line.text[byte + 1]) & 0xC0) != 0x80;
        }
        line.text.insert(byte, most - line.alignAt, ' ');
      }
      begin = std::max(end, begin + 1);
    }
  }

  static size_t indentOf(const Line& line) { return line.text.find_first_not_of(' '); }

  void alignComments() {
    for (size_t begin = 0; begin < lines_.size();) {
      size_t end = begin;
      size_t most = 0;
      while (end < lines_.size() && !lines_[end].trailing.empty()) {
        most = std::max(most, widthOf(lines_[end].text));
        ++end;
      }
      bool fits = true;
      for (size_t i = begin; i < end; ++i) {
        fits = fits && most + widthOf(lines_[i].trailing) <= kLineWidth;
      }
      for (size_t i = begin; fits && i < end; ++i) {
        lines_[i].text.append(most - widthOf(lines_[i].text), ' ');
      }
      begin = std::max(end, begin + 1);
    }
  }

  const std::vector<LayoutToken>& tokens_;
  const std::vector<Comment>& last_;
  std::vector<size_t> partners_; // of each opening brace its closing one
  std::vector<Line> lines_;
};

} // namespace

std::string layOut(const std::vector<LayoutToken>& tokens, const std::vector<Comment>& last) {
  return Layout(tokens, last).run();
}

} // namespace dnn::frontend
