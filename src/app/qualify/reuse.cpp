#include "app/qualify/reuse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "app/qualify/conversion.hpp"
#include "base/device_name.hpp"
#include "decide/evidence/blobs.hpp"
#include "decide/evidence/verify.hpp"

namespace ascertain::app {
namespace {

// What decides the questions of a run; everything else of a campaign is about the verdict.
constexpr std::array kQuestionFields{"precision", "stages",  "fleets",
                                     "reference", "defects", "autocast"};
// Of the software, what has no part in measuring: observations are judged anew.
constexpr std::string_view kCriteria = "criteria";
// What an agent or the campaign adds to a device's own description.
constexpr std::array kPlace{"device", "node", "host"};

std::string text_at_or(const Json& object, std::string_view key, std::string otherwise) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

// Where a device is, whatever the campaign calls its node: host and name there.
std::string place_of(const Json& description, const std::string& host) {
    const std::string name = text_at_or(description, "device", "");
    return fmt::format("{} {}", text_at_or(description, "host", host), local_part(name));
}

Json own_words(Json description) {
    for (const char* key : kPlace) description.erase(key);
    return description;
}

// "torch was 2.13.0 and is 2.14.0", or empty.
std::string difference(const Json& before, const Json& now) {
    std::set<std::string> keys;
    for (const Json* object : {&before, &now}) {
        for (const auto& item : object->items()) keys.insert(item.key());
    }
    keys.erase(std::string(kCriteria));
    for (const std::string& key : keys) {
        const Json was = before.contains(key) ? before[key] : Json("absent");
        const Json is = now.contains(key) ? now[key] : Json("absent");
        if (was != is) return fmt::format("{} was {} and is {}", key, was.dump(), is.dump());
    }
    return {};
}

// The lower rung's name of each device of this run, for those that are the same.
std::map<std::string, std::string> same_devices(const LowerRung& lower, const RunIdentity& now,
                                                std::vector<std::string>& repeated) {
    std::map<std::string, std::string> renamed;
    for (const Json& is : now.devices) {
        const std::string name = text_at_or(is, "device", "");
        const auto was = std::ranges::find_if(lower.context.devices, [&](const Json& one) {
            return place_of(one, lower.context.host) == place_of(is, now.host);
        });
        if (was == lower.context.devices.end()) {
            repeated.push_back(fmt::format("everything on {}: it was not under test then", name));
        } else if (auto other = difference(own_words(*was), own_words(is)); !other.empty()) {
            repeated.push_back(fmt::format("everything on {}: {}", name, other));
        } else {
            renamed[text_at_or(*was, "device", "")] = name;
        }
    }
    return renamed;
}

// What is known for good: an answer, whatever it says. What broke or was skipped is asked again.
bool answered(const evidence::Attempt& attempt) {
    switch (attempt.outcome) {
        case evidence::Outcome::kCompleted:
        case evidence::Outcome::kUnsupported:
        case evidence::Outcome::kDeviceError: return true;
        default: return false;
    }
}

class Selection {
public:
    Selection(const LowerRung& lower, const qualification::Plan& plan,
              std::map<std::string, std::string> renamed)
        : lower_(lower), renamed_(std::move(renamed)) {
        for (const auto& item : plan.items) planned_.emplace(item.id, item.device);
    }

    void take(const evidence::Record& record) {
        if (record.kind == "prediction") return take_prediction(record);
        if (record.kind == "attempt") take_attempt(record);
    }

    Reuse result;
    std::set<std::pair<std::string, std::string>> measured;

private:
    // The device's name in this run, when this is about a check that it plans on that device.
    [[nodiscard]] std::optional<std::string> place(const std::string& check,
                                                   const std::string& device) const {
        const auto name = renamed_.find(device);
        if (name == renamed_.end() || !planned_.contains({check, name->second})) {
            return std::nullopt;
        }
        return name->second;
    }

    void take_prediction(const evidence::Record& record) {
        auto prediction = evidence::prediction_from_json(record.body, record.id());
        if (!prediction) return;
        const auto device = place(prediction->check, prediction->device);
        if (!device) return;
        prediction->device = *device;
        result.records.emplace_back("prediction", evidence::to_json(*prediction));
    }

    void take_attempt(const evidence::Record& record) {
        auto attempt = evidence::attempt_from_json(record.body, record.id());
        if (!attempt || !answered(*attempt)) return;
        const auto device = place(attempt->check, attempt->device);
        if (!device) return;
        attempt->device = *device;
        // Evidence that was itself reused is cited where it was measured.
        if (!attempt->detail.contains("reused")) {
            attempt->detail["reused"] = {{"evidence_head", lower_.head}, {"record", record.id()}};
        }
        if (attempt->role == evidence::Role::kMeasure) measured.emplace(attempt->check, *device);
        result.attempts.push_back(to_measure(*attempt));
        result.records.emplace_back("attempt", evidence::to_json(*attempt));
    }

    const LowerRung& lower_;
    std::map<std::string, std::string> renamed_;
    std::set<std::pair<std::string, std::string>> planned_;
};

}  // namespace

Result<LowerRung> read_lower_rung(const std::string& directory) {
    const auto verified = evidence::verify(directory);
    if (!verified) return verified.error();
    auto records = evidence::read_all(directory);
    if (!records) return records.error();
    LowerRung lower;
    lower.directory = directory;
    lower.head = verified->head;
    bool has_context = false;
    for (const auto& record : *records) {
        if (record.kind == "context") {
            auto context = evidence::context_from_json(record.body, record.id());
            if (!context) return context.error();
            lower.context = *std::move(context);
            has_context = true;
        } else if (record.kind == "required") {
            auto required = evidence::required_from_json(record.body, record.id());
            if (!required) return required.error();
            lower.rung = required->rung;
            lower.profile = required->profile;
        }
    }
    if (!has_context || lower.rung.empty()) {
        return Error{ErrorCode::kBadInput, "this run never fixed what it would ask", directory};
    }
    const auto blob = [&](const char* key) {
        return evidence::get_blob(directory, text_at_or(lower.context.campaign, key, ""));
    };
    auto config = blob("config_blob");
    if (!config) return config.error();
    lower.config_text = *std::move(config);
    const auto capture = blob("capture_blob");
    if (!capture) return capture.error();
    auto parsed = parse_json(*capture, "capture");
    if (!parsed) return parsed.error();
    lower.capture = *std::move(parsed);
    lower.records = *std::move(records);
    return lower;
}

std::string other_question(const LowerRung& lower, const RunIdentity& now) {
    if (lower.profile != now.profile) {
        return fmt::format("the profile was {} and is {}", lower.profile, now.profile);
    }
    if (lower.config_text != now.config_text) return "the model's config differs";
    for (const char* field : kQuestionFields) {
        const Json& was = lower.context.campaign;
        if (was.value(field, Json()) != now.campaign.value(field, Json())) {
            return fmt::format("the campaign's {} differs", field);
        }
    }
    return {};
}

Reuse reuse(const LowerRung& lower, const RunIdentity& now, const qualification::Plan& plan) {
    Reuse nothing;
    std::string other = other_question(lower, now);
    if (other.empty()) other = difference(lower.context.software, now.software);
    if (!other.empty()) {
        nothing.repeated.push_back("everything: " + other);
        return nothing;
    }
    std::vector<std::string> repeated;
    Selection selection(lower, plan, same_devices(lower, now, repeated));
    for (const auto& record : lower.records) selection.take(record);
    Reuse result = std::move(selection.result);
    result.repeated = std::move(repeated);
    result.checks = selection.measured.size();
    return result;
}

}  // namespace ascertain::app
