#include "measure/device/name.hpp"

#include <gmock/gmock.h>

namespace ascertain::device {
namespace {

using testing::HasSubstr;

TEST(Name, ReadsTypeAndNumber) {
    EXPECT_EQ(*parse_name("npu:3"), (Name{"npu", 3}));
    EXPECT_EQ(*parse_name("simulated:0"), (Name{"simulated", 0}));
    EXPECT_EQ(to_text({"npu", 3}), "npu:3");
}

TEST(Name, ATypeAloneIsItsFirstDevice) {
    EXPECT_EQ(*parse_name("cuda"), (Name{"cuda", 0}));
    EXPECT_EQ(to_text(*parse_name("cuda")), "cuda:0");
}

TEST(Name, ThereIsOneCpu) {
    EXPECT_EQ(to_text(*parse_name("cpu")), "cpu");
    EXPECT_EQ(to_text(*parse_name("cpu:0")), "cpu");
    EXPECT_THAT(parse_name("cpu:1").error().message, HasSubstr("there is one cpu"));
}

TEST(Name, SuggestsTheNearestType) {
    const auto name = parse_name("cdua:0");
    ASSERT_FALSE(name.ok());
    EXPECT_EQ(name.error().code, ErrorCode::kUsage);
    EXPECT_THAT(name.error().message, HasSubstr("did you mean \"cuda\""));
}

TEST(Name, RefusesWhatIsNoNumber) {
    for (const char* text :
         {"cuda:", "cuda:-1", "cuda:x", "cuda:1x", "cuda:99999", "cuda:0:1", ""}) {
        const auto name = parse_name(text);
        ASSERT_FALSE(name.ok()) << text;
        EXPECT_EQ(name.error().code, ErrorCode::kUsage) << text;
    }
}

TEST(Name, CpuAndSimulatedChipsShareTheHost) {
    EXPECT_TRUE(shares_host({"cpu", 0}));
    EXPECT_TRUE(shares_host({"simulated", 1}));
    EXPECT_FALSE(shares_host({"cuda", 0}));
}

}  // namespace
}  // namespace ascertain::device
