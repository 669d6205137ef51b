#include "base/toml_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace ascertain {
namespace {

const toml::table& empty_table() {
    static const toml::table empty;
    return empty;
}

}  // namespace

std::string TomlTable::place(const toml::node& node) const {
    const auto& begin = node.source().begin;
    return fmt::format("{}:{}:{}", path_, begin.line, begin.column);
}

void TomlTable::refuse(std::string_view key, std::string message) {
    if (first_error_) return;
    const toml::node* node = table_.get(key);
    first_error_ = Error{ErrorCode::kBadInput, std::move(message), place(node ? *node : table_)};
}

const toml::node* TomlTable::find(std::string_view key, bool required) {
    known_.emplace_back(key);
    const toml::node* node = table_.get(key);
    if (!node && required) refuse(key, fmt::format("[{}] needs \"{}\"", name_, key));
    return node;
}

std::string TomlTable::text(std::string_view key) {
    const toml::node* node = find(key, true);
    if (!node) return {};
    const auto value = node->value_exact<std::string>();
    if (!value) refuse(key, fmt::format("\"{}\" must be a text in quotes", key));
    if (value && value->empty()) refuse(key, fmt::format("\"{}\" is empty", key));
    return value.value_or("");
}

std::string TomlTable::text_or(std::string_view key, std::string otherwise) {
    return table_.get(key) ? text(key) : (known_.emplace_back(key), std::move(otherwise));
}

std::string TomlTable::choice(std::string_view key, const std::vector<std::string>& choices) {
    std::string value = text(key);
    if (!first_error_ && std::ranges::find(choices, value) == choices.end()) {
        refuse(key, fmt::format("\"{}\" is not one of {}{}", value, fmt::join(choices, ", "),
                                did_you_mean(value, choices)));
    }
    return value;
}

std::int64_t TomlTable::integer(std::string_view key, std::int64_t low, std::int64_t high) {
    const toml::node* node = find(key, true);
    if (!node) return low;
    std::optional<std::int64_t> value = node->value_exact<std::int64_t>();
    if (const auto real = node->value_exact<double>();
        real && std::trunc(*real) == *real && std::abs(*real) < 9e15) {
        value = static_cast<std::int64_t>(*real);
    }
    if (!value) {
        refuse(key, fmt::format("\"{}\" must be a whole number", key));
        return low;
    }
    if (*value < low || *value > high) {
        refuse(key, fmt::format("\"{}\" is {}, outside {} to {}", key, *value, low, high));
        return low;
    }
    return *value;
}

std::vector<std::int64_t> TomlTable::integers(std::string_view key, std::int64_t low,
                                              std::int64_t high) {
    const toml::node* node = find(key, false);
    if (!node) return {};
    const toml::array* list = node->as_array();
    if (!list) return {integer(key, low, high)};
    std::vector<std::int64_t> values;
    for (const auto& item : *list) {
        const auto value = item.value_exact<std::int64_t>();
        if (!value || *value < low || *value > high) {
            refuse(key, fmt::format("\"{}\" must be whole numbers from {} to {}", key, low, high));
            return {};
        }
        values.push_back(*value);
    }
    if (values.empty()) refuse(key, fmt::format("\"{}\" is empty: leave it out", key));
    return values;
}

std::int64_t TomlTable::integer_or(std::string_view key, std::int64_t low, std::int64_t high,
                                   std::int64_t otherwise) {
    return table_.get(key) ? integer(key, low, high) : (known_.emplace_back(key), otherwise);
}

std::optional<double> TomlTable::maybe_number(std::string_view key, double low, double high) {
    const toml::node* node = find(key, false);
    if (!node) return std::nullopt;
    const auto value = node->value<double>();
    if (!value || !std::isfinite(*value) || node->is_string()) {
        refuse(key, fmt::format("\"{}\" must be a number", key));
        return std::nullopt;
    }
    if (*value <= low || *value >= high) {
        refuse(key,
               fmt::format("\"{}\" is {}, it must lie between {} and {}", key, *value, low, high));
        return std::nullopt;
    }
    return value;
}

std::optional<bool> TomlTable::maybe_flag(std::string_view key) {
    const toml::node* node = find(key, false);
    if (!node) return std::nullopt;
    const auto value = node->value_exact<bool>();
    if (!value) refuse(key, fmt::format("\"{}\" must be true or false", key));
    return value;
}

double TomlTable::number_or(std::string_view key, double low, double high, double otherwise) {
    return maybe_number(key, low, high).value_or(otherwise);
}

template <typename Q>
std::optional<Q> TomlTable::quantity(std::string_view key, Result<Q> (*parse)(std::string_view)) {
    const toml::node* node = find(key, false);
    if (!node) return std::nullopt;
    const auto value = node->value_exact<std::string>();
    if (!value) {
        refuse(key,
               fmt::format("\"{}\" must be a text with a unit, such as \"90 d\", \"60 MUSD\" or "
                           "\"200 Gbit/s\"",
                           key));
        return std::nullopt;
    }
    const auto parsed = parse(*value);
    if (!parsed) {
        refuse(key, parsed.error().message);
        return std::nullopt;
    }
    return *parsed;
}

std::optional<Seconds> TomlTable::maybe_duration(std::string_view key) {
    return quantity<Seconds>(key, parse_duration);
}
std::optional<Bytes> TomlTable::maybe_size(std::string_view key) {
    return quantity<Bytes>(key, parse_size);
}
std::optional<Dollars> TomlTable::maybe_money(std::string_view key) {
    return quantity<Dollars>(key, parse_money);
}
std::optional<BytesPerSecond> TomlTable::maybe_rate(std::string_view key) {
    return quantity<BytesPerSecond>(key, parse_rate);
}

std::vector<std::string> TomlTable::texts_or(std::string_view key,
                                             std::vector<std::string> otherwise) {
    const toml::node* node = find(key, false);
    if (!node) return otherwise;
    const toml::array* list = node->as_array();
    std::vector<std::string> values;
    if (list) {
        for (const auto& item : *list) {
            const auto value = item.value_exact<std::string>();
            if (value) values.push_back(*value);
        }
    }
    if (!list || values.size() != list->size() || values.empty()) {
        refuse(key, fmt::format("\"{}\" must be a list of texts, such as [\"auto\"]", key));
    }
    return values;
}

const toml::table& TomlTable::table(std::string_view key) {
    const auto found = tables(key, true);
    return found.empty() ? empty_table() : *found.front();
}

std::vector<const toml::table*> TomlTable::tables(std::string_view key, bool required) {
    const toml::node* node = find(key, required);
    if (!node) return {};
    if (const auto* single = node->as_table()) return {single};
    std::vector<const toml::table*> list;
    if (const auto* array = node->as_array()) {
        for (const auto& item : *array) {
            if (const auto* entry = item.as_table()) list.push_back(entry);
        }
        if (list.size() == array->size() && !list.empty()) return list;
    }
    refuse(key, fmt::format("\"{}\" must be a table, [{}] or [[{}]]", key, key, key));
    return {};
}

void TomlTable::refuse_unknown() {
    for (const auto& [key, node] : table_) {
        if (std::ranges::find(known_, key.str()) != known_.end()) continue;
        if (first_error_) return;
        first_error_ = Error{ErrorCode::kBadInput,
                             fmt::format("[{}] knows no \"{}\"{}; it knows {}", name_, key.str(),
                                         did_you_mean(key.str(), known_), fmt::join(known_, ", ")),
                             place(node)};
    }
}

}  // namespace ascertain
