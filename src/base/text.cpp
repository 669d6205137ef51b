#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace ascertain {
namespace {

// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours cost one
// each, because these are the ways in which people mistype. O(a*b) time, O(b) memory.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(last.begin(), last.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before.swap(last);
        last.swap(row);
    }
    return last[b.size()];
}

}  // namespace

std::vector<std::string> near_matches(std::string_view word,
                                      std::span<const std::string> candidates) {
    constexpr std::size_t kWordMax = 100;  // nobody mistypes more, and the cost is quadratic
    if (word.size() > kWordMax) return {};
    const std::size_t allowed = std::max<std::size_t>(1, word.size() / 3);
    std::vector<std::pair<std::size_t, std::string>> near;
    for (const auto& candidate : candidates) {
        if (candidate.size() > kWordMax) continue;
        const std::size_t distance = edit_distance(word, candidate);
        const bool prefix = word.size() >= 3 && candidate.starts_with(word);
        if (distance <= allowed || prefix) near.emplace_back(distance, candidate);
    }
    std::ranges::stable_sort(near, {}, [](const auto& item) { return item.first; });
    if (near.size() > 3) near.resize(3);
    std::vector<std::string> names;
    for (auto& item : near) names.push_back(std::move(item.second));
    return names;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
    const auto near = near_matches(word, candidates);
    if (near.empty()) return {};
    std::string list;
    for (const auto& name : near) list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", name);
    return fmt::format("; did you mean {}?", list);
}

std::string shortened(std::string_view text, std::size_t length_max) {
    if (text.size() <= length_max) return std::string(text);
    std::size_t keep = length_max > 3 ? length_max - 3 : 0;
    const auto continues = [&](std::size_t i) {
        return (static_cast<unsigned char>(text[i]) & 0xC0u) == 0x80u;
    };
    while (keep > 0 && continues(keep)) --keep;
    return std::string(text.substr(0, keep)) + "...";
}

bool matches_wildcard(std::string_view text, std::string_view pattern) {
    std::size_t t = 0;
    std::size_t p = 0;
    std::size_t star = std::string_view::npos;
    std::size_t resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && pattern[p] == text[t]) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

std::string short_hash(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3ULL;
    }
    return fmt::format("{:016x}", hash);
}

}  // namespace ascertain
