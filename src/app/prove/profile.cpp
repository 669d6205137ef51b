#include "app/prove/profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "app/files.hpp"
#include "app/serving.hpp"
#include "measure/checks/cases.hpp"
#include "measure/qualification/survey.hpp"
#include "model/config.hpp"
#include "model/trial.hpp"

namespace ascertain::app {
namespace {

using checks::Profile;

constexpr std::size_t kConfigBytesMax = 1u << 20;
constexpr Seconds kCaptureDeadline{300.0};
constexpr std::uint64_t kCaptureSeed = 1;
constexpr const char* kDtype = "bf16";

// The first is captured for coverage and trained; the operators of both are asked about. The first
// has every part of DeepSeek-V3, the other the attention and shapes of a dense model.
constexpr std::array kModels{"moe.json", "dense.json"};

// None: checks that can do with less ask the least that can still fail
// (checks::has_time), which is what a quick proof wants of a training run.
constexpr Seconds kLeastBudget{0.0};

std::int64_t tokens_of(Profile profile) {
    return profile == Profile::kQuick ? 64 : 128;
}

Json recipe_of(Profile profile) {
    if (profile != Profile::kQuick) return {{"batch_sequences", 8}};
    return {{"batch_sequences", 4}, {"sequence_length", 32}};
}

model::TrialSize trial_size_of(Profile profile) {
    model::TrialSize size;
    if (profile == Profile::kQuick) size.layers = 2;
    return size;
}

Result<model::Architecture> read_model(const Home& home, const char* name) {
    const std::string path = home.data(fmt::format("proofs/models/{}", name));
    const auto text = read_file(path, kConfigBytesMax);
    if (!text) return text.error();
    return model::read_config(*text, path);
}

Result<qualification::Survey> survey(const model::Architecture& architecture, Profile profile,
                                     ProofChips& chips, const std::function<bool()>& stopped) {
    qualification::SurveyQuestion question;
    question.architecture = model::to_json(architecture);
    question.sequence_length = tokens_of(profile);
    question.dtype = kDtype;
    question.seed = kCaptureSeed;
    const Json params = qualification::capture_params(question);
    const auto reply = chips.ask_reference({"capture", params, kCaptureDeadline}, stopped);
    if (!reply) return reply.error();
    if (reply->ending != device::Ending::kResult) {
        return Error{ErrorCode::kInternal,
                     "the reference cannot capture the proof model: " + reply->message,
                     architecture.name};
    }
    return qualification::read_survey(params, reply->result);
}

// What `other` has beyond `survey`: operators, and cases of operators that both have.
void add_operators(qualification::Survey& survey, qualification::Survey other) {
    for (auto& subject : other.subjects) {
        const auto known =
            std::ranges::find(survey.subjects, subject.name, &qualification::OperatorSubject::name);
        if (known == survey.subjects.end()) {
            survey.subjects.push_back(std::move(subject));
            continue;
        }
        std::set<std::string> ids;
        for (const auto& one : known->cases) ids.insert(checks::case_id(one));
        for (auto& one : subject.cases) {
            if (!ids.contains(checks::case_id(one))) known->cases.push_back(std::move(one));
        }
    }
}

// The fewest ranks of which every check of links can be asked (checks::Definition::ranks_min).
constexpr std::size_t kFabricChips = 4;

// How long the model's step is repeated. Two rounds are made however short that is.
Seconds soak_of(Profile profile) {
    return profile == Profile::kQuick ? Seconds{1.0} : Seconds{15.0};
}

// In the order of the table, so that checks of one family stay together and steps are repeated
// before a long run wears off what happens once. Those judged on time come first, while the chip is
// cold, and only where chips are not shown side by side on one machine.
void order_items(std::vector<qualification::Item>& items, Profile profile) {
    if (profile == Profile::kQuick) {
        std::erase_if(items, [](const auto& item) { return item.definition->timing; });
    }
    std::ranges::stable_sort(items, {}, [](const auto& item) {
        return std::pair(!item.definition->timing, item.definition - checks::all().data());
    });
}

}  // namespace

std::size_t chips_of(ProofSetting setting) {
    return setting == ProofSetting::kFabric ? kFabricChips : 1;
}

Result<ProofProfile> make_profile(const Home& home, ProofChips& chips, Profile profile,
                                  ProofSetting setting, std::uint64_t seed,
                                  const std::function<bool()>& stopped) {
    qualification::Survey all;
    qualification::TrialQuestion trial;
    trial.dtype = kDtype;
    trial.recipe = recipe_of(profile);
    for (std::size_t i = 0; i < kModels.size(); ++i) {
        const auto architecture = read_model(home, kModels[i]);
        if (!architecture) return architecture.error();
        auto one = survey(*architecture, profile, chips, stopped);
        if (!one) return one.error();
        if (i > 0) {
            add_operators(all, *std::move(one));
            continue;
        }
        all = *std::move(one);
        const auto small = model::trial_scale(*architecture, trial_size_of(profile));
        if (!small) return small.error();
        trial.architecture = model::to_json(*small);
        trial.serve = serve_trial_model(*small, kDtype, seed);
    }
    trial.together.soak = soak_of(profile);
    const auto chips_named = chip_names(chips_of(setting));
    auto plan = qualification::make_plan(
        all, trial, {.profile = profile, .devices = {chips_named.front()}, .ranks = chips_named});
    if (!plan) return plan.error();
    if (setting == ProofSetting::kFabric) {
        std::erase_if(plan->items, [](const auto& item) { return !item.definition->together; });
    }
    for (auto& item : plan->items) {
        item.has_control = false;  // its clean twin is the same check on a healthy chip
        const bool trains = item.definition->question == checks::Question::kLearn;
        if (trains && profile == Profile::kQuick) item.budget = kLeastBudget;
    }
    order_items(plan->items, profile);
    return ProofProfile{profile, setting, *std::move(plan), {}};
}

}  // namespace ascertain::app
