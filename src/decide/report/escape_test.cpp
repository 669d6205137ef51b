#include "decide/report/escape.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ascertain::report {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Escaped, TurnsMarkupIntoEntities) {
    EXPECT_EQ(escaped("<a href=\"x\" title='y'>&"),
              "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;");
}

TEST(Escaped, KeepsNewlinesTabsAndEveryScript) {
    EXPECT_EQ(escaped("a\n\tb µ 昇腾 🦊"), "a\n\tb µ 昇腾 🦊");
}

TEST(Escaped, ReplacesWhatNoReaderShouldMeet) {
    EXPECT_EQ(escaped(std::string_view("a\0b", 3)), "a\uFFFDb");
    EXPECT_EQ(escaped("\x1b[31mred"), "\uFFFD[31mred");
    // A right-to-left override makes "exe.txt" out of "txt.exe".
    EXPECT_EQ(escaped("\u202Etxt.exe"), "\uFFFDtxt.exe");
}

TEST(Escaped, ReplacesEachInvalidByte) {
    EXPECT_EQ(escaped("\xFF"), "\uFFFD");
    EXPECT_EQ(escaped("\xC0\xAF"), "\uFFFD\uFFFD");                      // overlong '/'
    EXPECT_EQ(escaped("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");            // a surrogate
    EXPECT_EQ(escaped("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond U+10FFFF
    EXPECT_EQ(escaped("\xE6\x98"), "\uFFFD\uFFFD");                      // cut short
}

TEST(Escaped, CutsLongTextsAndSaysSo) {
    const std::string cut = escaped(std::string(1 << 20, 'A'));
    EXPECT_LE(cut.size(), kTextBytesMax);
    EXPECT_TRUE(cut.ends_with("..."));
}

TEST(ScriptJson, CannotEndItsElement) {
    const Json document = {{"x", "</script><!--&"}, {"y", "\xFF"}, {"z", "昇"}};
    const std::string text = script_json(document);
    EXPECT_THAT(text, Not(HasSubstr("<")));
    EXPECT_THAT(text, Not(HasSubstr("&")));
    EXPECT_EQ(Json::parse(text)["x"], "</script><!--&");
    EXPECT_EQ(Json::parse(text)["z"], "昇");
}

TEST(ScriptSource, CannotEndItsElementOrAskForASourceMap) {
    const std::string source = "a='</SCRIPT>';b='<!--';\n//# sourceMappingURL=x.map\nc=1;";
    EXPECT_EQ(script_source(source), "a='<\\/SCRIPT>';b='<\\!--';\n\nc=1;");
}

TEST(Anchor, KeepsDifferentNamesDifferentAndPlain) {
    EXPECT_EQ(anchor("check-", "ops.numerics._softmax"), "check-ops.numerics._softmax");
    EXPECT_EQ(anchor("", "a b"), "a~20b");
    EXPECT_NE(anchor("", "a b"), anchor("", "a_b"));
    EXPECT_NE(anchor("", "a~20b"), anchor("", "a b"));
}

}  // namespace
}  // namespace ascertain::report
