// The bounds that observations must meet, as data: data/criteria/*.toml. Each stands beside its
// source and its derivation, so that a bound can be argued with without reading code.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/observation.hpp"
#include "base/result.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::judge {

// What must hold of one metric. Everything that is set must hold; at least one is.
struct Bound {
    std::string metric;
    std::optional<double> at_most;
    std::optional<double> at_least;
    std::optional<double> equals;
    std::optional<double> magnitude_at_most;  // |value|
    // value <= max(floor, factor * the metric named here, measured in the same observation)
    std::string relative_to;
    double factor = 1.0;
    double floor = 0.0;
};

// Where a criterion applies: every condition must hold of the observation. A metric is absent when
// it was not measured or has no value for a reason of its own ("no floating outputs"); one that was
// not finite is there, and will fail its bound.
struct Condition {
    std::string metric;
    bool absent = false;            // holds when the metric is absent, and only then
    std::optional<double> at_most;  // with neither: the metric is there
    std::optional<double> above;
    bool or_absent = false;  // holds too when the metric is absent
};

// What it means when a bounded metric has no value.
enum class Missing { kMistrusted, kFail };

struct CriterionRule {
    std::string id;                   // "ops.numerics.rounding"
    std::string check;                // ids of checks, with '*': "ops.numerics.*"
    std::vector<std::string> except;  // ids, with '*', that `check` matches and this does not mean
    std::string rule;                 // one aspect of a check; one criterion decides it
    std::vector<Condition> when;      // empty: always
    std::vector<Bound> bounds;
    Missing missing = Missing::kMistrusted;
    std::string source;      // where the bound comes from
    std::string derivation;  // why it is that number, in words
    std::string where;       // "file:line:column" of its definition
};

struct CriteriaText {
    std::string name;  // path, for errors
    std::string text;
};

class CriteriaSet {
public:
    // kBadInput with file:line:column and near matches: unknown or missing keys, bounds that cannot
    // be met, two criteria of one id, bad patterns.
    [[nodiscard]] static Result<CriteriaSet> parse(std::span<const CriteriaText> files);

    // kBadInput when a check has no criterion at all, or two without conditions for one rule.
    [[nodiscard]] Result<void> covers(std::span<const std::string> checks) const;

    // Those that name `check`, whatever their conditions, in the order of the files.
    [[nodiscard]] std::vector<const CriterionRule*> naming(std::string_view check) const;

    [[nodiscard]] const std::vector<CriterionRule>& rules() const { return rules_; }
    // Changes whenever any bound does: proofs and verdicts are keyed by it.
    [[nodiscard]] std::string hash() const;

private:
    std::vector<CriterionRule> rules_;
};

// `[[waiver]] check, by, until, why` of a waivers file. Same errors; `until` is a date YYYY-MM-DD.
[[nodiscard]] Result<std::vector<Waiver>> parse_waivers(std::string_view text,
                                                        std::string_view name);

// {id, bound, source} as the verdict carries it.
[[nodiscard]] Criterion to_criterion(const CriterionRule& rule);

}  // namespace ascertain::judge
