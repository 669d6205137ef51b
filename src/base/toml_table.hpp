// A strict view of one TOML table: every key that is read is known, every other key is an error
// with its place and near match, every wrong type or missing unit says where and what to write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "base/result.hpp"
#include "base/units.hpp"

namespace ascertain {

// Collects the first error of a whole document, so that reading is a plain list of fields.
class TomlTable {
public:
    // `name` is how errors call the table ("training.stage"), `path` the file.
    TomlTable(const toml::table& table, std::string name, const std::string& path,
              std::optional<Error>& first_error)
        : table_(table), name_(std::move(name)), path_(path), first_error_(first_error) {}

    [[nodiscard]] std::string text(std::string_view key);
    [[nodiscard]] std::string text_or(std::string_view key, std::string otherwise);
    // One of `choices`.
    [[nodiscard]] std::string choice(std::string_view key, const std::vector<std::string>& choices);
    // A whole number in [low, high]; 14.8e12 is one.
    [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high);
    [[nodiscard]] std::int64_t integer_or(std::string_view key, std::int64_t low, std::int64_t high,
                                          std::int64_t otherwise);
    // A whole number or a list of them, each in [low, high]; empty when it is not there.
    [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key, std::int64_t low,
                                                     std::int64_t high);
    // A number in (low, high).
    [[nodiscard]] double number_or(std::string_view key, double low, double high, double otherwise);
    [[nodiscard]] std::optional<double> maybe_number(std::string_view key, double low, double high);
    // true or false; nothing when it is not there.
    [[nodiscard]] std::optional<bool> maybe_flag(std::string_view key);
    [[nodiscard]] std::optional<Seconds> maybe_duration(std::string_view key);
    [[nodiscard]] std::optional<Bytes> maybe_size(std::string_view key);
    [[nodiscard]] std::optional<Dollars> maybe_money(std::string_view key);
    [[nodiscard]] std::optional<BytesPerSecond> maybe_rate(std::string_view key);
    [[nodiscard]] std::vector<std::string> texts_or(std::string_view key,
                                                    std::vector<std::string> otherwise);
    // The table under `key`; an empty one, and an error, when it is missing.
    [[nodiscard]] const toml::table& table(std::string_view key);
    // The table under `key`, or null; `[x]` and `[[x]]` both read as a list of tables.
    [[nodiscard]] std::vector<const toml::table*> tables(std::string_view key, bool required);

    // Call last: every key that was not asked for is an error.
    void refuse_unknown();
    // Records an error at the place of `key`, or of the table when `key` is not there.
    void refuse(std::string_view key, std::string message);

private:
    [[nodiscard]] const toml::node* find(std::string_view key, bool required);
    [[nodiscard]] std::string place(const toml::node& node) const;
    template <typename Q>
    std::optional<Q> quantity(std::string_view key, Result<Q> (*parse)(std::string_view));

    const toml::table& table_;
    std::string name_;
    const std::string& path_;
    std::optional<Error>& first_error_;
    std::vector<std::string> known_;
};

}  // namespace ascertain
