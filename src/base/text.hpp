// Small text helpers that three rooms or more need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ascertain {

// The candidates within a small edit distance of `word`, nearest first, at most three.
[[nodiscard]] std::vector<std::string> near_matches(std::string_view word,
                                                    std::span<const std::string> candidates);

// "" when nothing is near, else "; did you mean \"tp\"?" ready to be appended to an error.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       std::span<const std::string> candidates);

// At most `length_max` bytes of `text`, with "..." where it was cut, never inside a UTF-8
// character.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t length_max);

// True when `text` matches `pattern`, in which '*' stands for any run of characters.
[[nodiscard]] bool matches_wildcard(std::string_view text, std::string_view pattern);

// 64-bit FNV-1a as 16 hexadecimal digits: short stable names for cases and criteria, no security.
// Source: Fowler, Noll, Vo; offset basis and prime of the 64-bit variant.
[[nodiscard]] std::string short_hash(std::string_view text);

}  // namespace ascertain
