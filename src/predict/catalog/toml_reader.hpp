// Strict reading of catalog TOML: every key is asked for once, and what nobody asked for is an
// error.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "base/result.hpp"
#include "base/units.hpp"
#include "predict/catalog/figure.hpp"

namespace ascertain::catalog {

// What a unit text means: SI value = printed value * factor, and which physical dimension it has.
struct UnitMeaning {
    std::string_view text;
    std::string_view dimension;
    double factor;
};

// Reads one document and remembers the first error; after an error everything reads as empty.
class TomlReader {
public:
    TomlReader(std::string_view text, std::string_view name);

    [[nodiscard]] bool failed() const { return error_.has_value(); }
    [[nodiscard]] Error error() const { return *error_; }
    [[nodiscard]] const toml::table& root() const { return root_; }

    // Refuses keys outside `known`, with near matches.
    void allow(const toml::table& table, std::string_view path,
               std::initializer_list<std::string_view> known);
    [[nodiscard]] std::string text(const toml::table& table, std::string_view key, bool required);
    [[nodiscard]] bool flag(const toml::table& table, std::string_view key);
    [[nodiscard]] std::vector<std::string> texts(const toml::table& table, std::string_view key);
    [[nodiscard]] const toml::table& section(std::string_view key, bool required);
    [[nodiscard]] std::vector<const toml::table*> sections(std::string_view key);

    // A figure whose unit must belong to `dimension` ("bytes", "bytes_per_second" ...; empty
    // accepts any unit and leaves the number as printed).
    [[nodiscard]] Figure<double> figure(const toml::table& table, std::string_view key,
                                        std::string_view dimension, bool required);

    template <typename Q>
    [[nodiscard]] Figure<Q> quantity(const toml::table& table, std::string_view key,
                                     std::string_view dimension, bool required) {
        const Figure<double> plain = figure(table, key, dimension, required);
        const auto typed = [](const std::optional<double>& number) {
            return number ? std::optional<Q>(Q{*number}) : std::nullopt;
        };
        return {typed(plain.value), typed(plain.low), typed(plain.high), plain.plus_minus,
                plain.kind,         plain.unit,       plain.source,      plain.reason,
                plain.date,         plain.note};
    }

    void fail(const toml::node& node, std::string message);

private:
    std::string name_;
    toml::table root_;
    std::optional<Error> error_;
};

}  // namespace ascertain::catalog
