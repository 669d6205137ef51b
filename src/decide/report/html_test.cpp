#include "decide/report/html.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "decide/report/testing/sample.hpp"

namespace ascertain::report {
namespace {

using judge::Status;
using judge::Weight;
using report::testing::Sample;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kChartJs = "var a='</script>';";

std::string page_of(const Sample& sample) {
    return html(sample.input(kChartJs));
}

std::vector<Sample> all_samples() {
    return {report::testing::screened_cpu(), report::testing::failing_device(),
            report::testing::nothing(), report::testing::hostile()};
}

// The page without its style and scripts: what a reader's browser lays out.
std::string markup_of(const std::string& page) {
    std::string rest;
    std::size_t at = 0;
    while (true) {  // by hand: std::regex recurses on long texts
        const std::size_t script = std::min(page.find("<script", at), page.find("<style", at));
        if (script == std::string::npos) return rest + page.substr(at);
        rest += page.substr(at, script - at);
        const std::string end = page.compare(script, 7, "<script") == 0 ? "</script>" : "</style>";
        at = page.find(end, script) + end.size();
    }
}

std::vector<std::string> attributes(const std::string& markup, const std::string& name) {
    std::vector<std::string> values;
    const std::string key = " " + name + "=\"";
    for (std::size_t at = markup.find(key); at != std::string::npos; at = markup.find(key, at)) {
        at += key.size();
        values.push_back(markup.substr(at, markup.find('"', at) - at));
    }
    return values;
}

std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t n = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++n;
    return n;
}

// The element that is left open or closed out of turn, or "".
std::string unbalanced(const std::string& markup) {
    static const std::set<std::string> kVoid{"meta", "link", "br", "input"};
    std::vector<std::string> open;
    for (std::size_t at = markup.find('<'); at != std::string::npos;
         at = markup.find('<', at + 1)) {
        if (markup[at + 1] == '!') continue;
        const bool closing = markup[at + 1] == '/';
        const std::size_t begin = at + (closing ? 2 : 1);
        const std::string name = markup.substr(begin, markup.find_first_of(" >", begin) - begin);
        if (kVoid.contains(name) || markup[markup.find('>', at) - 1] == '/') continue;
        if (!closing) {
            open.push_back(name);
        } else if (open.empty() || open.back() != name) {
            return fmt::format("</{}> after <{}>", name, open.empty() ? "" : open.back());
        } else {
            open.pop_back();
        }
    }
    return open.empty() ? "" : "<" + open.back() + ">";
}

TEST(Html, SameEvidenceGivesTheSameBytes) {
    EXPECT_EQ(page_of(report::testing::failing_device()),
              page_of(report::testing::failing_device()));
}

TEST(Html, ClosesWhatItOpensWhateverTheEvidence) {
    for (const Sample& sample : all_samples())
        EXPECT_EQ(unbalanced(markup_of(page_of(sample))), "");
}

TEST(Html, NamesEveryElementOnceAndLinksOnlyToWhatExists) {
    for (const Sample& sample : all_samples()) {
        const std::string markup = markup_of(page_of(sample));
        const auto ids = attributes(markup, "id");
        const std::set<std::string> known(ids.begin(), ids.end());
        EXPECT_EQ(known.size(), ids.size());
        for (const std::string& link : attributes(markup, "href")) {
            if (link == "data:,") continue;
            ASSERT_TRUE(link.starts_with('#')) << link;
            EXPECT_TRUE(known.contains(link.substr(1))) << link;
        }
    }
}

TEST(Html, AsksNothingOfANetwork) {
    for (const Sample& sample : all_samples()) {
        const std::string page = page_of(sample);
        EXPECT_THAT(page, HasSubstr("default-src 'none'"));
        EXPECT_THAT(page, Not(HasSubstr("@import")));
        EXPECT_THAT(page, Not(HasSubstr("url(")));
        EXPECT_TRUE(attributes(markup_of(page), "src").empty());
    }
}

TEST(Html, LetsNoTextOfTheEvidenceBecomeMarkup) {
    const std::string page = page_of(report::testing::hostile());
    EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
    EXPECT_THAT(page, Not(HasSubstr("<img")));
    EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"));
    EXPECT_EQ(count_of(page, "<script"), count_of(page, "</script>"));
    // Two scripts of our own, the others hold the data of a chart.
    EXPECT_EQ(count_of(page, "<script>"), 2u);
}

TEST(Html, CutsAMessageOfAMegabyte) {
    EXPECT_LT(page_of(report::testing::hostile()).size(), std::size_t{400'000});
}

TEST(Html, SaysTheVerdictFirstThenBlockersThenQuestionsThenChecks) {
    const std::string markup = markup_of(page_of(report::testing::failing_device()));
    const auto at = [&](const char* part) { return markup.find(part); };
    ASSERT_NE(at("<h1>"), std::string::npos);
    EXPECT_LT(at("NOT QUALIFIED</h1>"), at("id=\"blockers\""));
    EXPECT_LT(at("id=\"blockers\""), at("id=\"next\""));
    EXPECT_LT(at("id=\"next\""), at("id=\"waivers\""));
    EXPECT_LT(at("id=\"waivers\""), at("id=\"questions\""));
    EXPECT_LT(at("id=\"compute\""), at("id=\"endure\""));
    EXPECT_LT(at("id=\"serve\""), at("id=\"comparison\""));
    EXPECT_LT(at("id=\"comparison\""), at("id=\"checks\""));
    EXPECT_LT(at("id=\"checks\""), at("id=\"records\""));
}

TEST(Html, PutsTheWorstCheckFirst) {
    const std::string page = page_of(report::testing::failing_device());
    const std::string rows = page.substr(page.find("id=\"check-rows\""));
    EXPECT_LT(rows.find("■</span> FAILED"), rows.find("●</span> PASSED"));
    EXPECT_LT(rows.find("▲</span> CRASHED"), rows.find("●</span> PASSED"));
}

TEST(Html, LinksEachNumberToItsRecord) {
    Sample sample = report::testing::failing_device();
    const auto& check = sample.verdict.checks.front();
    const std::string page = page_of(sample);
    EXPECT_THAT(page, HasSubstr(fmt::format("<a class=\"value\" href=\"#record-{}\"",
                                            check.records.front())));
    EXPECT_THAT(page, HasSubstr(sample.records.back().hash));
}

TEST(Html, SaysWhichRecordIsMissing) {
    const std::string page = page_of(report::testing::hostile());
    EXPECT_THAT(page, HasSubstr("record r999999 is not in this evidence"));
    EXPECT_THAT(page, HasSubstr("not of its kind's form"));
}

TEST(Html, ShowsNothingGreenWhenNothingIsKnown) {
    const std::string markup = markup_of(page_of(report::testing::nothing()));
    EXPECT_THAT(markup, HasSubstr("INCONCLUSIVE"));
    EXPECT_THAT(markup, HasSubstr("No check was required, so nothing can be qualified."));
    EXPECT_THAT(markup, HasSubstr("This run has not ended"));
    EXPECT_THAT(markup, Not(HasSubstr("class=\"mark good\"")));
    EXPECT_THAT(markup, Not(HasSubstr("●")));
}

TEST(Html, DoesNotBelieveAQualifiedVerdictThatItsChecksContradict) {
    Sample sample;
    sample.verdict.verdict = judge::VerdictWord::kQualified;
    EXPECT_THAT(page_of(sample), HasSubstr("Do not rely on this verdict."));
    sample.verdict.scope.devices = {"cpu"};
    sample.verdict.checks = {report::testing::simple_check("a.b", Status::kPassed, Weight::kPass)};
    EXPECT_THAT(page_of(sample), Not(HasSubstr("Do not rely")));
    EXPECT_THAT(page_of(sample), HasSubstr("<header class=\"verdict good\">"));
    sample.verdict.required = {"a.b", "a.c"};  // a.c was never answered
    EXPECT_THAT(page_of(sample), HasSubstr("<header class=\"verdict open\">"));
}

// Only PASSED with the weight of a pass may look like a pass.
TEST(Html, ColoursEveryOtherStatusAsNotGood) {
    for (int status = 0; status <= static_cast<int>(Status::kWaived); ++status) {
        for (const Weight weight : {Weight::kPass, Weight::kInconclusive, Weight::kFail}) {
            Sample sample;
            sample.verdict.checks = {
                report::testing::simple_check("a.b", static_cast<Status>(status), weight)};
            const std::string page = page_of(sample);
            const std::string rows = page.substr(page.find("id=\"check-rows\""));
            const bool sound =
                static_cast<Status>(status) == Status::kPassed && weight == Weight::kPass;
            EXPECT_EQ(rows.find("class=\"mark good\"") != std::string::npos, sound) << status;
        }
    }
}

TEST(Html, SaysWhatWasNotAsked) {
    const std::string page = page_of(report::testing::screened_cpu());
    EXPECT_THAT(page, HasSubstr("Not asked: no checkpoint was carried to a serving device."));
    EXPECT_THAT(page, HasSubstr("ops.layout: sampled out at quick"));
    EXPECT_THAT(page, HasSubstr("offsets are computed inside the step"));  // captured, no case
}

TEST(Html, ShowsWhatSamplerAndTrainerDifferByAndWhatThatDoes) {
    Sample sample = report::testing::screened_cpu();
    judge::CheckVerdict check =
        report::testing::simple_check("handoff.rollout", Status::kPassed, Weight::kPass);
    check.question = "serve";
    check.device = "cpu";
    sample.verdict.checks.push_back(check);
    evidence::Attempt attempt;
    attempt.check = check.id;
    attempt.device = check.device;
    attempt.outcome = evidence::Outcome::kCompleted;
    attempt.observation = {{"rollout_error_mean", 0.125, "nat", 96, {}, {}, ""},
                           {"clipped_share", 0.0625, "ratio", 96, {}, {}, ""}};
    attempt.detail = {
        {"dtype", "bf16"},
        {"quantisation", ""},
        {"lengths", {{{"length", 16}, {"logprob_error_mean", 0.03125}}}},
        {"positions", {{{"from", 0.0}, {"to", 0.25}, {"tokens", 3}, {"logprob_error_mean", 0.5}}}},
        {"probabilities",
         {{{"from", 0.0}, {"to", 0.01}, {"tokens", 0}, {"logprob_error_mean", nullptr}}}}};
    Record record = sample.records.back();
    record.sequence = sample.records.size() + 1;
    record.kind = "attempt";
    record.body = evidence::to_json(attempt);
    sample.records.push_back(record);
    const std::string markup = markup_of(page_of(sample));
    EXPECT_THAT(markup, HasSubstr("Mismatch by length of text"));
    EXPECT_THAT(markup, HasSubstr("value=\"0.03125\""));
    EXPECT_THAT(markup, HasSubstr("0 to 0.25"));
    EXPECT_THAT(markup, HasSubstr("no token"));
    EXPECT_THAT(markup, HasSubstr("made GRPO unstable"));
    EXPECT_EQ(unbalanced(markup), "");
}

TEST(Html, ShowsAnUnknownProbabilityWithItsReason) {
    EXPECT_THAT(page_of(report::testing::failing_device()),
                HasSubstr("unknown: ops.numerics.bmm is wrong"));
}

// The drawing of the chart whose key begins with `key`.
Json drawing_of(const std::string& page, const std::string& key) {
    const std::size_t at = page.find("data-chart=\"chart-" + key);
    if (at == std::string::npos) return Json();
    const std::size_t begin = page.find('>', at) + 1;
    return Json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

TEST(Html, KeepsSpikesAndGapsOfALongCurve) {
    Sample sample;
    Json losses = Json::array();
    for (int i = 0; i < 20'000; ++i) losses.push_back(1.0);
    losses[7'777] = 50.0;
    losses[15'001] = nullptr;  // not finite
    auto check = report::testing::simple_check("trial.free_run", Status::kPassed, Weight::kPass);
    check.question = "learn";
    evidence::Attempt attempt;
    attempt.check = check.id;
    attempt.device = check.device;
    attempt.outcome = evidence::Outcome::kCompleted;
    attempt.detail = {{"device", {{"losses", losses}}}};
    evidence::Record record;
    record.sequence = 1;
    record.kind = "attempt";
    record.body = evidence::to_json(attempt);
    sample.records = {record};
    sample.verdict.checks = {check};
    const Json points = drawing_of(page_of(sample), "loss-")["series"][0]["points"];
    EXPECT_LT(points.size(), 500u);
    const auto holds = [&](const Json& point) {
        return std::ranges::find(points, point) != points.end();
    };
    EXPECT_TRUE(holds({{"x", 7'778}, {"y", 50.0}}));
    EXPECT_TRUE(holds({{"x", 15'002}, {"y", nullptr}}));
}

TEST(Html, TellsOfEquivalenceParallelFormsAndResumptions) {
    Sample sample;
    auto check = report::testing::simple_check("trial.parallel", Status::kPassed, Weight::kPass);
    check.question = "learn";
    Metric margin;
    margin.metric = "margin";
    margin.value = 0.005;
    margin.unit = "ratio";
    check.observation.push_back(margin);
    evidence::Attempt attempt;
    attempt.check = check.id;
    attempt.device = check.device;
    attempt.outcome = evidence::Outcome::kCompleted;
    attempt.detail = {
        {"forms",
         {{{"form", "tensor"}, {"ranks", 2}, {"relative_loss", 0.0}, {"worst_tensor", "<q>"}},
          {{"form", "expert"}, {"unfit", "the model has no experts"}}}},
        {"resumptions",
         {{{"run", "torn"},
           {"resumed_from", 4},
           {"same_bits", true},
           {"skipped", {"step 8: torn"}}}}},
        {"runs",
         {{{"name", "reference 1"}, {"outcome", 0.8}}, {{"name", "device 1"}, {"outcome", 0.9}}}}};
    evidence::Record record;
    record.sequence = 1;
    record.kind = "attempt";
    record.body = evidence::to_json(attempt);
    sample.records = {record};
    sample.verdict.checks = {check};
    const std::string page = page_of(sample);
    EXPECT_THAT(page, HasSubstr("parallel equals serial"));
    EXPECT_THAT(page, HasSubstr("the model has no experts"));
    EXPECT_THAT(page, HasSubstr("step 8: torn"));
    EXPECT_THAT(page, HasSubstr("12.5 %"));  // 0.9 from 0.8
    EXPECT_THAT(markup_of(page), Not(HasSubstr("<q>")));
}

TEST(Html, DrawsEachErrorAgainstItsBound) {
    const Json drawing =
        drawing_of(page_of(report::testing::failing_device()), "error-error_ratio");
    ASSERT_EQ(drawing["kind"], "dots");
    EXPECT_EQ(drawing["rows"][0]["value"], 41.0);
    EXPECT_EQ(drawing["rows"][0]["at_most"], 3.0);
    EXPECT_EQ(drawing["rows"][0]["tone"], "bad");
}

TEST(Html, LinksACitedFormulaAndShowsNoOther) {
    const Sample sample = report::testing::screened_cpu();
    ReportInput input = sample.input();
    input.formulas = formulas_from_markdown(
        "# Page\n## Share not correctly rounded\nCount over n < 1.\n## Unused\nNobody cites it.\n");
    const std::string page = html(input);
    EXPECT_THAT(page, HasSubstr("href=\"#formula-share-not-correctly-rounded\""));
    EXPECT_THAT(page, HasSubstr("Count over n &lt; 1."));
    EXPECT_THAT(page, Not(HasSubstr("Nobody cites it.")));
}

TEST(Formulas, TakeTheirAnchorFromBracesOrTheHeading) {
    const auto formulas = formulas_from_markdown("## One {#first}\ntext\n### Two words\nmore\n");
    ASSERT_EQ(formulas.size(), 2u);
    EXPECT_EQ(formulas[0].anchor, "first");
    EXPECT_EQ(formulas[0].title, "One");
    EXPECT_EQ(formulas[0].text, "text\n");
    EXPECT_EQ(formulas[1].anchor, "two-words");
}

TEST(Html, NamesTheCataloguedDefectsThatFailInTheSameWay) {
    Sample sample = report::testing::failing_device();
    std::string page = page_of(sample);
    EXPECT_THAT(page, HasSubstr("TT-004"));
    EXPECT_THAT(page, HasSubstr("71 % alike"));
    EXPECT_THAT(page, HasSubstr("tt-metal #4711"));
    EXPECT_THAT(page, HasSubstr("no remedy is known"));
    sample.verdict.context["causes"] = Json::array();
    page = page_of(sample);
    EXPECT_THAT(page, HasSubstr("None of 97 catalogued defects"));
    sample.verdict.context.erase("causes");
    EXPECT_THAT(page_of(sample), Not(HasSubstr("fails in the same way")));
}

}  // namespace
}  // namespace ascertain::report
