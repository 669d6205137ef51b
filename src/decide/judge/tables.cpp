#include "decide/judge/tables.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace ascertain::judge {
namespace {

constexpr std::size_t kSizeBytesMax = 1u << 20;  // criteria are a few pages of text
// toml++ descends by recursion; brackets nested deeper than any criterion would use are refused
// before it sees them.
constexpr std::size_t kDepthMax = 32;

std::string place_of(std::string_view name, const toml::source_position& position) {
    return fmt::format("{}:{}:{}", name, position.line, position.column);
}

// A bound on nesting that needs no parser: opening brackets minus closing ones, texts included.
bool too_deep(std::string_view text) {
    std::size_t depth = 0;
    for (const char c : text) {
        if (c == '[' || c == '{') ++depth;
        if ((c == ']' || c == '}') && depth > 0) --depth;
        if (depth > kDepthMax) return true;
    }
    return false;
}

}  // namespace

Tables::Tables(std::string_view text, std::string_view name) : name_(name) {
    if (text.size() > kSizeBytesMax) {
        error_ = Error{
            ErrorCode::kBadInput,
            fmt::format("{} bytes is more than the {} bytes allowed", text.size(), kSizeBytesMax),
            name_};
        return;
    }
    if (too_deep(text)) {
        error_ = Error{ErrorCode::kBadInput, fmt::format("nested deeper than {} levels", kDepthMax),
                       name_};
        return;
    }
    try {
        root_ = toml::parse(text, std::string_view(name_));
    } catch (const toml::parse_error& problem) {
        error_ = Error{ErrorCode::kBadInput, std::string(problem.description()),
                       place_of(name_, problem.source().begin)};
    }
}

void Tables::fail(const toml::node& node, std::string message) {
    if (!error_) error_ = Error{ErrorCode::kBadInput, std::move(message), place(node)};
}

std::string Tables::place(const toml::node& node) const {
    return place_of(name_, node.source().begin);
}

void Tables::allow(const toml::table& table, std::initializer_list<std::string_view> keys) {
    for (const auto& [key, value] : table) {
        if (std::ranges::find(keys, key.str()) != keys.end()) continue;
        const std::vector<std::string> known(keys.begin(), keys.end());
        fail(value, fmt::format("unknown key \"{}\"{}", shortened(key.str(), 60),
                                did_you_mean(key.str(), known)));
    }
}

std::vector<const toml::table*> Tables::inner_tables(const toml::table& table,
                                                     std::string_view key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    const toml::array* list = node->as_array();
    if (list == nullptr) {
        fail(*node, fmt::format("\"{}\" must be a list of tables", key));
        return {};
    }
    std::vector<const toml::table*> tables;
    for (const auto& item : *list) {
        const toml::table* inner = item.as_table();
        if (inner == nullptr) {
            fail(item, fmt::format("\"{}\" must hold only tables", key));
            return {};
        }
        tables.push_back(inner);
    }
    return tables;
}

std::string Tables::optional_text(const toml::table& table, std::string_view key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    if (const auto value = node->value_exact<std::string>()) return *value;
    fail(*node, fmt::format("\"{}\" must be a text", key));
    return {};
}

std::string Tables::text(const toml::table& table, std::string_view key) {
    auto value = optional_text(table, key);
    if (value.empty()) fail(table, fmt::format("\"{}\" is missing", key));
    return value;
}

std::vector<std::string> Tables::texts(const toml::table& table, std::string_view key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    const toml::array* list = node->as_array();
    if (list == nullptr) {
        fail(*node, fmt::format("\"{}\" must be a list of texts", key));
        return {};
    }
    std::vector<std::string> values;
    for (const auto& item : *list) {
        if (const auto value = item.value_exact<std::string>()) {
            values.push_back(*value);
        } else {
            fail(item, fmt::format("\"{}\" must hold only texts", key));
        }
    }
    return values;
}

std::optional<double> Tables::number(const toml::table& table, std::string_view key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return std::nullopt;
    if (node->is_number()) return node->value<double>();
    fail(*node, fmt::format("\"{}\" must be a number", key));
    return std::nullopt;
}

std::optional<std::pair<double, double>> Tables::pair(const toml::table& table,
                                                      std::string_view key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return std::nullopt;
    const toml::array* list = node->as_array();
    if (list != nullptr && list->size() == 2 && (*list)[0].is_number() && (*list)[1].is_number()) {
        const double low = (*list)[0].value_or(0.0);
        const double high = (*list)[1].value_or(0.0);
        if (low <= high) return std::pair{low, high};
    }
    fail(*node, fmt::format("\"{}\" must be two numbers, the lower one first", key));
    return std::nullopt;
}

bool Tables::flag(const toml::table& table, std::string_view key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return false;
    if (const auto value = node->value_exact<bool>()) return *value;
    fail(*node, fmt::format("\"{}\" must be true or false", key));
    return false;
}

}  // namespace ascertain::judge
