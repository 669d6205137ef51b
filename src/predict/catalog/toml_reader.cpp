#include "predict/catalog/toml_reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>

#include "base/text.hpp"

namespace ascertain::catalog {
namespace {

constexpr std::size_t kSizeBytesMax = 1u << 20;  // a catalog file is a page of text

constexpr double kGibi = 1024.0 * 1024.0 * 1024.0;
constexpr std::array<UnitMeaning, 20> kUnits{{
    {"TFLOP/s", "flops_per_second", 1e12},
    {"TOP/s", "flops_per_second", 1e12},
    {"GB", "bytes", 1e9},
    {"GiB", "bytes", kGibi},
    {"GB/s", "bytes_per_second", 1e9},
    {"Gbit/s", "bytes_per_second", 1e9 / 8.0},
    {"us", "seconds", 1e-6},
    {"s", "seconds", 1.0},
    {"h", "seconds", kSecondsPerHour},
    {"W", "watts", 1.0},
    {"USD", "dollars", 1.0},
    {"USD/h", "dollars_per_hour", 1.0},
    {"year", "year", 1.0},
    {"nm", "nanometres", 1.0},
    {"chips", "count", 1.0},
    {"devices", "count", 1.0},
    {"count", "count", 1.0},
    {"ratio", "ratio", 1.0},
    {"fraction of peak", "ratio", 1.0},
    {"fraction of rate", "ratio", 1.0},
}};

const UnitMeaning* meaning_of(std::string_view unit) {
    for (const UnitMeaning& row : kUnits)
        if (row.text == unit) return &row;
    return nullptr;
}

std::string units_of(std::string_view dimension) {
    std::string list;
    for (const UnitMeaning& row : kUnits)
        if (row.dimension == dimension) list += (list.empty() ? "" : ", ") + std::string(row.text);
    return list;
}

const toml::table kEmpty{};

}  // namespace

TomlReader::TomlReader(std::string_view text, std::string_view name) : name_(name) {
    if (text.size() > kSizeBytesMax) {
        error_ = Error{
            ErrorCode::kBadInput,
            fmt::format("{} bytes; a catalog file has at most {}", text.size(), kSizeBytesMax),
            name_};
        return;
    }
    try {
        root_ = toml::parse(text, name);
    } catch (const toml::parse_error& problem) {
        const toml::source_position at = problem.source().begin;
        error_ = Error{ErrorCode::kBadInput, std::string(problem.description()),
                       fmt::format("{}:{}:{}", name_, at.line, at.column)};
    }
}

void TomlReader::fail(const toml::node& node, std::string message) {
    if (error_) return;
    const toml::source_position at = node.source().begin;
    error_ = Error{ErrorCode::kBadInput, std::move(message),
                   fmt::format("{}:{}:{}", name_, at.line, at.column)};
}

void TomlReader::allow(const toml::table& table, std::string_view path,
                       std::initializer_list<std::string_view> known) {
    const std::vector<std::string> names(known.begin(), known.end());
    for (const auto& [key, node] : table) {
        const std::string_view word = key.str();
        bool found = false;
        for (const std::string_view name : known) found = found || name == word;
        if (!found)
            fail(node, fmt::format("unknown key \"{}{}{}\"{}", path, path.empty() ? "" : ".", word,
                                   did_you_mean(word, names)));
    }
}

std::string TomlReader::text(const toml::table& table, std::string_view key, bool required) {
    const toml::node* node = table.get(key);
    if (node == nullptr) {
        if (required) fail(table, fmt::format("\"{}\" is missing", key));
        return {};
    }
    if (const auto* value = node->as_string()) {
        if (required && value->get().empty()) fail(*node, fmt::format("\"{}\" is empty", key));
        return value->get();
    }
    fail(*node, fmt::format("\"{}\" must be a text", key));
    return {};
}

bool TomlReader::flag(const toml::table& table, std::string_view key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return false;
    if (const auto* value = node->as_boolean()) return value->get();
    fail(*node, fmt::format("\"{}\" must be true or false", key));
    return false;
}

std::vector<std::string> TomlReader::texts(const toml::table& table, std::string_view key) {
    std::vector<std::string> list;
    const toml::node* node = table.get(key);
    if (node == nullptr) return list;
    const toml::array* array = node->as_array();
    if (array == nullptr) {
        fail(*node, fmt::format("\"{}\" must be a list of texts", key));
        return list;
    }
    for (const toml::node& entry : *array) {
        if (const auto* value = entry.as_string())
            list.push_back(value->get());
        else
            fail(entry, fmt::format("\"{}\" must hold texts only", key));
    }
    return list;
}

const toml::table& TomlReader::section(std::string_view key, bool required) {
    const toml::node* node = root_.get(key);
    if (node == nullptr) {
        if (required) fail(root_, fmt::format("section [{}] is missing", key));
        return kEmpty;
    }
    if (const toml::table* table = node->as_table()) return *table;
    fail(*node, fmt::format("[{}] must be a section", key));
    return kEmpty;
}

std::vector<const toml::table*> TomlReader::sections(std::string_view key) {
    std::vector<const toml::table*> list;
    const toml::node* node = root_.get(key);
    if (node == nullptr) return list;
    const toml::array* array = node->as_array();
    if (array == nullptr) {
        fail(*node, fmt::format("write [[{}]]", key));
        return list;
    }
    for (const toml::node& entry : *array) {
        if (const toml::table* table = entry.as_table())
            list.push_back(table);
        else
            fail(entry, fmt::format("[[{}]] must be a section", key));
    }
    return list;
}

Figure<double> TomlReader::figure(const toml::table& table, std::string_view key,
                                  std::string_view dimension, bool required) {
    Figure<double> figure;
    const toml::node* node = table.get(key);
    if (node == nullptr) {
        if (required) fail(table, fmt::format("\"{}\" is missing", key));
        figure.reason = "not stated in " + name_;
        return figure;
    }
    const toml::table* entry = node->as_table();
    if (entry == nullptr) {
        fail(*node, fmt::format("\"{0}\" must be {{ value, unit, kind, source }}; a bare number "
                                "does not say what it rests on",
                                key));
        return figure;
    }
    allow(
        *entry, key,
        {"value", "low", "high", "unit", "kind", "source", "reason", "plus_minus", "date", "note"});
    figure.unit = text(*entry, "unit", true);
    double factor = 1.0;
    if (!dimension.empty() && !figure.unit.empty()) {
        const UnitMeaning* meaning = meaning_of(figure.unit);
        if (meaning == nullptr || meaning->dimension != dimension) {
            fail(*node, fmt::format("\"{}\" has unit \"{}\"; accepted: {}", key, figure.unit,
                                    units_of(dimension)));
            return figure;
        }
        factor = meaning->factor;
    }
    const auto number = [&](std::string_view name) -> std::optional<double> {
        const toml::node* part = entry->get(name);
        if (part == nullptr) return std::nullopt;
        const std::optional<double> value = part->value<double>();
        if (!value || !std::isfinite(*value) || *value < 0.0) {
            fail(*part, fmt::format("\"{}.{}\" must be a finite number, not negative", key, name));
            return std::nullopt;
        }
        return *value;
    };
    const auto scaled = [factor](std::optional<double> value) {
        return value ? std::optional<double>(*value * factor) : std::nullopt;
    };
    figure.value = scaled(number("value"));
    figure.low = scaled(number("low"));
    figure.high = scaled(number("high"));
    figure.plus_minus = number("plus_minus");
    figure.reason = text(*entry, "reason", false);
    figure.date = text(*entry, "date", false);
    figure.note = text(*entry, "note", false);
    if (figure.low.has_value() != figure.high.has_value() ||
        (figure.low && figure.high && *figure.high < *figure.low)) {
        fail(*node, fmt::format("\"{}\" needs both low and high, low first", key));
        return figure;
    }
    if (!figure.value && figure.low) figure.value = (*figure.low + *figure.high) / 2.0;
    if (!figure.value) {
        if (figure.reason.empty())
            fail(*node, fmt::format("\"{}\" has no value: give the reason why it is unknown", key));
        return figure;
    }
    figure.source = text(*entry, "source", true);
    const std::string kind = text(*entry, "kind", true);
    if (const std::optional<Kind> known = kind_from(kind)) {
        figure.kind = *known;
    } else {
        const std::vector<std::string> kinds{"measured", "published", "datasheet",
                                             "press",    "recalled",  "guessed"};
        fail(*node, fmt::format("\"{}\" has kind \"{}\"{}; kinds are {}", key, kind,
                                did_you_mean(kind, kinds), fmt::join(kinds, ", ")));
    }
    return figure;
}

}  // namespace ascertain::catalog
