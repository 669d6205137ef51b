#include "decide/report/junit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "decide/report/testing/sample.hpp"

namespace ascertain::report {
namespace {

using judge::Status;
using judge::Weight;
using report::testing::simple_check;
using ::testing::HasSubstr;
using ::testing::Not;

std::string junit_of(const judge::CheckVerdict& check) {
    judge::Verdict verdict;
    verdict.checks = {check};
    return junit(verdict);
}

TEST(Junit, FailsWhatFailed) {
    auto check = simple_check("ops.numerics.mm", Status::kFailed, Weight::kFail);
    check.reason = "error <3> & more";
    const std::string xml = junit_of(check);
    EXPECT_THAT(xml,
                HasSubstr("<testsuite name=\"compute\" tests=\"1\" failures=\"1\" errors=\"0\""));
    EXPECT_THAT(
        xml,
        HasSubstr("<failure type=\"FAILED\" message=\"FAILED: error &lt;3&gt; &amp; more\"/>"));
}

TEST(Junit, MakesAnErrorOfWhateverIsRequiredAndOpen) {
    for (const Status status :
         {Status::kUntested, Status::kMistrusted, Status::kSkipped, Status::kTimedOut,
          Status::kCrashed, Status::kHarnessError, Status::kUnsupported}) {
        const std::string xml = junit_of(simple_check("a.b", status, Weight::kInconclusive));
        EXPECT_THAT(
            xml, HasSubstr("<testsuite name=\"compute\" tests=\"1\" failures=\"0\" errors=\"1\""));
    }
}

TEST(Junit, SkipsTheOptionalAndTheWaivedWithTheirReason) {
    auto optional = simple_check("a.b", Status::kSkipped, Weight::kInconclusive);
    optional.required = false;
    optional.reason = "no time";
    EXPECT_THAT(junit_of(optional), HasSubstr("<skipped message=\"SKIPPED: no time\"/>"));
    EXPECT_THAT(junit_of(simple_check("a.b", Status::kWaived, Weight::kPass)),
                HasSubstr("<skipped message"));
}

TEST(Junit, IsNeverASilentPass) {
    EXPECT_THAT(junit({}), HasSubstr("<error type=\"INCONCLUSIVE\""));
    judge::Verdict verdict;
    verdict.verdict = judge::VerdictWord::kQualified;  // but nothing was required
    EXPECT_THAT(junit(verdict), HasSubstr("errors=\"1\""));
}

TEST(Junit, PassesASoundQualifiedVerdict) {
    judge::Verdict verdict;
    verdict.verdict = judge::VerdictWord::kQualified;
    verdict.scope.devices = {"cpu"};
    verdict.checks = {simple_check("a.b", Status::kPassed, Weight::kPass)};
    const std::string xml = junit(verdict);
    EXPECT_THAT(xml, Not(HasSubstr("<error")));
    EXPECT_THAT(xml, Not(HasSubstr("<failure")));
}

TEST(Junit, KeepsACheckOfAnUnknownQuestion) {
    auto check = simple_check("a.b", Status::kPassed, Weight::kPass);
    check.question = "colour";
    EXPECT_THAT(junit_of(check), HasSubstr("<testsuite name=\"other\" tests=\"1\""));
}

TEST(Junit, HoldsNoMarkupOfTheEvidence) {
    const std::string xml = junit(report::testing::hostile().verdict);
    EXPECT_THAT(xml, Not(HasSubstr("<script")));
    EXPECT_THAT(xml, Not(HasSubstr("\x01")));
}

}  // namespace
}  // namespace ascertain::report
