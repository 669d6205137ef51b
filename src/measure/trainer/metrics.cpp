#include "measure/trainer/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/json.hpp"

namespace ascertain::trainer {
namespace {

constexpr std::array<std::string_view, 4> kGroups{"step", "loss", "grad_norm", "held_out"};
constexpr std::int64_t kNoStep = -1;
constexpr double kStepMax = 1e15;

std::int64_t step_of(double value) {
    return value >= 0.0 && value < kStepMax ? static_cast<std::int64_t>(value) : kNoStep;
}

// JSON has no word for what is not finite; some trainers write null, some a string.
std::optional<double> number_in(const Json& object, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        const auto found = object.find(name);
        if (found == object.end()) continue;
        if (found->is_number()) return found->get<double>();
        if (found->is_null()) return std::numeric_limits<double>::quiet_NaN();
        if (found->is_string()) return number_of(found->get<std::string>());
    }
    return std::nullopt;
}

// Python's json writes NaN and Infinity bare, which no parser takes.
std::string with_quoted_names(std::string_view line) {
    std::string result;
    bool in_text = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '"' && (i == 0 || line[i - 1] != '\\')) in_text = !in_text;
        bool replaced = false;
        for (const std::string_view word : {"-Infinity", "Infinity", "NaN"}) {
            if (in_text || line.substr(i, word.size()) != word) continue;
            result += fmt::format("\"{}\"", word);
            i += word.size() - 1;
            replaced = true;
            break;
        }
        if (!replaced) result += line[i];
    }
    return result;
}

bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

std::optional<double> number_of(std::string_view text) {
    while (!text.empty() && (text.front() == '+' || text.front() == ' ')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == ',')) text.remove_suffix(1);
    double value = 0.0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range) return std::numeric_limits<double>::infinity();
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

Result<LogPattern> LogPattern::parse(const std::string& text) {
    LogPattern pattern;
    std::string plain;
    bool in_class = false;
    bool named = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) {
            plain += text[i];
            plain += text[++i];
            continue;
        }
        if (text[i] == '[') in_class = true;
        if (text[i] == ']') in_class = false;
        plain += text[i];
        if (text[i] != '(' || in_class) continue;
        const std::string_view rest = std::string_view(text).substr(i + 1);
        const std::size_t prefix = rest.starts_with("?P<") ? 3 : rest.starts_with("?<") ? 2 : 0;
        const bool assertion = rest.starts_with("?<=") || rest.starts_with("?<!");
        if (prefix == 0 || assertion) {
            if (!rest.starts_with("?")) pattern.groups_.emplace_back();
            continue;
        }
        const std::size_t end = rest.find('>');
        const std::string name(
            rest.substr(prefix, end == std::string_view::npos ? 0 : end - prefix));
        if (std::ranges::find(kGroups, name) == kGroups.end()) {
            return Error{
                ErrorCode::kUsage,
                fmt::format("no group is called \"{}\": step, loss, grad_norm, held_out", name),
                "--log-pattern"};
        }
        pattern.groups_.push_back(name);
        named = true;
        i += end + 1;
    }
    if (!named && !pattern.groups_.empty()) pattern.groups_[0] = "loss";
    const bool useful = std::ranges::any_of(pattern.groups_, [](const std::string& group) {
        return group == "loss" || group == "held_out";
    });
    if (!useful) {
        return Error{ErrorCode::kUsage,
                     "it has no group for the loss, such as (?P<loss>[-+.0-9e]+)", "--log-pattern"};
    }
    try {
        pattern.expression_ = std::regex(plain, std::regex::ECMAScript | std::regex::optimize);
    } catch (const std::regex_error& wrong) {
        return Error{ErrorCode::kUsage,
                     fmt::format("it is no regular expression: {}", wrong.what()), "--log-pattern"};
    }
    return pattern;
}

std::optional<Point> LogPattern::match(std::string_view line) const {
    std::match_results<std::string_view::const_iterator> found;
    try {
        if (!std::regex_search(line.begin(), line.end(), found, expression_)) return std::nullopt;
    } catch (const std::regex_error&) {
        return std::nullopt;  // a pattern too costly for this line
    }
    Point point;
    point.step = kNoStep;
    for (std::size_t i = 0; i < groups_.size() && i + 1 < found.size(); ++i) {
        if (!found[i + 1].matched) continue;
        const auto number = number_of(found[i + 1].str());
        if (!number) continue;
        if (groups_[i] == "step") point.step = step_of(*number);
        if (groups_[i] == "loss") point.loss = number;
        if (groups_[i] == "grad_norm") point.grad_norm = number;
        if (groups_[i] == "held_out") point.held_out = number;
    }
    if (!point.loss && !point.held_out) return std::nullopt;
    return point;
}

std::optional<Point> point_of_json(std::string_view line, const MetricNames& names,
                                   bool& malformed) {
    malformed = false;
    if (is_blank(line)) return std::nullopt;
    Json object = Json::parse(line, nullptr, false);
    if (object.is_discarded()) object = Json::parse(with_quoted_names(line), nullptr, false);
    malformed = object.is_discarded() || !object.is_object();
    if (malformed) return std::nullopt;
    Point point;
    point.step = kNoStep;
    if (const auto step = number_in(object, names.step)) point.step = step_of(*step);
    point.loss = number_in(object, names.loss);
    point.grad_norm = number_in(object, names.grad_norm);
    point.held_out = number_in(object, names.held_out);
    if (!point.loss && !point.held_out) return std::nullopt;
    return point;
}

MetricReader::MetricReader(MetricNames names, std::optional<LogPattern> pattern,
                           ReaderLimits limits)
    : names_(std::move(names)), pattern_(std::move(pattern)), limits_(limits) {}

void MetricReader::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        // Progress bars end a line with a carriage return.
        const std::size_t end = bytes.find_first_of("\n\r");
        const std::string_view part = bytes.substr(0, end);
        const std::size_t room = limits_.line_bytes - std::min(limits_.line_bytes, line_.size());
        line_ += part.substr(0, room);
        overlong_ = overlong_ || part.size() > room;
        if (end == std::string_view::npos) return;
        finish();
        bytes.remove_prefix(end + 1);
    }
}

void MetricReader::finish() {
    if (overlong_) {
        ++lines_;
        ++malformed_;
    } else if (!is_blank(line_)) {
        take(line_);
    }
    line_.clear();
    overlong_ = false;
}

void MetricReader::take(std::string_view line) {
    ++lines_;
    bool malformed = false;
    std::optional<Point> point;
    if (pattern_) {
        point = pattern_->match(line.substr(0, limits_.pattern_bytes));
    } else {
        point = point_of_json(line, names_, malformed);
    }
    malformed_ += malformed ? 1 : 0;
    if (!point) return;
    if (points_.size() >= limits_.points) {
        full_ = true;
        return;
    }
    if (point->step == kNoStep) {
        steps_named_ = false;
        point->step = points_.empty() ? 1 : points_.back().step + 1;
    }
    points_.push_back(*point);
}

}  // namespace ascertain::trainer
