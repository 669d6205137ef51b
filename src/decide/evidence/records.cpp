#include "decide/evidence/records.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace ascertain::evidence {
namespace {

constexpr std::array<std::pair<Role, std::string_view>, 4> kRoles{{
    {Role::kMeasure, "measure"},
    {Role::kConfirm, "confirm"},
    {Role::kControl, "control"},
    {Role::kControlClean, "control_clean"},
}};

constexpr std::array<std::pair<Outcome, std::string_view>, 9> kOutcomes{{
    {Outcome::kCompleted, "completed"},
    {Outcome::kUnsupported, "unsupported"},
    {Outcome::kNoReference, "no_reference"},
    {Outcome::kDeviceError, "device_error"},
    {Outcome::kTimedOut, "timed_out"},
    {Outcome::kCrashed, "crashed"},
    {Outcome::kDeviceLost, "device_lost"},
    {Outcome::kSkipped, "skipped"},
    {Outcome::kHarnessError, "harness_error"},
}};

template <typename Value, std::size_t count>
std::string_view name_in(const std::array<std::pair<Value, std::string_view>, count>& table,
                         Value value) {
    for (const auto& [entry, name] : table) {
        if (entry == value) return name;
    }
    ASCERTAIN_ASSERT(false);
    return {};
}

// Takes fields out of one object. The first that is missing or mistyped becomes the error; what is
// read after it does not matter, so a reader can take all fields and ask once.
class Fields {
public:
    Fields(const Json& object, std::string_view name) : object_(object), name_(name) {
        if (!object_.is_object()) fail("expected an object");
    }

    std::string text(const char* key) { return take<std::string>(text_at, key); }
    double number(const char* key) { return take<double>(number_at, key); }
    bool flag(const char* key) { return take<bool>(flag_at, key); }
    std::uint64_t seed(const char* key) {
        const auto value = take<long long>(integer_at, key);
        if (value < 0) fail(fmt::format("\"{}\" must not be negative", key));
        return static_cast<std::uint64_t>(value);
    }
    int count(const char* key) {
        const auto value = take<long long>(integer_at, key);
        if (value < 0 || value > 1'000'000'000) fail(fmt::format("\"{}\" is out of range", key));
        return static_cast<int>(value);
    }
    Json object(const char* key) { return typed(key, Json::value_t::object, "an object"); }
    Json array(const char* key) { return typed(key, Json::value_t::array, "an array"); }
    std::vector<std::string> texts(const char* key) {
        std::vector<std::string> values;
        for (const auto& item : array(key)) {
            if (!item.is_string()) {
                fail(fmt::format("\"{}\" must hold only texts", key));
                return {};
            }
            values.push_back(item.get<std::string>());
        }
        return values;
    }
    Observation observation(const char* key) {
        auto value = observation_from_json(array(key), name_);
        if (value) return std::move(*value);
        fail(value.error().message);
        return {};
    }
    template <typename Value, std::size_t count>
    Value one_of(const char* key,
                 const std::array<std::pair<Value, std::string_view>, count>& table) {
        const std::string word = text(key);
        for (const auto& [value, name] : table) {
            if (name == word) return value;
        }
        fail(fmt::format("\"{}\" is \"{}\", which is none of its values", key, word));
        return table.front().first;
    }

    void fail(std::string message) {
        if (!error_) error_ = Error{ErrorCode::kEvidence, std::move(message), name_};
    }
    template <typename Value>
    Result<Value> finish(Value value) {
        if (error_) return *error_;
        return value;
    }

private:
    template <typename Value, typename Reader>
    Value take(Reader reader, const char* key) {
        auto value = reader(object_, key, name_);
        if (value) return std::move(*value);
        fail(value.error().message);
        return Value{};
    }
    Json typed(const char* key, Json::value_t type, const char* wanted) {
        const Json empty = type == Json::value_t::object ? Json::object() : Json::array();
        if (!object_.is_object()) return empty;
        const auto found = object_.find(key);
        if (found == object_.end()) {
            fail(fmt::format("\"{}\" is missing", key));
            return empty;
        }
        if (found->type() != type) {
            fail(fmt::format("\"{}\" must be {}", key, wanted));
            return empty;
        }
        return *found;
    }

    const Json& object_;
    std::string name_;
    std::optional<Error> error_;
};

Json to_json(const PlannedCheck& check) {
    return {{"id", check.id},
            {"device", check.device},
            {"question", check.question},
            {"family", check.family},
            {"required", check.required},
            {"timing", check.timing},
            {"has_control", check.has_control},
            {"estimate_s", finite_or_null(check.estimate_s)}};
}

Result<PlannedCheck> planned_from_json(const Json& item, std::string_view name) {
    Fields fields(item, name);
    PlannedCheck check;
    check.id = fields.text("id");
    check.device = fields.text("device");
    check.question = fields.text("question");
    check.family = fields.text("family");
    check.required = fields.flag("required");
    check.timing = fields.flag("timing");
    check.has_control = fields.flag("has_control");
    check.estimate_s = fields.number("estimate_s");
    return fields.finish(std::move(check));
}

}  // namespace

std::string_view name_of(Role role) {
    return name_in(kRoles, role);
}
std::string_view name_of(Outcome outcome) {
    return name_in(kOutcomes, outcome);
}

Json to_json(const SessionContext& value) {
    return {{"tool_version", value.tool_version},
            {"commit", value.commit},
            {"arguments", value.arguments},
            {"host", value.host},
            {"system", value.system},
            {"time_utc", value.time_utc},
            {"campaign", value.campaign},
            {"devices", value.devices},
            {"software", value.software}};
}

Json to_json(const RequiredSet& value) {
    Json checks = Json::array();
    for (const auto& check : value.checks) checks.push_back(to_json(check));
    return {{"profile", value.profile},    {"rung", value.rung},
            {"part", value.part},          {"seed", value.seed},
            {"checks", std::move(checks)}, {"left_out", value.left_out}};
}

Json to_json(const Prediction& value) {
    return {{"id", value.id},
            {"check", value.check},
            {"device", value.device},
            {"metric", value.metric},
            {"value", finite_or_null(value.value)},
            {"low", finite_or_null(value.low)},
            {"high", finite_or_null(value.high)},
            {"unit", value.unit},
            {"calibrated", value.calibrated},
            {"basis", value.basis}};
}

Json to_json(const Attempt& value) {
    return {{"check", value.check},
            {"device", value.device},
            {"role", name_of(value.role)},
            {"number", value.number},
            {"seed", value.seed},
            {"outcome", name_of(value.outcome)},
            {"category", value.category},
            {"message", value.message},
            {"observation", to_json(value.observation)},
            {"detail", value.detail},
            {"reproduce", value.reproduce},
            {"started_utc", value.started_utc},
            {"duration_s", finite_or_null(value.duration_s)},
            {"blobs", value.blobs}};
}

Json to_json(const SessionEnd& value) {
    return {{"complete", value.complete},
            {"reason", value.reason},
            {"duration_s", finite_or_null(value.duration_s)}};
}

Result<SessionContext> context_from_json(const Json& body, std::string_view name) {
    Fields fields(body, name);
    SessionContext value;
    value.tool_version = fields.text("tool_version");
    value.commit = fields.text("commit");
    value.arguments = fields.texts("arguments");
    value.host = fields.text("host");
    value.system = fields.text("system");
    value.time_utc = fields.text("time_utc");
    value.campaign = fields.object("campaign");
    value.devices = fields.array("devices");
    value.software = fields.object("software");
    return fields.finish(std::move(value));
}

Result<RequiredSet> required_from_json(const Json& body, std::string_view name) {
    Fields fields(body, name);
    RequiredSet value;
    value.profile = fields.text("profile");
    value.rung = fields.text("rung");
    value.seed = fields.seed("seed");
    value.left_out = fields.texts("left_out");
    if (body.is_object() && body.contains("part")) value.part = fields.text("part");
    for (const auto& item : fields.array("checks")) {
        auto check = planned_from_json(item, name);
        if (!check) return check.error();
        value.checks.push_back(std::move(*check));
    }
    return fields.finish(std::move(value));
}

Result<Prediction> prediction_from_json(const Json& body, std::string_view name) {
    Fields fields(body, name);
    Prediction value;
    value.id = fields.text("id");
    value.check = fields.text("check");
    value.device = fields.text("device");
    value.metric = fields.text("metric");
    value.value = fields.number("value");
    value.low = fields.number("low");
    value.high = fields.number("high");
    value.unit = fields.text("unit");
    value.calibrated = fields.flag("calibrated");
    value.basis = fields.array("basis");
    return fields.finish(std::move(value));
}

Result<Attempt> attempt_from_json(const Json& body, std::string_view name) {
    Fields fields(body, name);
    Attempt value;
    value.check = fields.text("check");
    value.device = fields.text("device");
    value.role = fields.one_of("role", kRoles);
    value.number = fields.count("number");
    value.seed = fields.seed("seed");
    value.outcome = fields.one_of("outcome", kOutcomes);
    value.category = fields.text("category");
    value.message = fields.text("message");
    value.observation = fields.observation("observation");
    value.detail = fields.object("detail");
    value.reproduce = fields.text("reproduce");
    value.started_utc = fields.text("started_utc");
    value.duration_s = fields.number("duration_s");
    value.blobs = fields.texts("blobs");
    return fields.finish(std::move(value));
}

Result<SessionEnd> session_end_from_json(const Json& body, std::string_view name) {
    Fields fields(body, name);
    SessionEnd value;
    value.complete = fields.flag("complete");
    value.reason = fields.text("reason");
    value.duration_s = fields.number("duration_s");
    return fields.finish(std::move(value));
}

}  // namespace ascertain::evidence
