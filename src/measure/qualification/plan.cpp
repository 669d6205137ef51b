#include "measure/qualification/plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "base/device_name.hpp"
#include "measure/checks/cases.hpp"
#include "measure/device/endpoint.hpp"
#include "measure/qualification/filter.hpp"

namespace ascertain::qualification {
namespace {

using checks::Definition;
using checks::Profile;
using checks::Question;
using checks::Servers;
using checks::Subject;
using checks::Subjects;

constexpr Seconds kNoLimit{std::numeric_limits<double>::infinity()};

// What the trial does in each profile.
struct TrialSize {
    std::int64_t steps;
    std::int64_t held_out_batches;
};
TrialSize trial_size(Profile profile) {
    switch (profile) {
        case Profile::kQuick: return {.steps = 300, .held_out_batches = 8};
        case Profile::kStandard: return {.steps = 1000, .held_out_batches = 32};
        case Profile::kFull: return {.steps = 1500, .held_out_batches = 32};
    }
    ASCERTAIN_ASSERT(false);
    return {};
}

std::shared_ptr<const Subject> campaign_subject(const Survey& survey, const TrialQuestion& trial,
                                                Profile profile, const std::string& device) {
    const TrialSize size = trial_size(profile);
    Json cases = Json::array();
    for (const OperatorSubject& subject : survey.subjects) {
        for (const Json& one : subject.cases) cases.push_back(one);
    }
    // A CPU has no fast 16-bit arithmetic to show in a free run; the forced comparison covers it.
    const std::string free_run_dtype = local_part(device) == "cpu" ? "fp32" : trial.dtype;
    Subject subject;
    subject.params = {{"dtype", trial.dtype},
                      {"capture", survey.capture},
                      {"operators", survey.operators},
                      {"step_s", survey.step.count},
                      {"cases", std::move(cases)},
                      {"trial_architecture", trial.architecture},
                      {"recipe", trial.recipe},
                      {"trial_steps", size.steps},
                      {"held_out_batches", size.held_out_batches},
                      {"free_run_dtype", free_run_dtype},
                      {"serve_weights", trial.serve.weights},
                      {"serve_length_max", trial.serve.length_max},
                      {"serve_dtype", trial.serve.dtype},
                      {"links", trial.together.links},
                      {"soak_s", trial.together.soak.count}};
    return std::make_shared<const Subject>(std::move(subject));
}

// An operator that takes this much of a step is never sampled out, whatever the budget says.
constexpr double kShareAlwaysAsked = 0.01;

// How many cases of each operator a check may ask about within a budget; 0: none. Every family of
// operators keeps its most important one, and every operator that takes much of the step is asked,
// whatever the budget says. Then as many other operators as
// possible get one case, the cheap ones first, because an operator nobody looked at is the larger
// risk; and only then come second cases, by importance.
std::vector<std::size_t> choose_cases(const std::vector<OperatorSubject>& subjects, double weight,
                                      Seconds budget) {
    std::vector<std::size_t> chosen(subjects.size(), 0);
    std::set<std::string> families;
    Seconds spent;
    const auto cost = [&](std::size_t subject, std::size_t index) {
        return case_seconds(subjects[subject].cases[index]) * weight;
    };
    const auto take_next = [&](std::size_t subject) {
        spent += cost(subject, chosen[subject]);
        ++chosen[subject];
    };
    const auto fits = [&](std::size_t subject) {
        return spent + cost(subject, chosen[subject]) <= budget;
    };
    std::vector<std::size_t> unseated;
    for (std::size_t i = 0; i < subjects.size(); ++i) {
        if (subjects[i].cases.empty()) continue;
        const bool first_of_family = families.insert(subjects[i].family).second;
        if (first_of_family || subjects[i].share_of_step >= kShareAlwaysAsked) {
            take_next(i);
        } else {
            unseated.push_back(i);
        }
    }
    std::stable_sort(unseated.begin(), unseated.end(), [&](std::size_t left, std::size_t right) {
        return cost(left, 0) < cost(right, 0);
    });
    for (const std::size_t i : unseated) {
        if (fits(i)) take_next(i);
    }
    for (bool added = true; added;) {
        added = false;
        for (std::size_t i = 0; i < subjects.size(); ++i) {
            const bool has_more = chosen[i] > 0 && chosen[i] < subjects[i].cases.size();
            if (!has_more || !fits(i)) continue;
            take_next(i);
            added = true;
        }
    }
    return chosen;
}

Seconds total_cost(const OperatorSubject& subject, std::size_t cases, double weight) {
    Seconds total;
    for (std::size_t i = 0; i < cases; ++i) total += case_seconds(subject.cases[i]) * weight;
    return total;
}

class Planner {
public:
    Planner(const Survey& survey, const TrialQuestion& trial, const PlanQuestion& question)
        : survey_(survey), trial_(trial), question_(question) {}

    Result<Plan> make() {
        for (const std::string& device : question_.devices) plan_device(device);
        plan_together();
        std::vector<Candidate> candidates;
        for (const Item& item : plan_.items) candidates.push_back({item.id, item.definition});
        for (const auto* patterns : {&question_.only, &question_.skip}) {
            const auto known = check_patterns(*patterns, candidates);
            if (!known) return known.error();
        }
        bool anything = false;
        for (std::size_t i = 0; i < plan_.items.size(); ++i) {
            filter(plan_.items[i], candidates[i]);
            anything = anything || plan_.items[i].skip_category.empty();
        }
        if (question_.given_cases) {
            std::erase_if(plan_.items,
                          [](const Item& item) { return item.skip_category == "filtered"; });
        }
        if (!anything) {
            return Error{ErrorCode::kUsage,
                         "nothing is left to ask: --only and --skip together select no check that "
                         "can run",
                         {}};
        }
        finish();
        return std::move(plan_);
    }

private:
    void plan_device(const std::string& device) {
        const auto campaign = campaign_subject(survey_, trial_, question_.profile, device);
        for (const Definition& definition : checks::all()) {
            if (definition.profile_min > question_.profile) continue;
            if (definition.together) continue;
            if (definition.about_module) {
                if (!question_.module.empty()) plan_module(definition, device);
                continue;
            }
            if (question_.given_cases && definition.subjects == Subjects::kNone) continue;
            if (!is_asked(definition) || !can_answer(device, definition)) continue;
            if (definition.subjects == Subjects::kNone) {
                Item item = item_of(definition, device, "");
                item.subject = campaign;
                item.estimate = definition.cost;
                item.budget = definition.cost * kSlack;
                if (definition.question == Question::kServe && trial_.serve.weights.is_null()) {
                    item.skip_category = "no_case";
                    item.skip_reason = "nothing to serve was named";
                }
                plan_.items.push_back(std::move(item));
            } else {
                plan_operators(definition, device);
            }
        }
    }

    static bool can_answer(const std::string& device, const Definition& definition) {
        const auto wrong = device::is_endpoint(device) ? Servers::kNot : Servers::kAlone;
        return definition.servers != wrong;
    }

    // The checks that ask all ranks at once.
    void plan_together() {
        if (question_.ranks.empty() || question_.given_cases) return;
        const std::string group = group_name(question_.ranks);
        const auto campaign =
            campaign_subject(survey_, trial_, question_.profile, question_.ranks.front());
        for (const Definition& definition : checks::all()) {
            const bool wanted =
                definition.together && definition.profile_min <= question_.profile &&
                definition.ranks_min <= question_.ranks.size() && is_asked(definition);
            if (!wanted) continue;
            const bool in_parts = definition.subjects == Subjects::kParts;
            const std::int64_t parts = in_parts ? trial_.together.soak_parts : 1;
            for (std::int64_t part = 1; part <= parts; ++part) {
                Item item = item_of(definition, group, in_parts ? fmt::format("{}", part) : "");
                item.subject = campaign;
                item.estimate = in_parts ? trial_.together.soak : definition.cost;
                item.budget = item.estimate * kSlack;
                plan_.items.push_back(std::move(item));
            }
        }
    }

    [[nodiscard]] bool is_asked(const Definition& definition) const {
        return question_.part.empty() ||
               selects(question_.part, {std::string(definition.id), &definition});
    }

    void plan_module(const Definition& definition, const std::string& device) {
        Item item = item_of(definition, device, "");
        Subject subject;
        subject.params = {{"module", question_.module}};
        item.subject = std::make_shared<const Subject>(std::move(subject));
        item.estimate = definition.cost;
        item.budget = definition.cost * kSlack;
        const std::string_view type = definition.device_type;
        if (device.find(type) == std::string::npos) {
            item.required = false;
            item.skip_category = "no_case";
            item.skip_reason = fmt::format("only {} has what this asks about", type);
        }
        plan_.items.push_back(std::move(item));
    }

    void plan_operators(const Definition& definition, const std::string& device) {
        if (survey_.subjects.empty()) {
            Item item = item_of(definition, device, "");
            item.subject = std::make_shared<const Subject>();
            item.skip_category = "no_case";
            item.skip_reason = "the reference captured no operator";
            plan_.items.push_back(std::move(item));
            return;
        }
        const double weight = weight_of(definition);
        const auto chosen =
            choose_cases(survey_.subjects, weight,
                         question_.given_cases ? kNoLimit : operator_budget(definition));
        for (std::size_t i = 0; i < survey_.subjects.size(); ++i) {
            const OperatorSubject& subject = survey_.subjects[i];
            Item item = item_of(definition, device, subject.name);
            Subject asked;
            asked.name = subject.name;
            asked.params = {{"cases", subject.cases}};
            item.subject = std::make_shared<const Subject>(std::move(asked));
            item.estimate = total_cost(subject, chosen[i], weight);
            item.budget = question_.given_cases ? kNoLimit : item.estimate * kSlack;
            if (subject.cases.empty()) {
                item.skip_category = "no_case";
                item.skip_reason = subject.without_case;
            } else if (chosen[i] == 0) {
                item.skip_category = "budget";
                item.skip_reason = "the profile's time is spent on operators that matter more";
            }
            plan_.items.push_back(std::move(item));
        }
    }

    // An operator check's share of the time for operators goes by its cost.
    static double weight_of(const Definition& definition) {
        return definition.cost / checks::find("ops.numerics")->cost;
    }
    [[nodiscard]] Seconds operator_budget(const Definition& definition) const {
        Seconds left = time_share(question_.profile, definition.question);
        double weights = 0.0;
        for (const Definition& other : checks::all()) {
            if (other.question != definition.question || other.together) continue;
            if (other.about_module) continue;
            if (other.subjects == Subjects::kNone)
                left += other.cost * -1.0;
            else
                weights += weight_of(other);
        }
        return left * (weight_of(definition) / weights);
    }

    static Item item_of(const Definition& definition, const std::string& device,
                        const std::string& subject) {
        Item item;
        item.definition = &definition;
        item.id = subject.empty() ? std::string(definition.id)
                                  : fmt::format("{}.{}", definition.id, subject);
        item.device = device;
        item.required = definition.required;
        item.has_control = !definition.tamper.empty();
        return item;
    }

    void filter(Item& item, const Candidate& candidate) const {
        const auto selected_by = [&](const std::vector<std::string>& patterns) {
            return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
                return selects(pattern, candidate);
            });
        };
        const bool wanted = question_.only.empty() || selected_by(question_.only);
        if (wanted && !selected_by(question_.skip)) return;
        item.skip_category = "filtered";
        item.skip_reason = wanted ? "left out with --skip" : "not selected with --only";
    }

    void finish() {
        for (const Item& item : plan_.items) {
            if (item.skip_category.empty()) continue;
            plan_.left_out.push_back(
                fmt::format("{} on {}: {}", item.id, item.device, item.skip_reason));
        }
        std::vector<std::string> lanes = question_.devices;
        if (question_.ranks.size() > 1) lanes.push_back(group_name(question_.ranks));
        Seconds group;
        for (const std::string& device : lanes) {
            Seconds lane;
            std::set<std::string_view> controlled;
            for (const Item& item : plan_.items) {
                if (item.device != device || !item.skip_category.empty()) continue;
                lane += item.estimate;
                const bool first = controlled.insert(item.definition->family).second;
                // Control and twin are each asked the least that can fail: about half.
                if (first && item.has_control) lane += item.definition->cost;
            }
            // The group comes when all devices are through.
            const bool is_group = device.find(',') != std::string::npos;
            if (is_group) group = lane;
            if (!is_group) plan_.estimate = std::max(plan_.estimate, lane);
        }
        plan_.estimate += group;
    }

    // Attempts may take this many times their estimate before they ask for no further case.
    static constexpr double kSlack = 1.5;

    const Survey& survey_;
    const TrialQuestion& trial_;
    const PlanQuestion& question_;
    Plan plan_;
};

}  // namespace

std::string group_name(const std::vector<std::string>& devices) {
    return fmt::format("{}", fmt::join(devices, ","));
}

Seconds time_share(Profile profile, Question question) {
    if (profile == Profile::kFull) return kNoLimit;
    const bool quick = profile == Profile::kQuick;
    switch (question) {
        case Question::kCompute: return quick ? Seconds{50.0} : Seconds{600.0};
        case Question::kEndure: return quick ? Seconds{30.0} : Seconds{300.0};
        case Question::kLearn: return quick ? Seconds{60.0} : Seconds{600.0};
        case Question::kFinish: return quick ? Seconds{10.0} : Seconds{100.0};
        case Question::kServe: return quick ? Seconds{15.0} : Seconds{150.0};
    }
    ASCERTAIN_ASSERT(false);
    return kNoLimit;
}

Seconds case_seconds(const Json& operator_case) {
    constexpr Seconds kFloor{0.01};
    constexpr double kPerElement_s = 2e-8;  // made, moved, compared
    constexpr FlopsPerSecond kReference{2e10};
    Seconds time = kFloor + Seconds{checks::elements_of(operator_case) * kPerElement_s};
    if (const auto gemm = checks::gemm_of(operator_case)) time += gemm->flops() / kReference;
    return time;
}

Result<Plan> make_plan(const Survey& survey, const TrialQuestion& trial,
                       const PlanQuestion& question) {
    ASCERTAIN_ASSERT(!question.devices.empty());
    return Planner(survey, trial, question).make();
}

}  // namespace ascertain::qualification
