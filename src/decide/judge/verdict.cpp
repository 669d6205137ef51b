#include "decide/judge/verdict.hpp"

#include <array>
#include <utility>

namespace ascertain::judge {
namespace {

constexpr std::array<std::pair<Status, std::string_view>, 12> kStatuses{{
    {Status::kUntested, "UNTESTED"},
    {Status::kPassed, "PASSED"},
    {Status::kFailed, "FAILED"},
    {Status::kFlaky, "FLAKY"},
    {Status::kMistrusted, "MISTRUSTED"},
    {Status::kUnsupported, "UNSUPPORTED"},
    {Status::kSkipped, "SKIPPED"},
    {Status::kTimedOut, "TIMED_OUT"},
    {Status::kDeviceLost, "DEVICE_LOST"},
    {Status::kCrashed, "CRASHED"},
    {Status::kHarnessError, "HARNESS_ERROR"},
    {Status::kWaived, "WAIVED"},
}};

Json to_json(const Criterion& criterion) {
    return {{"id", criterion.id}, {"bound", criterion.bound}, {"source", criterion.source}};
}

Json to_json(const CheckVerdict& check) {
    return {{"id", check.id},
            {"device", check.device},
            {"question", check.question},
            {"status", name_of(check.status)},
            {"weight", name_of(check.weight)},
            {"required", check.required},
            {"reason", check.reason},
            {"seed", check.seed},
            {"reproduce", check.reproduce},
            {"duration_s", finite_or_null(check.duration_s)},
            {"observation", ascertain::to_json(check.observation)},
            {"criterion", to_json(check.criterion)},
            {"proof", check.proof},
            {"records", check.records}};
}

Json to_json(const Blocker& blocker) {
    return {{"check", blocker.check},
            {"reason", blocker.reason},
            {"remedy", blocker.remedy},
            {"records", blocker.records}};
}

Json to_json(const Waiver& waiver) {
    return {
        {"check", waiver.check}, {"by", waiver.by}, {"until", waiver.until}, {"why", waiver.why}};
}

Json to_json(const QuestionVerdict& question) {
    return {
        {"status", question.status}, {"summary", question.summary}, {"checks", question.checks}};
}

Json to_json(const Comparison& comparison) {
    const auto& prediction = comparison.prediction;
    Json entry{{"prediction", prediction.id},
               {"check", prediction.check},
               {"device", prediction.device},
               {"metric", prediction.metric},
               {"unit", prediction.unit},
               {"predicted", finite_or_null(prediction.value)},
               {"low", finite_or_null(prediction.low)},
               {"high", finite_or_null(prediction.high)},
               {"calibrated", prediction.calibrated},
               {"measured", comparison.measured ? finite_or_null(*comparison.measured) : Json()}};
    if (!comparison.measured) entry["measured_reason"] = "not measured on this rung";
    entry["inside"] = comparison.inside;
    entry["blocks"] = comparison.blocks;
    entry["record"] = comparison.record;
    return entry;
}

template <typename Item>
Json list_of(const std::vector<Item>& items) {
    Json list = Json::array();
    for (const auto& item : items) list.push_back(to_json(item));
    return list;
}

Json to_json(const Scope& scope) {
    Json entry{{"rung", scope.rung},
               {"part", scope.part},
               {"devices", scope.devices},
               {"hours", finite_or_null(scope.hours)},
               {"software", scope.software},
               {"valid_until", scope.valid_until.empty() ? Json() : Json(scope.valid_until)}};
    if (scope.valid_until.empty()) entry["valid_until_reason"] = "nothing is qualified";
    return entry;
}

Json to_json(const NextRung& next) {
    Json entry{{"rung", next.rung},
               {"device_hours", next.device_hours ? finite_or_null(*next.device_hours) : Json()},
               {"settles", next.settles}};
    if (!next.device_hours) entry["device_hours_reason"] = "the size of that rung is not known";
    return entry;
}

}  // namespace

std::string_view name_of(Status status) {
    for (const auto& [value, name] : kStatuses) {
        if (value == status) return name;
    }
    ASCERTAIN_ASSERT(false);
    return {};
}

std::string_view name_of(Weight weight) {
    switch (weight) {
        case Weight::kPass: return "PASS";
        case Weight::kInconclusive: return "INCONCLUSIVE";
        case Weight::kFail: return "FAIL";
    }
    ASCERTAIN_ASSERT(false);
    return {};
}

std::string_view name_of(VerdictWord word) {
    switch (word) {
        case VerdictWord::kQualified: return "QUALIFIED";
        case VerdictWord::kInconclusive: return "INCONCLUSIVE";
        case VerdictWord::kNotQualified: return "NOT_QUALIFIED";
    }
    ASCERTAIN_ASSERT(false);
    return {};
}

Json to_json(const Verdict& verdict) {
    Json document{{"schema", "ascertain.verdict/1"},
                  {"verdict", name_of(verdict.verdict)},
                  {"scope", to_json(verdict.scope)},
                  {"next_rung", to_json(verdict.next_rung)},
                  {"profile", verdict.profile},
                  {"blockers", list_of(verdict.blockers)},
                  {"waivers", list_of(verdict.waivers)},
                  {"questions",
                   {{"compute", to_json(verdict.compute)},
                    {"endure", to_json(verdict.endure)},
                    {"learn", to_json(verdict.learn)},
                    {"finish", to_json(verdict.finish)},
                    {"serve", to_json(verdict.serve)}}},
                  {"required", verdict.required},
                  {"checks", list_of(verdict.checks)},
                  {"comparisons", list_of(verdict.comparisons)},
                  {"context", verdict.context},
                  {"projection", verdict.projection}};
    if (verdict.projection.is_null()) {
        document["projection_reason"] = "the run holds no projection";
    }
    return document;
}

}  // namespace ascertain::judge
