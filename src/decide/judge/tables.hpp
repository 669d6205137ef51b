// Strict reading of the judge's TOML files: unknown keys are refused with near matches, and the
// first error is kept with its file:line:column. Used inside this room only.
#pragma once

#include <toml++/toml.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace ascertain::judge {

class Tables {
public:
    Tables(std::string_view text, std::string_view name);

    [[nodiscard]] bool failed() const { return error_.has_value(); }
    [[nodiscard]] const Error& error() const { return *error_; }
    void fail(const toml::node& node, std::string message);
    [[nodiscard]] std::string place(const toml::node& node) const;

    void allow(const toml::table& table, std::initializer_list<std::string_view> keys);
    void allow_root(std::initializer_list<std::string_view> keys) { allow(root_, keys); }

    // The tables of `[[key]]` or `key = [{…}]`; none when the key is absent.
    [[nodiscard]] std::vector<const toml::table*> inner_tables(const toml::table& table,
                                                               std::string_view key);
    [[nodiscard]] std::vector<const toml::table*> root_tables(std::string_view key) {
        return inner_tables(root_, key);
    }

    // A text that must be there and not be empty.
    [[nodiscard]] std::string text(const toml::table& table, std::string_view key);
    [[nodiscard]] std::string optional_text(const toml::table& table, std::string_view key);
    [[nodiscard]] std::vector<std::string> texts(const toml::table& table, std::string_view key);
    [[nodiscard]] std::optional<double> number(const toml::table& table, std::string_view key);
    // [low, high]
    [[nodiscard]] std::optional<std::pair<double, double>> pair(const toml::table& table,
                                                                std::string_view key);
    [[nodiscard]] bool flag(const toml::table& table, std::string_view key);

private:
    std::string name_;
    toml::table root_;
    std::optional<Error> error_;
};

}  // namespace ascertain::judge
