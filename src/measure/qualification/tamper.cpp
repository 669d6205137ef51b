#include "measure/qualification/tamper.hpp"

#include <algorithm>
#include <array>

namespace ascertain::qualification {
namespace {

std::string kind_of(const Json& tamper) {
    return tamper.value("kind", "");
}

Error nothing_to_corrupt(std::string why) {
    return {ErrorCode::kInternal, "the control could not be corrupted: " + std::move(why), {}};
}

Result<Json> without_first_operator(Json result) {
    const auto operators = result.find("operators");
    if (operators == result.end() || !operators->is_array()) {
        return nothing_to_corrupt("no operators");
    }
    Json name;
    Json kept = Json::array();
    for (const Json& entry : *operators) {
        const bool computes = entry.is_object() && entry.value("compute", true);
        if (name.is_null() && computes) name = entry.value("name", Json());
        if (name.is_null() || entry.value("name", Json()) != name) kept.push_back(entry);
    }
    if (name.is_null()) return nothing_to_corrupt("no operator computes");
    *operators = std::move(kept);
    // An operator that is not there is not registered either.
    if (const auto expected = result.find("expected"); expected != result.end()) {
        for (Json& entry : *expected) {
            if (entry.value("name", Json()) == name) entry["support"] = "missing";
        }
    }
    return result;
}

}  // namespace

bool is_ours(const Json& tamper) {
    return kind_of(tamper) == "answer" || kind_of(tamper) == "drop_operator";
}

Result<Json> corrupted(const Json& tamper, Json result) {
    if (kind_of(tamper) == "drop_operator") return without_first_operator(std::move(result));
    try {
        Json patched = result.patch(tamper.value("patch", Json::array()));
        if (patched == result) return nothing_to_corrupt("the patch changes nothing");
        return patched;
    } catch (const nlohmann::json::exception& exception) {
        return nothing_to_corrupt(exception.what());
    }
}

bool is_measuring(std::string_view request) {
    constexpr std::array<std::string_view, 14> kMeasuring{
        "replay",   "repeat",     "time", "numerics",    "teacher_force",      "train",
        "logprobs", "collective", "soak", "run_trainer", "train_checkpointed", "parallel_step",
        "generate", "module"};
    return std::find(kMeasuring.begin(), kMeasuring.end(), request) != kMeasuring.end();
}

}  // namespace ascertain::qualification
