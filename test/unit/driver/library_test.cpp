#include "compiler/driver/library.h"

#include <gtest/gtest.h>

#include <string>

namespace dnn::driver {
namespace {

const std::vector<EmbeddedFile> library = {
    {"a.dnn", "# Uses nothing.\nfn one(x: f32) -> f32 {\n  return x\n}\nconst Two = 2\n"},
    {"b.dnn", "layer Three()(x: f32[N]) -> f32[N] {\n  return one(x)\n}\n"},
    {"c.dnn",
     "# Three is not used here.\nfn four(x: f32) -> f32 { return x }\nfn five(x: f32) -> f32 { return four(x) }"},
};

std::string chosen(std::string_view text) {
  std::string names;
  for (const EmbeddedFile& file : chooseLibrary(library, std::span(&text, 1)).files) {
    names += file.name;
  }
  return names;
}

TEST(Library, FilesThatDefineAWord) {
  EXPECT_EQ(chosen("let y = four(x)"), "c.dnn");
  EXPECT_EQ(chosen("let y = x + Two"), "a.dnn");
  EXPECT_EQ(chosen("let y = fourth(x) + x4(one1)"), "");
  EXPECT_EQ(chosen(""), "");
}

TEST(Library, FilesThatChosenOnesNeed) { EXPECT_EQ(chosen("let y = Three()"), "a.dnnb.dnn"); }

TEST(Library, CommentsDoNotCount) { EXPECT_EQ(chosen("# four\nlet y = five(x) # one"), "c.dnn"); }

TEST(Library, NamesLeftOut) {
  std::string_view text = "one";
  EXPECT_EQ(chooseLibrary(library, std::span(&text, 1)).leftOut,
            (std::vector<std::string_view>{"Three", "four", "five"}));
}

} // namespace
} // namespace dnn::driver
