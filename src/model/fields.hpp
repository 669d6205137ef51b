// Reads the members of one JSON object; private to this room.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.hpp"
#include "base/text.hpp"

namespace ascertain::model {

// Reads members and remembers the first thing that went wrong, so that a family reads as a list.
class Fields {
public:
    Fields(const Json& object, std::string name) : object_(object), name_(std::move(name)) {}

    [[nodiscard]] bool has(std::string_view key) const {
        const auto found = key.empty() ? object_.end() : object_.find(std::string(key));
        return found != object_.end() && !found->is_null();
    }
    std::int64_t integer(std::string_view key) { return read<std::int64_t>(key, integer_at); }
    std::int64_t integer_or(std::string_view key, std::int64_t otherwise) {
        return has(key) ? integer(key) : otherwise;
    }
    double number(std::string_view key) { return read<double>(key, number_at); }
    double number_or(std::string_view key, double otherwise) {
        return has(key) ? number(key) : otherwise;
    }
    bool flag_or(std::string_view key, bool otherwise) {
        return has(key) ? read<bool>(key, flag_at) : otherwise;
    }
    std::string text_or(std::string_view key, std::string otherwise) {
        return has(key) ? read<std::string>(key, text_at) : std::move(otherwise);
    }
    // A member that is an object; null when absent.
    const Json* object(std::string_view key) {
        if (!has(key)) return nullptr;
        const Json& value = object_.at(std::string(key));
        if (value.is_object()) return &value;
        refuse(key, fmt::format("must be an object, not {}", shortened(value.dump(), 60)));
        return nullptr;
    }
    const Json* array(std::string_view key) {
        if (!has(key)) return nullptr;
        const Json& value = object_.at(std::string(key));
        if (value.is_array()) return &value;
        refuse(key, fmt::format("must be a list, not {}", shortened(value.dump(), 60)));
        return nullptr;
    }

    void refuse(std::string_view key, std::string message, ErrorCode code = ErrorCode::kBadInput) {
        if (!error_) error_ = Error{code, std::move(message), fmt::format("{}: {}", name_, key)};
    }
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }
    [[nodiscard]] const std::string& name() const { return name_; }

private:
    template <typename T, typename Reader>
    T read(std::string_view key, Reader reader) {
        if (error_) return T{};
        const auto value = reader(object_, key, fmt::format("{}: {}", name_, key));
        if (value) return static_cast<T>(*value);
        error_ = value.error();
        return T{};
    }

    const Json& object_;
    std::string name_;
    std::optional<Error> error_;
};

}  // namespace ascertain::model
