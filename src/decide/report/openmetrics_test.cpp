#include "decide/report/openmetrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "decide/report/testing/sample.hpp"

namespace ascertain::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The first rule of OpenMetrics 1.0 that `text` breaks, or "". Rules of the sections "ABNF" and
// "MetricFamily": declared families in one block each, samples of their own family, unique label
// sets, a unit that ends the name, finite values, "# EOF" last.
std::string broken_rule(const std::string& text) {
    static const std::regex kType("# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (gauge|stateset)");
    static const std::regex kUnit("# UNIT ([a-zA-Z_:][a-zA-Z0-9_:]*) ([a-z]+)");
    static const std::regex kHelp("# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) .+");
    static const std::regex kSample(
        "([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{([a-z_]+=\"([^\"\\\\\\n]|\\\\[\"\\\\n])*\",?)+\\})? "
        "[-+]?[0-9.]+(e[-+]?[0-9]+)?");
    std::istringstream lines(text);
    std::string line, family;
    std::set<std::string> families, samples;
    bool ended = false;
    while (std::getline(lines, line)) {
        std::smatch match;
        if (ended) return "after # EOF: " + line;
        if (line == "# EOF") {
            ended = true;
        } else if (std::regex_match(line, match, kType)) {
            family = match[1];
            if (!families.insert(family).second) return "declared twice: " + line;
        } else if (std::regex_match(line, match, kUnit)) {
            if (match[1] != family || !family.ends_with(match[2].str())) return "unit: " + line;
        } else if (std::regex_match(line, match, kHelp)) {
            if (match[1] != family) return "help: " + line;
        } else if (std::regex_match(line, match, kSample)) {
            if (match[1] != family) return "outside its family: " + line;
            if (!samples.insert(line.substr(0, line.rfind(' '))).second) return "twice: " + line;
        } else {
            return "no line of the format: " + line;
        }
    }
    return ended && text.ends_with("# EOF\n") ? "" : "no # EOF at the end";
}

TEST(OpenMetrics, KeepsTheRulesOfTheFormat) {
    EXPECT_EQ(broken_rule(openmetrics(report::testing::failing_device().verdict)), "");
    EXPECT_EQ(broken_rule(openmetrics(report::testing::screened_cpu().verdict)), "");
    EXPECT_EQ(broken_rule(openmetrics({})), "");
}

TEST(OpenMetrics, KeepsThemForHostileNamesAndTwins) {
    auto sample = report::testing::hostile();
    sample.verdict.checks.push_back(sample.verdict.checks.front());
    EXPECT_EQ(broken_rule(openmetrics(sample.verdict)), "");
}

TEST(OpenMetrics, NamesExactlyOneVerdict) {
    const std::string text = openmetrics(report::testing::failing_device().verdict);
    EXPECT_THAT(text, HasSubstr("ascertain_verdict{ascertain_verdict=\"NOT_QUALIFIED\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("ascertain_verdict{ascertain_verdict=\"QUALIFIED\"} 0\n"));
}

TEST(OpenMetrics, CallsOnlyASoundPassAPass) {
    judge::Verdict verdict;
    verdict.checks = {report::testing::simple_check("a.b", judge::Status::kMistrusted,
                                                    judge::Weight::kInconclusive)};
    EXPECT_THAT(openmetrics(verdict), HasSubstr("status=\"MISTRUSTED\"} 0\n"));
    verdict.verdict = judge::VerdictWord::kQualified;  // contradicted by its only check
    EXPECT_THAT(openmetrics(verdict), HasSubstr("{ascertain_verdict=\"QUALIFIED\"} 0\n"));
}

TEST(OpenMetrics, HasNoSampleForWhatIsUnknown) {
    judge::Verdict verdict;
    auto check = report::testing::simple_check("a.b", judge::Status::kPassed, judge::Weight::kPass);
    check.observation = {{"lost", std::nullopt, "s", 1, std::nullopt, std::nullopt, "no clock"}};
    verdict.checks = {check};
    EXPECT_THAT(openmetrics(verdict), Not(HasSubstr("metric=\"lost\"")));
}

}  // namespace
}  // namespace ascertain::report
