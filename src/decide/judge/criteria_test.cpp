#include "decide/judge/criteria.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include "decide/judge/opinion.hpp"

namespace ascertain::judge {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::string_view kGood = R"([[criterion]]
id = "a"
check = "ops.numerics.*"
rule = "error"
bounds = [{ metric = "error_ratio", at_most = 64 }]
source = "s"
derivation = "d"
)";

Result<CriteriaSet> parse(std::string_view text) {
    const std::vector<CriteriaText> files{{"x.toml", std::string(text)}};
    return CriteriaSet::parse(files);
}

Observation one(std::string_view metric, std::optional<double> value) {
    return {{std::string(metric), value, "ratio", 1, {}, {}, value ? "" : "no floating outputs"}};
}

CriteriaSet shipped() {
    std::set<fs::path> paths;
    for (const auto& entry :
         fs::directory_iterator(fs::path(ASCERTAIN_SOURCE_DIR) / "data/criteria")) {
        if (entry.path().extension() == ".toml") paths.insert(entry.path());
    }
    std::vector<CriteriaText> files;
    for (const auto& path : paths) {
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        files.push_back({path.filename().string(), text.str()});
    }
    auto set = CriteriaSet::parse(files);
    EXPECT_TRUE(set.ok()) << set.error().text();
    return std::move(*set);
}

TEST(Criteria, AreReadWithTheirPlace) {
    const auto set = parse(kGood);
    ASSERT_TRUE(set.ok()) << set.error().text();
    ASSERT_EQ(set->rules().size(), 1u);
    EXPECT_EQ(set->rules()[0].where, "x.toml:1:1");
    EXPECT_DOUBLE_EQ(*set->rules()[0].bounds[0].at_most, 64.0);
}

struct Fault {
    std::string_view replace, by, message, where;
};

TEST(Criteria, EveryFaultIsNamedWithItsPlace) {
    const std::vector<Fault> faults{
        {"rule =", "rulle =", "unknown key \"rulle\"; did you mean \"rule\"?", "x.toml:4:"},
        {"at_most = 64", "at_mosst = 64", "did you mean \"at_most\"", "x.toml:5:"},
        {"at_most = 64", "at_most = \"64\"", "\"at_most\" must be a number", "x.toml:5:"},
        {"at_most = 64", "at_most = nan", "\"at_most\" is not finite", "x.toml:5:"},
        {"at_most = 64", "between = [2, 1]", "the lower one first", "x.toml:5:"},
        {"at_most = 64", "at_most = 1, at_least = 2", "no number is both", "x.toml:5:"},
        {"at_most = 64", "factor = 2", "nothing bounds", "x.toml:5:"},
        {"at_most = 64", "magnitude_at_most = -1", "below zero", "x.toml:5:"},
        {"bounds = [{", "bounds = [] #", "\"a\" has no bounds", "x.toml:1:1"},
        {"bounds = [{", "bounds = 3 #", "must be a list of tables", "x.toml:5:"},
        {"source = \"s\"", "", "\"source\" is missing", "x.toml:1:1"},
        {"derivation = \"d\"", "derivation = \"\"", "\"derivation\" is missing", "x.toml:1:1"},
        {"ops.numerics.*", "ops numerics", "no pattern", "x.toml:1:1"},
        {"rule = \"error\"", "rule = \"error\"\nmissing = \"mistrust\"",
         "did you mean \"mistrusted\"", "x.toml:1:1"},
        {"[[criterion]]", "[[criterium]]", "did you mean \"criterion\"", "x.toml:1:1"},
        {"id = \"a\"", "id = ", "", "x.toml:2:"},
    };
    for (const auto& fault : faults) {
        std::string text(kGood);
        const auto at = text.find(fault.replace);
        ASSERT_NE(at, std::string::npos) << fault.replace;
        text.replace(at, fault.replace.size(), fault.by);
        const auto set = parse(text);
        ASSERT_FALSE(set.ok()) << fault.by;
        EXPECT_EQ(set.error().code, ErrorCode::kBadInput);
        EXPECT_THAT(set.error().message, HasSubstr(std::string(fault.message)));
        EXPECT_THAT(set.error().where, HasSubstr(std::string(fault.where)));
    }
    EXPECT_THAT(parse(std::string(kGood) + std::string(kGood)).error().message,
                HasSubstr("\"a\" stands at x.toml:1:1 already"));
    EXPECT_THAT(parse("a = " + std::string(100'000, '[')).error().message, HasSubstr("deeper"));
}

TEST(Criteria, AnUncoveredOrTwiceDecidedCheckIsAnError) {
    std::string twice(kGood);
    std::string other(kGood);
    other.replace(other.find("\"a\""), 3, "\"b\"");
    const std::vector<std::string> checks{"ops.numerics.mm"};
    const std::vector<std::string> unknown{"ops.numeric.mm"};
    EXPECT_TRUE(parse(kGood)->covers(checks).ok());
    EXPECT_THAT(parse(kGood)->covers(unknown).error().message, HasSubstr("no criterion names"));
    EXPECT_THAT(parse(twice + other)->covers(checks).error().message,
                HasSubstr("\"a\" and \"b\" both decide the rule \"error\""));
}

TEST(Criteria, TheHashFollowsTheBoundsAndNotTheWording) {
    std::string looser(kGood);
    looser.replace(looser.find("64"), 2, "65");
    std::string reworded(kGood);
    reworded.replace(reworded.find("\"d\""), 3, "\"because\"");
    EXPECT_NE(parse(kGood)->hash(), parse(looser)->hash());
    EXPECT_EQ(parse(kGood)->hash(), parse(reworded)->hash());
}

TEST(Opinion, MetNotMetAndWeak) {
    const auto set = parse(kGood);
    EXPECT_EQ(opinion(*set, "ops.numerics.mm", one("error_ratio", 64.0)).holds, Holds::kMet);
    const auto high = opinion(*set, "ops.numerics.mm", one("error_ratio", 65.0));
    EXPECT_EQ(high.holds, Holds::kNotMet);
    EXPECT_EQ(high.reason, "error_ratio is 65, above 64");
    EXPECT_EQ(high.criterion.id, "a");
    EXPECT_EQ(opinion(*set, "ops.numerics.mm", one("error_ratio", {})).holds, Holds::kWeak);
    EXPECT_EQ(opinion(*set, "ops.numerics.mm", {}).holds, Holds::kWeak);
    EXPECT_EQ(opinion(*set, "other", one("error_ratio", 1.0)).holds, Holds::kWeak);
}

TEST(Opinion, ANumberThatIsNotFiniteFailsItsBoundBeforeAndAfterTheRecord) {
    const auto set = parse(kGood);
    for (const double value :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
          -std::numeric_limits<double>::infinity()}) {
        const auto seen = one("error_ratio", value);
        EXPECT_EQ(opinion(*set, "ops.numerics.mm", seen).holds, Holds::kNotMet);
        const auto recorded = observation_from_json(to_json(seen), "r");
        EXPECT_EQ(opinion(*set, "ops.numerics.mm", *recorded).holds, Holds::kNotMet);
    }
}

TEST(Opinion, ANumberFromNoSampleIsWeak) {
    auto seen = one("error_ratio", 1.0);
    seen[0].n = 0;
    EXPECT_EQ(opinion(*parse(kGood), "ops.numerics.mm", seen).holds, Holds::kWeak);
}

TEST(Opinion, MissingMayBeDeclaredAFailure) {
    const auto set = parse(std::string(kGood) + "missing = \"fail\"\n");
    EXPECT_EQ(opinion(*set, "ops.numerics.mm", one("error_ratio", {})).holds, Holds::kNotMet);
}

// Metrics of one replay of a bf16 operator.
Observation replay(double share, double ratio, std::optional<double> length,
                   std::optional<double> emulated) {
    Observation seen{{"share_not_correctly_rounded", share, "ratio", 9216, {}, {}, ""},
                     {"error_ratio", ratio, "ratio", 1, {}, {}, ""},
                     {"relative_error", 0.004, "ratio", 1, {}, {}, ""},
                     {"nonfinite_mismatches", 0.0, "count", 1, {}, {}, ""},
                     {"exact_mismatches", {}, "count", 1, {}, {}, "no integer outputs"}};
    if (length) seen.push_back({"reduction_length", length, "count", 1, {}, {}, ""});
    if (emulated) {
        seen.push_back({"share_not_correctly_rounded_emulated", emulated, "ratio", 1, {}, {}, ""});
    }
    return seen;
}

TEST(ShippedCriteria, SeparateLegalFromWrongArithmeticAsTheirTablesSay) {
    const CriteriaSet set = shipped();
    const auto holds = [&](const Observation& seen) {
        return opinion(set, "ops.numerics.mm", seen).holds;
    };
    // Truncating fp32 blocks at K = 4096: 0.22 %; a 14-bit accumulator promoted every 128: 1.9 %.
    EXPECT_EQ(holds(replay(0.0022, 24, 4096, {})), Holds::kMet);
    EXPECT_EQ(holds(replay(0.019, 24, 4096, {})), Holds::kNotMet);
    // Truncating at K = 16384 leaves 1.02 %, which the emulator shows too.
    EXPECT_EQ(holds(replay(0.0102, 48, 16384, 0.0102)), Holds::kMet);
    EXPECT_EQ(holds(replay(0.0102, 48, 16384, 0.001)), Holds::kNotMet);
    EXPECT_EQ(holds(replay(0.0102, 48, 16384, {})), Holds::kWeak);
    // One element off by 2 % at K = 4096: ratio 360.
    EXPECT_EQ(holds(replay(0.0001, 360, 4096, {})), Holds::kNotMet);
}

TEST(ShippedCriteria, WhatWasNotComparedIsNeverMet) {
    const CriteriaSet set = shipped();
    const Observation seen{{"share_not_correctly_rounded", {}, "ratio", 1, {}, {}, "none"},
                           {"error_ratio", {}, "ratio", 1, {}, {}, "none"},
                           {"exact_mismatches", {}, "count", 1, {}, {}, "none"},
                           {"nonfinite_mismatches", 0.0, "count", 1, {}, {}, ""}};
    EXPECT_EQ(opinion(set, "ops.numerics.topk", seen).holds, Holds::kWeak);
}

TEST(ShippedCriteria, CoverEveryCheckOnce) {
    const std::vector<std::string> checks{
        "device.identity",
        "ops.coverage",
        "ops.numerics.mm",
        "ops.numerics._scaled_dot_product_flash_attention_for_cpu",
        "ops.numerics.embedding_dense_backward",
        "ops.repeat.mm",
        "trial.forced_fp32",
        "trial.forced",
        "trial.free_run",
        "speed.mm"};
    const CriteriaSet set = shipped();
    const auto covered = set.covers(checks);
    EXPECT_TRUE(covered.ok()) << covered.error().text();
}

TEST(Waivers, AreReadAndDated) {
    const auto good = parse_waivers(R"([[waiver]]
check = "ops.repeat.*"
by = "A. Person"
until = "2027-01-31"
why = "atomics, declared"
)",
                                    "w.toml");
    ASSERT_TRUE(good.ok()) << good.error().text();
    EXPECT_EQ((*good)[0].by, "A. Person");
    const auto bad = parse_waivers(
        "[[waiver]]\ncheck = \"a\"\nby = \"b\"\nuntil = \"2027-02-30\"\nwhy = \"c\"\n", "w.toml");
    EXPECT_THAT(bad.error().text(), HasSubstr("w.toml:1:1: \"until\" must be a date"));
    EXPECT_THAT(parse_waivers("[[waiver]]\ncheck = \"a\"\n", "w").error().message,
                HasSubstr("\"by\" is missing"));
}

}  // namespace
}  // namespace ascertain::judge
