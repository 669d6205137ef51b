#include "decide/report/wording.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"

namespace ascertain::report {
namespace {

using judge::CheckVerdict;
using judge::Verdict;

std::string counted(std::size_t n, std::string_view noun) {
    return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

std::string scope_of(const Verdict& verdict) {
    const auto& scope = verdict.scope;
    const std::string rung =
        scope.rung.empty() ? "no rung" : fmt::format("the {} rung", scope.rung);
    const std::string part = scope.is_whole() ? "" : fmt::format("the {} part alone, ", scope.part);
    return fmt::format("{}{}, {}, {} device-hours, {} profile", part, rung,
                       counted(scope.devices.size(), "device"), readable(scope.hours, ""),
                       verdict.profile.empty() ? "unknown" : verdict.profile);
}

// The last part of a path.
std::string file_name(const std::string& path) {
    const auto slash = path.find_last_of('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
}

}  // namespace

std::string_view words_of(judge::VerdictWord word) {
    switch (word) {
        case judge::VerdictWord::kQualified: return "QUALIFIED";
        case judge::VerdictWord::kInconclusive: return "INCONCLUSIVE";
        case judge::VerdictWord::kNotQualified: return "NOT QUALIFIED";
    }
    return "INCONCLUSIVE";
}

Tally tally_of(const Verdict& verdict) {
    Tally tally;
    std::vector<std::string> answered;
    for (const auto& check : verdict.checks) {
        if (!check.required) continue;
        answered.push_back(check.id);
        ++tally.required;
        switch (tone_of(check)) {
            case Tone::kGood: ++tally.good; break;
            case Tone::kBad: ++tally.bad; break;
            case Tone::kNone: ++tally.waived; break;
            case Tone::kOpen: ++tally.open; break;
        }
    }
    std::ranges::sort(answered);
    for (const auto& id : verdict.required) {
        if (std::ranges::binary_search(answered, id)) continue;
        ++tally.required;
        ++tally.open;
    }
    return tally;
}

std::string sentence(const Tally& tally) {
    if (tally.required == 0) return "No check was required.";
    std::string text =
        fmt::format("Of {} {} passed", counted(tally.required, "required check"), tally.good);
    if (tally.bad > 0) text += fmt::format(", {} failed", tally.bad);
    if (tally.open > 0)
        text += fmt::format(", {} {} open", tally.open, tally.open == 1 ? "is" : "are");
    if (tally.waived > 0)
        text += fmt::format(", {} {} waived", tally.waived, tally.waived == 1 ? "is" : "are");
    return text + ".";
}

std::string scope_sentence(const Verdict& verdict) {
    const std::string scope = scope_of(verdict);
    switch (verdict.verdict) {
        case judge::VerdictWord::kQualified:
            return fmt::format("Qualified with this software until {}: {}.",
                               verdict.scope.valid_until.empty()
                                   ? "an unknown date"
                                   : date_of(verdict.scope.valid_until),
                               scope);
        case judge::VerdictWord::kNotQualified: return fmt::format("Refuted on {}.", scope);
        case judge::VerdictWord::kInconclusive:
            return fmt::format("Neither qualified nor refuted: {}.", scope);
    }
    return scope;
}

std::string contradiction_in(const Verdict& verdict) {
    if (verdict.verdict != judge::VerdictWord::kQualified) return {};
    const Tally tally = tally_of(verdict);
    if (tally.required == 0) return "It says QUALIFIED, but no check was required.";
    if (tally.bad + tally.open > 0) {
        return fmt::format("It says QUALIFIED, but {} did not pass.",
                           counted(tally.bad + tally.open, "required check"));
    }
    if (!verdict.blockers.empty()) return "It says QUALIFIED, but it names blockers.";
    if (verdict.scope.devices.empty()) return "It says QUALIFIED, but it names no device.";
    return {};
}

const CheckVerdict* find_check(const Verdict& verdict, std::string_view id) {
    const CheckVerdict* worst = nullptr;
    for (const auto& check : verdict.checks) {
        if (check.id == id && (worst == nullptr || badness(check) > badness(*worst)))
            worst = &check;
    }
    return worst;
}

std::vector<const judge::Blocker*> blockers_worst_first(const Verdict& verdict) {
    std::vector<const judge::Blocker*> order;
    for (const auto& blocker : verdict.blockers) order.push_back(&blocker);
    const auto fails = [&](const judge::Blocker* blocker) {
        const CheckVerdict* check = find_check(verdict, blocker->check);
        return check != nullptr && tone_of(*check) == Tone::kBad;
    };
    std::ranges::stable_partition(order, fails);
    return order;
}

std::string model_name(const Json& campaign) {
    std::string config = file_name(text(member(campaign, "model_config")));
    if (config.ends_with(".json")) config.resize(config.size() - 5);
    return config;
}

std::string fleet_name(const Json& campaign) {
    const Json& fleets = member(campaign, "fleets");
    std::string names;
    for (std::size_t i = 0; fleets.is_array() && i < fleets.size(); ++i) {
        const std::string chip = text(member(fleets[i], "chip"));
        if (chip.empty()) continue;
        const auto count = number(member(fleets[i], "count"));
        names += fmt::format("{}{} × {}", names.empty() ? "" : ", ",
                             count ? readable(*count, "count") : "?", file_name(chip));
    }
    return names;
}

const Question& question(std::size_t index) {
    static constexpr std::array<Question, kQuestions> kAll{
        Question{"compute", "Compute", "Do these chips compute this model right?",
                 &Verdict::compute},
        Question{"endure", "Endure", "Do they stay right and alive, alone and together?",
                 &Verdict::endure},
        Question{"learn", "Learn", "Does the model learn on them as on a trusted reference?",
                 &Verdict::learn},
        Question{"finish", "Finish", "Will the full run finish: when, at what cost?",
                 &Verdict::finish},
        Question{"serve", "Serve", "Can what was trained be served, and on which chips?",
                 &Verdict::serve}};
    return kAll.at(index);
}

}  // namespace ascertain::report
