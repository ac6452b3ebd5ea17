#include "compiler/diag/diagnostics.h"

#include <gtest/gtest.h>

namespace dnn::diag {
namespace {

class DiagnosticsTest : public testing::Test {
protected:
  Sources sources;
  FileId file = sources.addVirtual("m.dnn", "let x = 3\n\tlet y = x + 2\n");
  Diagnostics diags{sources};
};

TEST_F(DiagnosticsTest, rendersPlaceLineCaretHintAndName) {
  diags.report<DiagId::unexpected_token>({file, 19, 20}, "a name", "`x`").hint("write one");
  EXPECT_EQ(diags.render(), "m.dnn:2:10: error: expected a name, found `x`; write one [unexpected_token]\n"
                            "  2 | \tlet y = x + 2\n"
                            "    | \t        ^\n");
}

TEST_F(DiagnosticsTest, notesFollowThenTheTraceFromTheInside) {
  {
    Diagnostics::TraceScope outer(diags, {file, 0, 3}, "in the call of `Net(4)`");
    Diagnostics::TraceScope inner(diags, {file, 11, 14}, "in the call of `Dense(4)`");
    diags.report<DiagId::bad_number>({file, 8, 9}, "3").note({file, 4, 5}, "seen here").note({}, "by the way");
  }
  diags.report<DiagId::chained_comparison>({file, 15, 16});
  EXPECT_EQ(diags.render(), "m.dnn:1:9: error: `3` is not a number [bad_number]\n"
                            "  1 | let x = 3\n"
                            "    |         ^\n"
                            "m.dnn:1:5: note: seen here\n"
                            "  1 | let x = 3\n"
                            "    |     ^\n"
                            "note: by the way\n"
                            "m.dnn:2:2: note: in the call of `Dense(4)`\n"
                            "  2 | \tlet y = x + 2\n"
                            "    | \t^^^\n"
                            "m.dnn:1:1: note: in the call of `Net(4)`\n"
                            "  1 | let x = 3\n"
                            "    | ^^^\n"
                            "m.dnn:2:6: error: comparisons do not chain [chained_comparison]\n"
                            "  2 | \tlet y = x + 2\n"
                            "    | \t    ^\n");
}

TEST_F(DiagnosticsTest, sortsByTheUsersOutermostPlaceAndDropsRepetitions) {
  FileId library = sources.addVirtual("lib.dnn", "fn f");
  diags.report<DiagId::bad_number>({file, 20, 21}, "late");
  for (int i = 0; i < 2; ++i) {
    Diagnostics::TraceScope call(diags, {file, 4, 5}, "in a call");
    diags.report<DiagId::bad_number>({library, 0, 2}, "early");
  }
  auto sorted = diags.sorted();
  ASSERT_EQ(sorted.size(), 2U);
  EXPECT_EQ(sorted[0]->range.file, library);
  EXPECT_EQ(sorted[1]->range.file, file);
  EXPECT_EQ(diags.errorCount(), 3U);
}

TEST_F(DiagnosticsTest, countsWhatItDoesNotShow) {
  for (int i = 0; i < 3000; ++i) {
    diags.report<DiagId::bad_number>({file, 0, 1}, std::to_string(i));
  }
  std::string text = diags.render();
  EXPECT_NE(text.find("`19` is not"), std::string::npos);
  EXPECT_EQ(text.find("`20` is not"), std::string::npos);
  EXPECT_TRUE(text.ends_with("… and 2980 more\n")) << text.substr(text.size() - 40);
}

TEST_F(DiagnosticsTest, cutsLongLinesToAWindowAndKeepsOtherCharactersWhole) {
  std::string text(1000, 'a');
  text += "öö!" + std::string(2000, 'b');
  FileId wide = sources.addVirtual("wide.dnn", text);
  diags.report<DiagId::bad_number>({wide, 1004, 1005}, "!");
  std::string out = diags.render();
  EXPECT_LT(out.size(), 700U);
  size_t line = out.find("…");
  size_t marks = out.rfind("| ");
  ASSERT_NE(line, std::string::npos);
  // The caret stands under the `!`: as many columns from the margin, two of them umlauts of two bytes.
  size_t start = out.find("| ") + 2;
  size_t bang = out.find('!', start) - start - 2 /* … has 3 bytes */ - 2 /* umlauts */;
  EXPECT_EQ(out.find('^', marks) - marks - 2, bang);
}

TEST_F(DiagnosticsTest, anEmptyRangeAtTheEndOfALineHasItsCaretThere) {
  diags.report<DiagId::chained_comparison>({file, 9, 9});
  EXPECT_EQ(diags.render(), "m.dnn:1:10: error: comparisons do not chain [chained_comparison]\n"
                            "  1 | let x = 3\n"
                            "    |          ^\n");
}

TEST_F(DiagnosticsTest, aDiagnosticWithoutAPlaceHasNoExcerpt) {
  diags.report<DiagId::chained_comparison>({});
  EXPECT_EQ(diags.render(), "error: comparisons do not chain [chained_comparison]\n");
}

} // namespace
} // namespace dnn::diag
