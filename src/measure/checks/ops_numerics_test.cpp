#include <gmock/gmock.h>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::error;
using testing::gave_up;
using ::testing::HasSubstr;
using testing::metric;
using testing::mm_case;
using testing::result;
using testing::value_of;

Json replayed(double share, double ratio, double nonfinite = 0.0) {
    return {{"observation",
             {metric("share_not_correctly_rounded", share), metric("error_ratio", ratio),
              metric("nonfinite_mismatches", nonfinite), metric("elements", 100)}},
            {"reference", "fp64"}};
}
Json without_reference() {
    return {{"observation", Json::array()}, {"reference", "none"}, {"reason", "random by design"}};
}
Json three_cases() {
    return {{"cases", {mm_case("a", 2, 3, 4), mm_case("b", 5, 6, 7), mm_case("c", 8, 9, 10)}}};
}
std::string id_of(const Request& request) {
    return request.params["case"]["id"];
}

TEST(OpsNumerics, TakesTheWorstOfAllCases) {
    Driver driver("ops.numerics", three_cases());
    const Step step = driver.run([](const Request& request) {
        return result(id_of(request) == "b" ? replayed(0.5, 1.0, 2.0) : replayed(0.25, 1.5, 1.0));
    });
    EXPECT_EQ(value_of(step, "share_not_correctly_rounded"), 0.5);
    EXPECT_EQ(value_of(step, "error_ratio"), 1.5);
    EXPECT_EQ(value_of(step, "nonfinite_mismatches"), 4.0);
    EXPECT_EQ(value_of(step, "elements"), 300.0);
    EXPECT_EQ(value_of(step, "cases_tested"), 3.0);
    EXPECT_EQ(value_of(step, "cases_total"), 3.0);
    EXPECT_EQ(std::get<Done>(step).detail["rows"][1]["label"], "mm bf16 [5, 6] [6, 7]");
    EXPECT_EQ(driver.asked.at(0).params["seed"], 7);
}

TEST(OpsNumerics, RoundingComesFromTheCaseThatExceedsItsOwnAllowanceMost) {
    // A long reduction may leave 1 %, and does; a short one leaves 0.8 % and may not.
    const Step step = Driver("ops.numerics", three_cases()).run([](const Request& request) {
        Json answer = replayed(id_of(request) == "a" ? 0.010 : 0.0, 1.0);
        if (id_of(request) == "b") answer = replayed(0.008, 1.0);
        answer["observation"].push_back(
            metric("share_not_correctly_rounded_emulated", id_of(request) == "a" ? 0.010 : 0.002));
        answer["observation"].push_back(
            metric("reduction_length", id_of(request) == "a" ? 16384 : 1024));
        return result(answer);
    });
    EXPECT_EQ(value_of(step, "share_not_correctly_rounded"), 0.008);
    EXPECT_EQ(value_of(step, "reduction_length"), 1024.0);
}

TEST(OpsNumerics, StopsWhenTheBudgetIsSpentButNeverBeforeTheFirstCase) {
    Driver driver("ops.numerics", three_cases(), 10.0);
    // Each case takes 6 s: after the first, another one would not fit into 10 s.
    const Step step = driver.run([](const Request&) { return result(replayed(0.0, 1.0), 6.0); });
    EXPECT_EQ(value_of(step, "cases_tested"), 1.0);
    EXPECT_EQ(value_of(step, "cases_total"), 3.0);
    EXPECT_EQ(driver.asked.size(), 1u);
}

TEST(OpsNumerics, CountsCasesWithoutAReferenceApart) {
    Driver driver("ops.numerics", three_cases());
    const Step step = driver.run([](const Request& request) {
        return id_of(request) == "a" ? result(without_reference()) : result(replayed(0.1, 1.0));
    });
    EXPECT_EQ(value_of(step, "cases_tested"), 2.0);
    EXPECT_EQ(value_of(step, "cases_without_reference"), 1.0);
}

TEST(OpsNumerics, NoReferenceAtAllIsNoPass) {
    Driver driver("ops.numerics", three_cases());
    const Step step = driver.run([](const Request&) { return result(without_reference()); });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kNoReference));
    EXPECT_THAT(std::get<GiveUp>(step).message, HasSubstr("random by design"));
    const Step refused = Driver("ops.numerics", three_cases()).run([](const Request&) {
        return error("no_reference", "needs a generator");
    });
    EXPECT_TRUE(gave_up(refused, GiveUp::Reason::kNoReference));
}

TEST(OpsNumerics, AnErrorNamesItsCase) {
    Driver driver("ops.numerics", three_cases());
    const Step step = driver.run([](const Request& request) {
        return id_of(request) == "b" ? error("device_error", "illegal address")
                                     : result(replayed(0.1, 1.0));
    });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kDeviceError));
    EXPECT_THAT(std::get<GiveUp>(step).message, HasSubstr("case b (mm bf16 [5, 6] [6, 7])"));
}

TEST(OpsNumerics, AValueThatIsNotFiniteIsNotHiddenByTheOthers) {
    Driver driver("ops.numerics", three_cases());
    const Step step = driver.run([](const Request& request) {
        Json answer = replayed(0.1, 1.0);
        if (id_of(request) == "b") answer["observation"][1] = metric("error_ratio", nullptr);
        return result(answer);
    });
    const Metric* ratio = find_metric(std::get<Done>(step).observation, "error_ratio");
    EXPECT_FALSE(ratio->value.has_value());
    EXPECT_EQ(ratio->reason, "not finite");
}

TEST(OpsNumerics, EmptyAndMalformedAnswersAreHarnessErrors) {
    for (const Json& body :
         {Json::object(), Json{{"observation", "fine"}}, Json{{"observation", {{{"value", 1}}}}},
          Json{{"observation", Json::array()}, {"reference", "fp64"}}}) {
        const Step step =
            Driver("ops.numerics", three_cases()).run([&](const Request&) { return result(body); });
        EXPECT_TRUE(gave_up(step, GiveUp::Reason::kHarnessError)) << body;
    }
    EXPECT_TRUE(gave_up(Driver("ops.numerics", {{"cases", Json::array()}}).run([](const Request&) {
        return result(replayed(0.0, 1.0));
    }),
                        GiveUp::Reason::kHarnessError));
}

}  // namespace
}  // namespace ascertain::checks
