// Which checks the user wants: --only and --skip.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "measure/checks/check.hpp"

namespace ascertain::qualification {

// What a pattern is held against.
struct Candidate {
    std::string id;  // "ops.numerics.mm"
    const checks::Definition* definition = nullptr;
};

// "compute", "learn" …: the name of a question in evidence and in @groups.
[[nodiscard]] std::string_view name_of(checks::Question question);

// A pattern is an id or its beginning up to a dot, an id with '*' for any run of characters, or
// "@group" with a question or a family.
[[nodiscard]] bool selects(std::string_view pattern, const Candidate& candidate);

// Error kUsage naming the first pattern that selects none of the candidates, with near matches.
[[nodiscard]] Result<void> check_patterns(const std::vector<std::string>& patterns,
                                          const std::vector<Candidate>& candidates);

}  // namespace ascertain::qualification
