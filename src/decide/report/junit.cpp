#include "decide/report/junit.hpp"

#include <fmt/format.h>

#include "decide/report/escape.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/wording.hpp"

namespace ascertain::report {
namespace {

using judge::CheckVerdict;

struct Suite {
    std::string cases;
    std::size_t tests = 0;
    std::size_t failures = 0;
    std::size_t errors = 0;
    std::size_t skipped = 0;
    double time_s = 0.0;
};

enum class Result { kPass, kFailure, kError, kSkipped };

Result result_of(const CheckVerdict& check) {
    const Tone tone = tone_of(check);
    if (tone == Tone::kGood) return Result::kPass;
    if (tone == Tone::kBad) return Result::kFailure;
    const bool excused = tone == Tone::kNone || !check.required;
    return excused ? Result::kSkipped : Result::kError;
}

void add(Suite& suite, std::string_view group, std::string_view name, double time_s, Result result,
         std::string_view type, std::string_view message) {
    static constexpr std::string_view kElements[] = {"", "failure", "error", "skipped"};
    const std::string_view element = kElements[static_cast<int>(result)];
    ++suite.tests;
    suite.failures += result == Result::kFailure ? 1 : 0;
    suite.errors += result == Result::kError ? 1 : 0;
    suite.skipped += result == Result::kSkipped ? 1 : 0;
    suite.time_s += time_s;
    suite.cases += fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.6f}\"",
                               escaped(group), escaped(name), time_s);
    if (element.empty()) {
        suite.cases += "/>\n";
        return;
    }
    const std::string type_attribute =
        result == Result::kSkipped ? "" : fmt::format(" type=\"{}\"", escaped(type));
    suite.cases += fmt::format(">\n      <{}{} message=\"{}: {}\"/>\n    </testcase>\n", element,
                               type_attribute, escaped(type), escaped(message));
}

std::string element_of(const Suite& suite, std::string_view name) {
    return fmt::format(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" "
        "time=\"{:.6f}\">\n{}  </testsuite>\n",
        escaped(name), suite.tests, suite.failures, suite.errors, suite.skipped, suite.time_s,
        suite.cases);
}

Suite suite_of_verdict(const judge::Verdict& verdict) {
    Suite suite;
    const std::string contradiction = contradiction_in(verdict);
    const std::string message = contradiction.empty()
                                    ? scope_sentence(verdict) + " " + sentence(tally_of(verdict))
                                    : contradiction;
    Result result = Result::kError;
    if (verdict.verdict == judge::VerdictWord::kNotQualified) result = Result::kFailure;
    if (verdict.verdict == judge::VerdictWord::kQualified && contradiction.empty()) {
        result = Result::kPass;
    }
    add(suite, "verdict", "verdict", 0.0, result, words_of(verdict.verdict), message);
    return suite;
}

}  // namespace

std::string junit(const judge::Verdict& verdict) {
    std::string body = element_of(suite_of_verdict(verdict), "verdict");
    Suite others;  // checks whose question is none of the five: never lost
    std::vector<Suite> suites(kQuestions);
    for (const CheckVerdict& check : verdict.checks) {
        Suite* suite = &others;
        for (std::size_t i = 0; i < kQuestions; ++i) {
            if (check.question == question(i).key) suite = &suites[i];
        }
        add(*suite, check.question, fmt::format("{} on {}", check.id, check.device),
            check.duration_s, result_of(check), judge::name_of(check.status),
            check.reason.empty() ? "no reason was given" : check.reason);
    }
    for (std::size_t i = 0; i < kQuestions; ++i) body += element_of(suites[i], question(i).key);
    if (others.tests > 0) body += element_of(others, "other");
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"ascertain\">\n" + body +
           "</testsuites>\n";
}

}  // namespace ascertain::report
