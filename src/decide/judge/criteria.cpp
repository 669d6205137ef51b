#include "decide/judge/criteria.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"
#include "decide/judge/dates.hpp"
#include "decide/judge/tables.hpp"

namespace ascertain::judge {
namespace {

constexpr std::string_view kPatternLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:*";

std::optional<double> finite_number(Tables& file, const toml::table& table, const char* key) {
    const auto value = file.number(table, key);
    if (value && !std::isfinite(*value)) file.fail(table, fmt::format("\"{}\" is not finite", key));
    return value;
}

Bound read_bound(Tables& file, const toml::table& table) {
    file.allow(table, {"metric", "at_most", "at_least", "equals", "between", "magnitude_at_most",
                       "relative_to", "factor", "floor"});
    Bound bound;
    bound.metric = file.text(table, "metric");
    bound.at_most = finite_number(file, table, "at_most");
    bound.at_least = finite_number(file, table, "at_least");
    bound.equals = finite_number(file, table, "equals");
    bound.magnitude_at_most = finite_number(file, table, "magnitude_at_most");
    bound.relative_to = file.optional_text(table, "relative_to");
    bound.factor = finite_number(file, table, "factor").value_or(1.0);
    bound.floor = finite_number(file, table, "floor").value_or(0.0);
    if (const auto range = file.pair(table, "between")) {
        if (bound.at_least || bound.at_most) {
            file.fail(table, "\"between\" already says at_least and at_most");
        }
        bound.at_least = range->first;
        bound.at_most = range->second;
    }
    const bool bounded = bound.at_most || bound.at_least || bound.equals ||
                         bound.magnitude_at_most || !bound.relative_to.empty();
    if (!bounded) file.fail(table, fmt::format("nothing bounds \"{}\"", bound.metric));
    if (bound.at_least && bound.at_most && *bound.at_least > *bound.at_most) {
        file.fail(table, "no number is both at least and at most these");
    }
    if (bound.magnitude_at_most && *bound.magnitude_at_most < 0.0) {
        file.fail(table, "no magnitude is below zero");
    }
    const bool relative_only = table.contains("factor") || table.contains("floor");
    if (relative_only && bound.relative_to.empty()) {
        file.fail(table, "\"factor\" and \"floor\" need \"relative_to\"");
    }
    return bound;
}

Condition read_condition(Tables& file, const toml::table& table) {
    file.allow(table, {"metric", "absent", "at_most", "above", "or_absent"});
    Condition condition;
    condition.metric = file.text(table, "metric");
    condition.absent = file.flag(table, "absent");
    condition.at_most = finite_number(file, table, "at_most");
    condition.above = finite_number(file, table, "above");
    condition.or_absent = file.flag(table, "or_absent");
    if (condition.absent && (condition.at_most || condition.above || condition.or_absent)) {
        file.fail(table, "what is absent has no bounds");
    }
    return condition;
}

void check_pattern(Tables& file, const toml::table& table, std::string_view pattern) {
    if (pattern.find_first_not_of(kPatternLetters) != std::string_view::npos) {
        file.fail(table, fmt::format("\"{}\" is no pattern of check ids", shortened(pattern, 60)));
    }
}

Missing read_missing(Tables& file, const toml::table& table) {
    const std::string word = file.optional_text(table, "missing");
    if (word.empty() || word == "mistrusted") return Missing::kMistrusted;
    if (word == "fail") return Missing::kFail;
    const std::array<std::string, 2> known{"mistrusted", "fail"};
    file.fail(table, fmt::format("\"missing\" must be \"mistrusted\" or \"fail\", not \"{}\"{}",
                                 shortened(word, 60), did_you_mean(word, known)));
    return Missing::kFail;
}

CriterionRule read_rule(Tables& file, const toml::table& table) {
    file.allow(table, {"id", "check", "except", "rule", "when", "bounds", "missing", "source",
                       "derivation"});
    CriterionRule rule;
    rule.where = file.place(table);
    rule.id = file.text(table, "id");
    rule.check = file.text(table, "check");
    check_pattern(file, table, rule.check);
    rule.except = file.texts(table, "except");
    for (const auto& pattern : rule.except) check_pattern(file, table, pattern);
    rule.rule = file.text(table, "rule");
    for (const auto* item : file.inner_tables(table, "when")) {
        rule.when.push_back(read_condition(file, *item));
    }
    for (const auto* item : file.inner_tables(table, "bounds")) {
        rule.bounds.push_back(read_bound(file, *item));
    }
    if (rule.bounds.empty()) file.fail(table, fmt::format("\"{}\" has no bounds", rule.id));
    rule.missing = read_missing(file, table);
    rule.source = file.text(table, "source");
    rule.derivation = file.text(table, "derivation");
    return rule;
}

Json to_json(const Bound& bound) {
    Json entry{{"metric", bound.metric}};
    const auto put = [&](const char* key, const std::optional<double>& value) {
        if (value) entry[key] = *value;
    };
    put("at_most", bound.at_most);
    put("at_least", bound.at_least);
    put("equals", bound.equals);
    put("magnitude_at_most", bound.magnitude_at_most);
    if (!bound.relative_to.empty()) {
        entry["relative_to"] = bound.relative_to;
        entry["factor"] = bound.factor;
        entry["floor"] = bound.floor;
    }
    return entry;
}

Json to_json(const Condition& condition) {
    Json entry{{"metric", condition.metric},
               {"absent", condition.absent},
               {"or_absent", condition.or_absent}};
    if (condition.at_most) entry["at_most"] = *condition.at_most;
    if (condition.above) entry["above"] = *condition.above;
    return entry;
}

}  // namespace

Result<CriteriaSet> CriteriaSet::parse(std::span<const CriteriaText> files) {
    CriteriaSet set;
    for (const auto& source : files) {
        Tables file(source.text, source.name);
        file.allow_root({"criterion"});
        for (const auto* table : file.root_tables("criterion")) {
            set.rules_.push_back(read_rule(file, *table));
            if (file.failed()) return file.error();
        }
        if (file.failed()) return file.error();
    }
    for (std::size_t i = 0; i < set.rules_.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (set.rules_[i].id != set.rules_[j].id) continue;
            return Error{ErrorCode::kBadInput,
                         fmt::format("the criterion \"{}\" stands at {} already", set.rules_[i].id,
                                     set.rules_[j].where),
                         set.rules_[i].where};
        }
    }
    return set;
}

std::vector<const CriterionRule*> CriteriaSet::naming(std::string_view check) const {
    std::vector<const CriterionRule*> found;
    for (const auto& rule : rules_) {
        const auto names = [&](const std::string& pattern) {
            return matches_wildcard(check, pattern);
        };
        if (names(rule.check) && std::ranges::none_of(rule.except, names)) found.push_back(&rule);
    }
    return found;
}

Result<void> CriteriaSet::covers(std::span<const std::string> checks) const {
    for (const auto& check : checks) {
        const auto named = naming(check);
        if (named.empty()) {
            std::vector<std::string> patterns;
            for (const auto& rule : rules_) patterns.push_back(rule.check);
            return Error{ErrorCode::kBadInput,
                         fmt::format("no criterion names the check \"{}\"{}; add one in "
                                     "data/criteria",
                                     check, did_you_mean(check, patterns)),
                         ""};
        }
        for (std::size_t i = 0; i < named.size(); ++i) {
            for (std::size_t j = 0; j < i; ++j) {
                const bool always = named[i]->when.empty() || named[j]->when.empty();
                if (named[i]->rule != named[j]->rule || !always) continue;
                return Error{ErrorCode::kBadInput,
                             fmt::format("\"{}\" and \"{}\" both decide the rule \"{}\" of the "
                                         "check \"{}\"",
                                         named[j]->id, named[i]->id, named[i]->rule, check),
                             named[i]->where};
            }
        }
    }
    return {};
}

std::string CriteriaSet::hash() const {
    std::string text;
    for (const auto& rule : rules_) {
        Json conditions = Json::array();
        for (const auto& condition : rule.when) conditions.push_back(to_json(condition));
        text += Json{{"check", rule.check},
                     {"except", rule.except},
                     {"when", std::move(conditions)},
                     {"missing_fails", rule.missing == Missing::kFail},
                     {"criterion", to_criterion(rule).bound}}
                    .dump() +
                "\n";
    }
    return short_hash(text);
}

Result<std::vector<Waiver>> parse_waivers(std::string_view text, std::string_view name) {
    Tables file(text, name);
    file.allow_root({"waiver"});
    std::vector<Waiver> waivers;
    for (const auto* table : file.root_tables("waiver")) {
        file.allow(*table, {"check", "by", "until", "why"});
        Waiver waiver{file.text(*table, "check"), file.text(*table, "by"),
                      file.text(*table, "until"), file.text(*table, "why")};
        if (!file.failed() && !day_of(waiver.until)) {
            file.fail(*table, fmt::format("\"until\" must be a date YYYY-MM-DD, not \"{}\"",
                                          shortened(waiver.until, 40)));
        }
        check_pattern(file, *table, waiver.check);
        waivers.push_back(std::move(waiver));
        if (file.failed()) return file.error();
    }
    if (file.failed()) return file.error();
    return waivers;
}

Criterion to_criterion(const CriterionRule& rule) {
    Json bounds = Json::array();
    for (const auto& bound : rule.bounds) bounds.push_back(to_json(bound));
    return {rule.id, std::move(bounds), rule.source};
}

}  // namespace ascertain::judge
