// JSON at our edges: one strict reader for everything that comes from outside.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace ascertain {

using Json = nlohmann::ordered_json;

struct JsonLimits {
    std::size_t size_bytes_max = 64u << 20;  // larger texts are refused before they are read
    std::size_t depth_max = 64;              // deeper nesting is refused
};

// Reads one JSON document. `name` is what errors call it (a path, or "worker message"). Refused
// with kBadInput and "name:line:column": anything that is not exactly one document, duplicate keys
// in an object, nesting beyond the limit, NaN or infinities, invalid UTF-8. Cost: linear.
[[nodiscard]] Result<Json> parse_json(std::string_view text, std::string_view name,
                                      const JsonLimits& limits);
[[nodiscard]] Result<Json> parse_json(std::string_view text, std::string_view name);

// The member `key` of an object as T, or an error naming `name: path`; `near` keys are suggested.
// Numbers must fit T exactly: 1.5 is no integer, 1e30 no int64.
[[nodiscard]] Result<double> number_at(const Json& object, std::string_view key,
                                       std::string_view name);
[[nodiscard]] Result<long long> integer_at(const Json& object, std::string_view key,
                                           std::string_view name);
[[nodiscard]] Result<std::string> text_at(const Json& object, std::string_view key,
                                          std::string_view name);
[[nodiscard]] Result<bool> flag_at(const Json& object, std::string_view key, std::string_view name);

// A double for a document: finite numbers as they are, everything else null (NaN never appears).
[[nodiscard]] Json finite_or_null(double value);

}  // namespace ascertain
