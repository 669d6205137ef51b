#include "app/prove/results.hpp"

#include <fmt/format.h>
#include <boost/math/distributions/beta.hpp>

#include <algorithm>
#include <map>

namespace ascertain::app {
namespace {

Json to_json(const FailedCheck& failed) {
    return {{"check", failed.check},
            {"status", failed.status},
            {"criterion", failed.criterion.empty() ? Json() : Json(failed.criterion)},
            {"reason", failed.reason}};
}

Json list_of(const std::vector<FailedCheck>& failed) {
    Json list = Json::array();
    for (const auto& one : failed) list.push_back(to_json(one));
    return list;
}

std::string why_not_exercised(const CataloguedDefect& defect, const Exposure& exposure) {
    if (exposure.counts.matched > 0) {
        return fmt::format(
            "not exercised: {} calls met its conditions on place, and none the rest of them",
            exposure.counts.matched);
    }
    return fmt::format(
        "not exercised: no call of the proof models met its conditions (it sits in {})",
        defect.operators.empty() ? "no operator" : defect.operators);
}

std::string why_missed(const DefectResult& result, const Exposure& exposure,
                       const std::set<std::string>& creditable) {
    for (const auto& failed : failures_of(exposure)) {
        if (!creditable.contains(failed.check)) {
            return fmt::format(
                "{} failed, but does not pass on a healthy chip, so it proves nothing",
                failed.check);
        }
    }
    return fmt::format("missed: it acted in {} calls and every check passed", result.fired);
}

}  // namespace

std::vector<FailedCheck> failures_of(const Exposure& exposure) {
    std::vector<FailedCheck> failed;
    for (const auto& check : exposure.checks) {
        if (!is_failure(check)) continue;
        failed.push_back({check.id, std::string(judge::name_of(check.status)), check.criterion.id,
                          check.reason});
    }
    return failed;
}

DefectResult result_of(const CataloguedDefect& defect, const Exposure& exposure,
                       const std::set<std::string>& creditable, const std::string& profile,
                       const DefectResult* earlier) {
    DefectResult result;
    result.id = defect.id;
    result.family = defect.family;
    result.plane = defect.plane;
    result.expressible = true;
    result.profile = profile;
    result.caught = exposure.caught;
    result.seconds = exposure.duration.count;
    result.matched = exposure.counts.matched;
    result.fired = exposure.counts.fired;
    if (earlier != nullptr) {
        result.seconds += earlier->seconds;
        result.matched += earlier->matched;
        result.fired += earlier->fired;
    }
    result.exercised = result.fired > 0;
    if (result.caught) {
        result.caught_after_s = exposure.caught_after.count;
        for (auto& failed : failures_of(exposure)) {
            if (creditable.contains(failed.check)) result.caught_by.push_back(std::move(failed));
        }
    } else if (!result.exercised) {
        result.miss_reason = why_not_exercised(defect, exposure);
    } else {
        result.miss_reason = why_missed(result, exposure, creditable);
    }
    return result;
}

DefectResult not_shown(const CataloguedDefect& defect) {
    DefectResult result;
    result.id = defect.id;
    result.family = defect.family;
    result.plane = defect.plane;
    result.expressible = defect.not_expressible.empty();
    result.waiting = result.expressible;
    result.miss_reason =
        result.waiting ? waits_for(defect.plane) : "not expressible: " + defect.not_expressible;
    return result;
}

std::map<std::string, HealthyTally> tallies_of(const std::vector<HealthyResult>& healthy) {
    std::map<std::string, HealthyTally> tallies;
    for (const auto& run : healthy) {
        HealthyTally& tally = tallies[run.variant];
        tally.seconds += run.seconds;
        if (!run.broken.empty()) {
            ++tally.broken;
            continue;
        }
        ++tally.runs;
        tally.alarmed += run.alarms.empty() ? 0 : 1;
    }
    for (auto& [variant, tally] : tallies) {
        tally.seconds /= static_cast<double>(tally.runs + tally.broken);
    }
    return tallies;
}

double alarm_bound(std::size_t alarms, std::size_t runs) {
    if (alarms >= runs) return 1.0;
    constexpr double kConfidence = 0.95;
    const boost::math::beta_distribution<double> share(static_cast<double>(alarms + 1),
                                                       static_cast<double>(runs - alarms));
    return boost::math::quantile(share, kConfidence);
}

Json to_json(const DefectResult& result) {
    return {{"id", result.id},
            {"class", result.family},
            {"plane", result.plane},
            {"expressible", result.expressible},
            {"exercised", result.exercised},
            {"caught", result.caught},
            {"caught_by", list_of(result.caught_by)},
            {"profile", result.profile.empty() ? Json() : Json(result.profile)},
            {"seconds", result.seconds},
            {"caught_after_s", result.caught ? Json(result.caught_after_s) : Json()},
            {"matched", result.matched},
            {"fired", result.fired},
            {"waiting", result.waiting},
            {"miss_reason", result.miss_reason.empty() ? Json() : Json(result.miss_reason)}};
}

Json to_json(const HealthyResult& result) {
    return {{"variant", result.variant}, {"seed", result.seed},
            {"profile", result.profile}, {"alarms", list_of(result.alarms)},
            {"broken", result.broken},   {"seconds", result.seconds}};
}

namespace {

struct Tally {
    std::size_t defects = 0;
    std::size_t expressible = 0;
    std::size_t exercised = 0;
    std::size_t caught = 0;
    std::size_t caught_quick = 0;
    std::size_t waiting = 0;

    void add(const DefectResult& result) {
        ++defects;
        expressible += result.expressible ? 1 : 0;
        exercised += result.exercised ? 1 : 0;
        caught += result.caught ? 1 : 0;
        caught_quick += result.caught && result.profile == "quick" ? 1 : 0;
        waiting += result.waiting ? 1 : 0;
    }
    void add(const Tally& other) {
        defects += other.defects;
        expressible += other.expressible;
        exercised += other.exercised;
        caught += other.caught;
        caught_quick += other.caught_quick;
        waiting += other.waiting;
    }
    [[nodiscard]] Json json() const {
        return {{"defects", defects}, {"expressible", expressible},   {"exercised", exercised},
                {"caught", caught},   {"caught_quick", caught_quick}, {"waiting", waiting}};
    }
};

Json json_of(const std::map<std::string, Tally>& tallies) {
    Json result = Json::object();
    for (const auto& [name, tally] : tallies) result[name] = tally.json();
    return result;
}

// To the first catch where there was one: what follows it is asked for signatures only.
Json median_seconds(const std::vector<DefectResult>& defects) {
    std::vector<double> seconds;
    for (const auto& result : defects) {
        if (result.profile != "quick") continue;
        seconds.push_back(result.caught ? result.caught_after_s : result.seconds);
    }
    if (seconds.empty()) return {};
    std::ranges::sort(seconds);
    return seconds[seconds.size() / 2];
}

// What the project promises of its catalogue (docs/detection.md#gates).
constexpr double kExpressibleShare = 0.85;
constexpr double kExpressibleShareOfClass = 0.5;
constexpr double kCaughtAtQuick = 0.70;
constexpr double kCaughtAtStandard = 0.95;
constexpr double kQuickSeconds = 20.0;

Json gate(std::string name, Json value, double bound, bool reached) {
    return {{"gate", std::move(name)},
            {"value", std::move(value)},
            {"bound", bound},
            {"reached", reached}};
}

Json share_gate(std::string name, std::size_t part, std::size_t whole, double bound) {
    const double share = whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
    return gate(std::move(name), whole > 0 ? Json(share) : Json(), bound,
                whole > 0 && share >= bound);
}

Json gates_of(const Tally& all, const std::map<std::string, Tally>& by_class,
              const std::map<std::string, Tally>& by_plane, const Json& median) {
    Tally chips;
    for (const char* plane : {"chip", "memory", "runtime"}) {
        if (const auto found = by_plane.find(plane); found != by_plane.end()) {
            chips.add(found->second);
        }
    }
    double least = 1.0;
    for (const auto& [name, tally] : by_class) {
        least = std::min(
            least, static_cast<double>(tally.expressible) / static_cast<double>(tally.defects));
    }
    return Json::array(
        {share_gate("expressible", all.expressible, all.defects, kExpressibleShare),
         gate("expressible, of the class with the fewest", by_class.empty() ? Json() : Json(least),
              kExpressibleShareOfClass, !by_class.empty() && least >= kExpressibleShareOfClass),
         share_gate("caught at quick, of chip, memory and runtime", chips.caught_quick,
                    chips.expressible, kCaughtAtQuick),
         share_gate("caught at quick or standard, of chip, memory and runtime", chips.caught,
                    chips.expressible, kCaughtAtStandard),
         gate("seconds of a defect at quick, median", median, kQuickSeconds,
              median.is_number() && median.get<double>() <= kQuickSeconds)});
}

Json summary_of(const ProofResults& results) {
    Tally all;
    std::map<std::string, Tally> by_class;
    std::map<std::string, Tally> by_plane;
    for (const auto& result : results.defects) {
        all.add(result);
        by_class[result.family].add(result);
        by_plane[result.plane].add(result);
    }
    HealthyTally healthy;
    for (const auto& [variant, tally] : tallies_of(results.healthy)) {
        healthy.runs += tally.runs;
        healthy.alarmed += tally.alarmed;
        healthy.broken += tally.broken;
    }
    Json summary = all.json();
    summary["by_class"] = json_of(by_class);
    summary["by_plane"] = json_of(by_plane);
    summary["seconds_median"] = median_seconds(results.defects);
    summary["gates"] = results.whole && results.interrupted.empty()
                           ? gates_of(all, by_class, by_plane, summary["seconds_median"])
                           : Json::array();
    summary["healthy_runs"] = healthy.runs;
    summary["healthy_runs_broken"] = healthy.broken;
    summary["healthy_runs_alarmed"] = healthy.alarmed;
    summary["false_alarm_share_at_most"] =
        healthy.runs > 0 ? Json(alarm_bound(healthy.alarmed, healthy.runs)) : Json();
    summary["seconds"] = results.seconds;
    summary["checks_hash"] = results.checks_hash;
    summary["criteria_hash"] = results.criteria_hash;
    summary["interrupted"] = results.interrupted.empty() ? Json() : Json(results.interrupted);
    return summary;
}

}  // namespace

Json to_json(const ProofResults& results) {
    Json document{
        {"schema", "ascertain.proof/1"}, {"defects", Json::array()}, {"healthy", Json::array()}};
    for (const auto& result : results.defects) document["defects"].push_back(to_json(result));
    for (const auto& result : results.healthy) document["healthy"].push_back(to_json(result));
    document["limits"] = Json::array();
    for (const auto& limit : results.limits) document["limits"].push_back(to_json(limit));
    document["summary"] = summary_of(results);
    return document;
}

namespace {

Error not_a_result(std::string_view name, const char* what) {
    return {ErrorCode::kEvidence, fmt::format("this is no result of a proof: {}", what),
            std::string(name)};
}

std::string text_or_empty(const Json& body, const char* key) {
    const auto found = body.find(key);
    return found != body.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<FailedCheck> failed_from(const Json& list) {
    std::vector<FailedCheck> failed;
    for (const auto& one : list) {
        failed.push_back({text_or_empty(one, "check"), text_or_empty(one, "status"),
                          text_or_empty(one, "criterion"), text_or_empty(one, "reason")});
    }
    return failed;
}

}  // namespace

Result<DefectResult> defect_result_from_json(const Json& body, std::string_view name) {
    DefectResult result;
    try {
        result.id = body.at("id").get<std::string>();
        result.family = body.at("class").get<std::string>();
        result.plane = body.at("plane").get<std::string>();
        result.expressible = body.at("expressible").get<bool>();
        result.exercised = body.at("exercised").get<bool>();
        result.caught = body.at("caught").get<bool>();
        result.caught_by = failed_from(body.at("caught_by"));
        result.profile = text_or_empty(body, "profile");
        result.seconds = body.at("seconds").get<double>();
        result.caught_after_s = result.caught ? body.at("caught_after_s").get<double>() : 0.0;
        result.matched = body.at("matched").get<std::int64_t>();
        result.fired = body.at("fired").get<std::int64_t>();
        result.waiting = body.at("waiting").get<bool>();
        result.miss_reason = text_or_empty(body, "miss_reason");
    } catch (const Json::exception& error) {
        return not_a_result(name, error.what());
    }
    return result;
}

Result<HealthyResult> healthy_result_from_json(const Json& body, std::string_view name) {
    HealthyResult result;
    try {
        result.variant = body.at("variant").get<std::string>();
        result.seed = body.at("seed").get<std::uint64_t>();
        result.profile = body.at("profile").get<std::string>();
        result.alarms = failed_from(body.at("alarms"));
        result.broken = body.at("broken").get<std::vector<std::string>>();
        result.seconds = body.at("seconds").get<double>();
    } catch (const Json::exception& error) {
        return not_a_result(name, error.what());
    }
    return result;
}

}  // namespace ascertain::app
