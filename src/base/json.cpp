#include "base/json.hpp"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "base/text.hpp"

namespace ascertain {
namespace {

// Builds the document while refusing what a lenient reader lets through. nlohmann calls these
// handlers in document order; returning false stops it.
class StrictBuilder final : public nlohmann::json_sax<Json> {
public:
    StrictBuilder(Json& root, std::size_t depth_max) : dom_(root, false), depth_max_(depth_max) {}

    bool null() override { return dom_.null(); }
    bool boolean(bool value) override { return dom_.boolean(value); }
    bool number_integer(number_integer_t value) override { return dom_.number_integer(value); }
    bool number_unsigned(number_unsigned_t value) override { return dom_.number_unsigned(value); }
    bool number_float(number_float_t value, const string_t& text) override {
        if (!std::isfinite(value))
            return refuse(fmt::format("the number {} is out of range", text));
        return dom_.number_float(value, text);
    }
    bool string(string_t& value) override { return dom_.string(value); }
    bool binary(binary_t& value) override { return dom_.binary(value); }
    bool start_object(std::size_t size) override {
        keys_.emplace_back();
        return deep() && dom_.start_object(size);
    }
    bool end_object() override {
        keys_.pop_back();
        return dom_.end_object();
    }
    bool start_array(std::size_t size) override {
        keys_.emplace_back();
        return deep() && dom_.start_array(size);
    }
    bool end_array() override {
        keys_.pop_back();
        return dom_.end_array();
    }
    bool key(string_t& value) override {
        if (!keys_.back().insert(value).second) {
            return refuse(fmt::format("the key \"{}\" appears twice in one object", value));
        }
        return dom_.key(value);
    }
    bool parse_error(std::size_t position, const std::string& token,
                     const nlohmann::detail::exception& error) override {
        position_ = position;
        const std::string_view what = error.what();
        const auto dash = what.find("- ");
        reason_ =
            dash == std::string_view::npos ? std::string(what) : std::string(what.substr(dash + 2));
        static_cast<void>(token);
        return false;
    }

    [[nodiscard]] const std::string& reason() const { return reason_; }
    [[nodiscard]] std::size_t position() const { return position_; }

private:
    bool refuse(std::string why) {
        reason_ = std::move(why);
        return false;
    }
    bool deep() {
        return keys_.size() <= depth_max_ ||
               refuse(fmt::format("nested deeper than {} levels", depth_max_));
    }

    nlohmann::detail::json_sax_dom_parser<Json> dom_;
    std::vector<std::set<std::string>> keys_;
    std::size_t depth_max_;
    std::string reason_;
    std::size_t position_ = 0;
};

// "name:line:column" of a byte offset; the name alone when the offset is unknown (0).
std::string place(std::string_view text, std::size_t position, std::string_view name) {
    if (position == 0 || position > text.size() + 1) return std::string(name);
    std::size_t line = 1;
    std::size_t column = 1;
    for (std::size_t i = 0; i + 1 < position; ++i) {
        if (text[i] == '\n') {
            ++line;
            column = 1;
        } else {
            ++column;
        }
    }
    return fmt::format("{}:{}:{}", name, line, column);
}

Result<const Json*> member(const Json& object, std::string_view key, std::string_view name) {
    if (!object.is_object()) {
        return Error{ErrorCode::kBadInput, fmt::format("expected an object with \"{}\"", key),
                     std::string(name)};
    }
    const auto found = object.find(std::string(key));
    if (found != object.end()) return &*found;
    std::vector<std::string> known;
    for (const auto& item : object.items()) known.push_back(item.key());
    return Error{ErrorCode::kBadInput,
                 fmt::format("\"{}\" is missing{}", key, did_you_mean(key, known)),
                 std::string(name)};
}

Error wrong_type(std::string_view key, std::string_view wanted, const Json& value,
                 std::string_view name) {
    return {ErrorCode::kBadInput,
            fmt::format("\"{}\" must be {}, not {}", key, wanted, shortened(value.dump(), 60)),
            std::string(name)};
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view name, const JsonLimits& limits) {
    if (text.size() > limits.size_bytes_max) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("{} bytes is more than the {} bytes allowed", text.size(),
                                 limits.size_bytes_max),
                     std::string(name)};
    }
    Json document;
    StrictBuilder builder(document, limits.depth_max);
    bool good = false;
    try {
        good = Json::sax_parse(text, &builder);
    } catch (const nlohmann::json::exception& error) {
        return Error{ErrorCode::kBadInput, error.what(), std::string(name)};
    }
    if (!good) {
        return Error{ErrorCode::kBadInput,
                     builder.reason().empty() ? "not a JSON document" : builder.reason(),
                     place(text, builder.position(), name)};
    }
    return document;
}

Result<Json> parse_json(std::string_view text, std::string_view name) {
    return parse_json(text, name, JsonLimits{});
}

Result<double> number_at(const Json& object, std::string_view key, std::string_view name) {
    const auto value = member(object, key, name);
    if (!value) return value.error();
    if (!(*value)->is_number()) return wrong_type(key, "a number", **value, name);
    return (*value)->get<double>();
}

Result<long long> integer_at(const Json& object, std::string_view key, std::string_view name) {
    const auto value = member(object, key, name);
    if (!value) return value.error();
    const Json& found = **value;
    if (found.is_number_unsigned() &&
        found.get<unsigned long long>() > static_cast<unsigned long long>(INT64_MAX)) {
        return wrong_type(key, "an integer below 2^63", found, name);
    }
    if (found.is_number_integer()) return found.get<long long>();
    // 14.8e12 is an honest way to write an integer.
    if (found.is_number_float() && std::trunc(found.get<double>()) == found.get<double>() &&
        std::abs(found.get<double>()) < 9e15) {
        return static_cast<long long>(found.get<double>());
    }
    return wrong_type(key, "an integer", found, name);
}

Result<std::string> text_at(const Json& object, std::string_view key, std::string_view name) {
    const auto value = member(object, key, name);
    if (!value) return value.error();
    if (!(*value)->is_string()) return wrong_type(key, "a text", **value, name);
    return (*value)->get<std::string>();
}

Result<bool> flag_at(const Json& object, std::string_view key, std::string_view name) {
    const auto value = member(object, key, name);
    if (!value) return value.error();
    if (!(*value)->is_boolean()) return wrong_type(key, "true or false", **value, name);
    return (*value)->get<bool>();
}

Json finite_or_null(double value) {
    return std::isfinite(value) ? Json(value) : Json(nullptr);
}

}  // namespace ascertain
