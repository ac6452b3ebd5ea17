#include "runtime/data/csv.h"
#include "runtime/data/row_index.h"
#include "runtime/data/text_pieces.h"

#include "test/unit/runtime/fake_program.h"

#include <gtest/gtest.h>

namespace dnn::runtime {
namespace {

class SmallWindows : public testing::Test {
protected:
  TextWindow window(const std::string& text, size_t chunk) {
    test::writeText(folder_.path("text"), text);
    std::shared_ptr<InputFile> file;
    EXPECT_TRUE(InputFile::open(folder_.path("text"), file).ok());
    return TextWindow(file, chunk);
  }
  test::TemporaryFolder folder_;
};

/// Cells, lines and offsets of all records, then the error.
std::string recordsOf(CsvReader reader) {
  std::string all;
  std::vector<std::string_view> cells;
  Status status;
  while (reader.next(cells, status)) {
    all += std::to_string(reader.line()) + "@" + std::to_string(reader.offset());
    for (std::string_view cell : cells) {
      all += "|" + std::string(cell);
    }
    all += ";";
  }
  return all + status.message;
}

TEST_F(SmallWindows, TheSameRecordsForEveryWindow) {
  for (const std::string& text : std::vector<std::string>{
           "\xEF\xBB\xBF\"a\",b\r\n1,\"x\"\"y\n,z\"\r\n\r\n3,\"\"\n\n\n", "a\n\n\"\"\n\r\nb", "", "\n", "\xEF\xBB",
           "\xEF\xBB\xBF", "a,\"b\"\n1,\"2\"x\n", "a\n1,\"2\n3\n", "a,b\r\n1,2", "\"a\"\"\"", "a\r"}) {
    std::string whole = recordsOf(CsvReader(text, "f"));
    for (size_t chunk = 1; chunk < 9; ++chunk) {
      EXPECT_EQ(recordsOf(CsvReader(window(text, chunk), "f")), whole) << text << " by " << chunk;
    }
  }
}

TEST_F(SmallWindows, TheSameTokensForEveryWindow) {
  using Unit = TextRule::Unit;
  std::string text = "\xEF\xBB\xBFone \xC3\xA4\xE8\xAA\x9E two\r\nthree\r\n\xF0\x9F\x98\x80 x\n\nlonger words here";
  for (Unit unit : {Unit::Byte, Unit::Char, Unit::Word}) {
    for (bool lines : {false, true}) {
      TextRule rule{.unit = unit, .lines = lines};
      std::vector<std::string> words;
      VocabularyFinder finder(rule);
      std::string all(withoutMark(text, unit));
      ASSERT_TRUE(finder.add(all, "f").ok());
      ASSERT_TRUE(finder.finish(0, "f", words).ok());
      for (size_t chunk = 1; chunk < 12; ++chunk) {
        TextPieces pieces(window(text, chunk), rule);
        VocabularyFinder again(rule);
        std::vector<std::string> found;
        std::string joined;
        std::string_view piece;
        Status status;
        while (pieces.next(piece, status)) {
          EXPECT_EQ(pieces.offset(), joined.size() + text.size() - all.size());
          TextPlace place = TextPlace{}.behind(joined);
          EXPECT_EQ(pieces.place().line, place.line);
          EXPECT_EQ(pieces.place().column, place.column);
          EXPECT_TRUE(!lines || piece.ends_with('\n') || joined.size() + piece.size() == all.size());
          ASSERT_TRUE(again.add(piece, "f").ok());
          joined += piece;
        }
        EXPECT_EQ(joined, all);
        ASSERT_TRUE(again.finish(0, "f", found).ok());
        EXPECT_EQ(found, words) << chunk;
      }
    }
  }
}

TEST_F(SmallWindows, WhatIsNoTextIsNamedByItsPlace) {
  TextPieces pieces(window("ab\ncd\xFF\xFF\xFF\xFF\xFF\xFF", 4), {});
  VocabularyFinder finder({});
  std::string_view piece;
  Status status;
  Status bad;
  while (bad.ok() && pieces.next(piece, status)) {
    bad = finder.add(piece, "f", pieces.place());
  }
  EXPECT_EQ(bad.message.find("f:2:3: the byte 0xff is not UTF-8 here"), 0u) << bad.message;
}

TEST(RowIndex, OffsetsBeyondFourGigabytes) {
  RowIndex index;
  std::vector<uint64_t> offsets = {0, 7, 0xFFFFFFFF, 0x100000000, 0x100000000, 0x5FFFFFFFF, 0x600000001};
  for (uint64_t offset : offsets) {
    index.add(offset);
  }
  for (size_t i = 0; i < offsets.size(); ++i) {
    EXPECT_EQ(index.at(i), offsets[i]) << i;
  }
}

} // namespace
} // namespace dnn::runtime
