// What a qualification is going to ask, fixed before the first question: every check of the profile
// on every device, in order, with its share of the time; and what was left out, with why.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "measure/checks/check.hpp"
#include "measure/qualification/survey.hpp"

namespace ascertain::qualification {

// One check on one device.
struct Item {
    const checks::Definition* definition = nullptr;
    std::string id;      // "ops.numerics.mm"
    std::string device;  // "npu:0"
    std::shared_ptr<const checks::Subject> subject;
    bool required = true;
    bool has_control = false;
    Seconds estimate;  // of one attempt
    Seconds budget;    // what its attempts are told to take
    // When it is planned but will not be asked: the category and the reason of its skip. It stays
    // in the plan, and so in the required set, so that leaving it out can never look like passing
    // it.
    std::string skip_category;
    std::string skip_reason;
};

struct Plan {
    std::vector<Item> items;            // in order; those of one device never change places
    std::vector<std::string> left_out;  // "ops.numerics.mm on cpu: why"
    Seconds estimate;                   // wall time with one lane per device, controls included
};

// What is carried to the device and served there.
struct ServeQuestion {
    Json weights{};  // the `weights` of a logprobs request (docs/protocol.md); null: nothing is
    std::int64_t length_max = 0;  // tokens that the model reaches
    std::string dtype{};
};

// What the campaign's ranks send one another, and how long they are soaked.
struct TogetherQuestion {
    Json links = Json::array();  // {kind, dtype, elements, used_by}: largest message of each use
    Seconds soak{8.0};           // of one part
    std::int64_t soak_parts = 1;
};

// What the campaign asks for beyond its operators.
struct TrialQuestion {
    std::string dtype;  // the precision of the campaign: "bf16"
    Json architecture;  // at trial size
    Json recipe = Json::object();
    ServeQuestion serve{};
    TogetherQuestion together{};
};

struct PlanQuestion {
    checks::Profile profile = checks::Profile::kQuick;
    std::vector<std::string> devices{};  // at least one
    std::vector<std::string> ranks{};    // the device of each rank, asked together
    // The part of the question that is put: a pattern (filter.hpp) such as "@serve" or "links";
    // what it does not select is not part of the plan. Empty: the whole.
    std::string part{};
    std::vector<std::string> only{};  // patterns (filter.hpp); empty: everything
    std::vector<std::string> skip{};
    // The cases are the user's own: all of them are asked, whatever that takes, by the checks of
    // operators, and nothing else is part of the question.
    bool given_cases = false;
    std::string module{};  // FILE.py:FUNCTION of the module that the user brought; empty: none
};

// What evidence calls a group of devices: their names with commas between.
[[nodiscard]] std::string group_name(const std::vector<std::string>& devices);

// Errors: kUsage for a pattern that selects nothing, and when nothing is left to ask. Pure: the
// same question has the same plan.
[[nodiscard]] Result<Plan> make_plan(const Survey& survey, const TrialQuestion& trial,
                                     const PlanQuestion& question);

// The time that the checks of a question may take on one device, all together
// (docs/formulas.md#profiles).
[[nodiscard]] Seconds time_share(checks::Profile profile, checks::Question question);

// What measuring one operator case takes on two processor cores, input generation and fp64
// reference included: a rough guess for the order of things (docs/formulas.md#case-seconds).
[[nodiscard]] Seconds case_seconds(const Json& operator_case);

}  // namespace ascertain::qualification
