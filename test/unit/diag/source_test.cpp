#include "compiler/diag/source.h"

#include <gtest/gtest.h>

namespace dnn::diag {
namespace {

TEST(Source, lineAndColumnCountCodePoints) {
  Sources sources;
  FileId file = sources.addVirtual("m.dnn", "ab\nä=x\n");
  EXPECT_EQ(sources.where({file, 0, 1}), "m.dnn:1:1");
  EXPECT_EQ(sources.where({file, 2, 3}), "m.dnn:1:3");
  EXPECT_EQ(sources.where({file, 3, 5}), "m.dnn:2:1");
  EXPECT_EQ(sources.where({file, 5, 6}), "m.dnn:2:2"); // behind the two bytes of ä
  EXPECT_EQ(sources.where({file, 8, 8}), "m.dnn:3:1"); // the end of the file
  EXPECT_EQ(sources.where({}), "");
}

TEST(Source, linesComeWithoutTheirBreaks) {
  Sources sources;
  FileId file = sources.addVirtual("m.dnn", "one\r\n\ntwo");
  EXPECT_EQ(sources.line(file, 1), "one");
  EXPECT_EQ(sources.line(file, 2), "");
  EXPECT_EQ(sources.line(file, 3), "two");
}

TEST(Source, textsStayWhereTheyAreWhenMoreAreAdded) {
  Sources sources;
  FileId first = sources.addVirtual("a", "x");
  const char* text = sources.text(first).data();
  for (int i = 0; i < 100; ++i) {
    sources.addVirtual("b", "y");
  }
  EXPECT_EQ(sources.text(first).data(), text);
}

TEST(Source, unreadableFilesSayWhy) {
  Sources sources;
  EXPECT_EQ(sources.addFile("no/such/file.dnn").error().message,
            "cannot read `no/such/file.dnn`: No such file or directory");
  EXPECT_EQ(sources.addFile("/").error().message, "cannot read `/`: it is a folder");
}

TEST(Source, utf8LengthRefusesMalformedSequences) {
  EXPECT_EQ(utf8Length("a"), 1U);
  EXPECT_EQ(utf8Length("ä"), 2U);
  EXPECT_EQ(utf8Length("…"), 3U);
  EXPECT_EQ(utf8Length("\xF0\x9F\x98\x80"), 4U);
  EXPECT_EQ(utf8Length("\xF4\x8F\xBF\xBF"), 4U); // U+10FFFF
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3", "\xE2\x80"}) {
    EXPECT_EQ(utf8Length(bad), 0U) << static_cast<int>(static_cast<unsigned char>(bad[0]));
  }
}

} // namespace
} // namespace dnn::diag
