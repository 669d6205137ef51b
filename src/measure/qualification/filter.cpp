#include "measure/qualification/filter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"

namespace ascertain::qualification {
namespace {

// Everything a pattern could have meant.
std::vector<std::string> known_words(const std::vector<Candidate>& candidates) {
    std::set<std::string> words;
    for (const Candidate& candidate : candidates) {
        words.insert(candidate.id);
        words.emplace(candidate.definition->id);
        words.insert(fmt::format("@{}", candidate.definition->family));
        words.insert(fmt::format("@{}", name_of(candidate.definition->question)));
    }
    return {words.begin(), words.end()};
}

}  // namespace

std::string_view name_of(checks::Question question) {
    switch (question) {
        case checks::Question::kCompute: return "compute";
        case checks::Question::kEndure: return "endure";
        case checks::Question::kLearn: return "learn";
        case checks::Question::kFinish: return "finish";
        case checks::Question::kServe: return "serve";
    }
    ASCERTAIN_ASSERT(false);
    return {};
}

bool selects(std::string_view pattern, const Candidate& candidate) {
    if (pattern.starts_with('@')) {
        const std::string_view group = pattern.substr(1);
        return group == candidate.definition->family ||
               group == name_of(candidate.definition->question);
    }
    if (pattern.find('*') != std::string_view::npos) {
        return matches_wildcard(candidate.id, pattern);
    }
    const std::string_view id = candidate.id;
    const bool begins = !pattern.empty() && id.starts_with(pattern);
    return begins && (id.size() == pattern.size() || id[pattern.size()] == '.');
}

Result<void> check_patterns(const std::vector<std::string>& patterns,
                            const std::vector<Candidate>& candidates) {
    for (const std::string& pattern : patterns) {
        const bool known = std::any_of(candidates.begin(), candidates.end(),
                                       [&](const auto& one) { return selects(pattern, one); });
        if (known) continue;
        return Error{ErrorCode::kUsage,
                     fmt::format("no check is called \"{}\"{}", pattern,
                                 did_you_mean(pattern, known_words(candidates))),
                     {}};
    }
    return {};
}

}  // namespace ascertain::qualification
