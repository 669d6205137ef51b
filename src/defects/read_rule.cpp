#include "defects/read_rule.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "base/text.hpp"
#include "defects/effects.hpp"
#include "defects/places.hpp"

namespace ascertain::defects {
namespace {

constexpr std::int64_t kCountMax = std::int64_t{1} << 53;  // what a TOML number holds exactly
constexpr double kHuge = std::numeric_limits<double>::max();

// "add" names "add_" as well.
std::string_view without_underscore(std::string_view name) {
    if (name.ends_with('_')) name.remove_suffix(1);
    return name;
}

// A text, or a list of texts.
std::vector<std::string> text_or_list(const toml::table& table, TomlTable& fields,
                                      std::string_view key) {
    const toml::node* node = table.get(key);
    if (node != nullptr && node->is_array()) return fields.texts_or(key, {});
    return {fields.text(key)};
}

// One of `choices`, or the first of them.
std::size_t choice_or_first(const toml::table& table, TomlTable& fields, std::string_view key,
                            const std::vector<std::string>& choices) {
    if (table.get(key) == nullptr) {
        static_cast<void>(fields.text_or(key, ""));
        return 0;
    }
    const std::string value = fields.choice(key, choices);
    const auto place = std::ranges::find(choices, value);
    return place == choices.end() ? 0 : static_cast<std::size_t>(place - choices.begin());
}

std::string word_or_none(const toml::table& table, TomlTable& fields, std::string_view key,
                         const std::vector<std::string>& choices) {
    if (table.get(key) == nullptr) return fields.text_or(key, "");
    return fields.choice(key, choices);
}

void refuse_strangers(TomlTable& fields, std::string_view key,
                      const std::vector<std::string>& words,
                      const std::vector<std::string>& choices) {
    for (const std::string& word : words) {
        const bool known = std::ranges::any_of(
            choices, [&](const std::string& choice) { return matches_wildcard(choice, word); });
        if (known || word.empty()) continue;
        fields.refuse(key, fmt::format("\"{}\" is not one of {}{}", word, fmt::join(choices, ", "),
                                       did_you_mean(word, choices)));
    }
}

// A number, or "nan", "inf", "-inf" in quotes.
std::optional<double> unbounded_number(const toml::table& table, TomlTable& fields,
                                       std::string_view key) {
    const toml::node* node = table.get(key);
    if (node == nullptr || !node->is_string()) return fields.maybe_number(key, -kHuge, kHuge);
    const std::string word = fields.choice(key, {"nan", "inf", "-inf"});
    if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
    const double infinity = std::numeric_limits<double>::infinity();
    return word == "inf" ? infinity : -infinity;
}

class RuleReader {
public:
    RuleReader(Document& document, const std::string& name) : document_(document), name_(name) {}

    Rule read(TomlTable& fields) {
        Rule rule;
        rule.where = read_where(fields.table("where"));
        if (const auto when = fields.tables("when", false); !when.empty()) {
            rule.when = read_when(*when.front());
            if (when.size() > 1) fields.refuse("when", "a rule has one \"when\"");
        }
        rule.does = read_does(fields.table("does"), rule.where);
        // A kernel that is not there is not there always, for everything.
        if (rule.does.kind == "fall_back" && !(rule.when.always() && rule.where.bare())) {
            fields.refuse("does",
                          "\"fall_back\" takes a kernel away from the start: it goes with "
                          "an operator alone, without other conditions");
        }
        return rule;
    }

private:
    TomlTable fields_of(const toml::table& table, const char* part) {
        return {table, fmt::format("{}.{}", name_, part), document_.path, document_.error};
    }

    Where read_where(const toml::table& table) {
        TomlTable fields = fields_of(table, "where");
        Where where;
        read_names(table, fields, where);
        if (where.place == Place::kOperator) read_call(table, fields, where);
        if (where.place == Place::kPoint) {
            where.parameter = fields.text_or("parameter", "");
            where.state = fields.text_or("state", "");
        }
        if (where.place != Place::kEvent) {
            where.dtype = word_or_none(table, fields, "dtype", dtype_names());
            if (where.dtype == "any") where.dtype = "";
            where.rank = fields.integer_or("rank", 0, kCountMax, -1);
            read_shape(table, fields, where);
        }
        if (where.place == Place::kCollective) {
            where.bytes_at_least = fields.maybe_size("bytes_at_least").value_or(Bytes{}).count;
        }
        fields.refuse_unknown();
        return where;
    }

    void read_names(const toml::table& table, TomlTable& fields, Where& where) {
        if (table.get("collective") != nullptr) {
            where.place = Place::kCollective;
            where.names = text_or_list(table, fields, "collective");
            refuse_strangers(fields, "collective", where.names, collectives());
        } else if (table.get("point") != nullptr) {
            where.place = Place::kPoint;
            where.names = text_or_list(table, fields, "point");
            refuse_strangers(fields, "point", where.names, points());
        } else if (table.get("event") != nullptr) {
            where.place = Place::kEvent;
            where.names = text_or_list(table, fields, "event");
            refuse_strangers(fields, "event", where.names, events());
        } else {
            where.names = text_or_list(table, fields, "operator");
            for (const std::string& name : where.names) find_operators(fields, name, where);
        }
    }

    void find_operators(TomlTable& fields, const std::string& pattern, Where& where) {
        bool found = document_.operators.empty() || pattern.empty();
        for (const std::string& name : document_.operators) {
            if (!matches_wildcard(name, pattern) &&
                !matches_wildcard(without_underscore(name), pattern)) {
                continue;
            }
            found = true;
            if (std::ranges::find(where.operators, name) == where.operators.end()) {
                where.operators.push_back(name);
            }
        }
        if (found) return;
        fields.refuse("operator",
                      fmt::format("no operator that reaches a device is called \"{}\"; one that "
                                  "is made of others (linear, rms_norm) does not reach it{}",
                                  pattern, did_you_mean(pattern, document_.operators)));
    }

    static void read_call(const toml::table& table, TomlTable& fields, Where& where) {
        where.overload = fields.text_or("overload", "");
        where.phase = static_cast<Phase>(
            choice_or_first(table, fields, "phase", {"any", "forward", "backward"}));
        where.layout =
            static_cast<Layout>(choice_or_first(table, fields, "layout", layout_names()));
        where.mixed_dtypes = fields.maybe_flag("mixed_dtypes").value_or(false);
        where.in_place = fields.maybe_flag("in_place");
        where.device = fields.integer_or("device", 0, 63, -1);
        where.not_aligned_to = fields.integer_or("not_aligned_to", 2, 4096, 0);
        where.input_above = fields.maybe_number("input_above", -kHuge, kHuge);
        if (table.get("row_of") != nullptr) {
            where.row_of = text_or_list(table, fields, "row_of");
            refuse_strangers(fields, "row_of", where.row_of, {"-inf", "inf", "nan", "zero"});
        }
        static_cast<void>(table.get("row_of") == nullptr ? fields.text_or("row_of", "") : "");
        read_argument(table, fields, where);
    }

    static void read_argument(const toml::table& table, TomlTable& fields, Where& where) {
        const std::string name = fields.text_or("argument", "");
        const auto is = unbounded_number(table, fields, "value");
        const auto is_not = unbounded_number(table, fields, "not_value");
        if (name.empty() && (is || is_not)) {
            fields.refuse(is ? "value" : "not_value", "goes with \"argument\"");
        }
        if (name.empty()) return;
        if (is.has_value() == is_not.has_value()) {
            fields.refuse("argument", "goes with either \"value\" or \"not_value\"");
            return;
        }
        where.argument = ArgumentIs{name, is ? *is : *is_not, is_not.has_value()};
    }

    static void read_shape(const toml::table& table, TomlTable& fields, Where& where) {
        constexpr std::array<std::pair<const char*, Bound>, 5> kBounds = {
            {{"", Bound::kExactly},
             {"_at_least", Bound::kAtLeast},
             {"_at_most", Bound::kAtMost},
             {"_multiple_of", Bound::kMultipleOf},
             {"_not_multiple_of", Bound::kNotMultipleOf}}};
        for (const std::string& quantity : shape_quantities()) {
            for (const auto& [suffix, bound] : kBounds) {
                const std::string key = quantity + suffix;
                const bool divides = bound == Bound::kMultipleOf || bound == Bound::kNotMultipleOf;
                const auto value = fields.integer_or(key, divides ? 1 : 0, kCountMax, -1);
                if (table.get(key) == nullptr) continue;
                where.shape.push_back({quantity, bound, value});
            }
        }
    }

    When read_when(const toml::table& table) {
        TomlTable fields = fields_of(table, "when");
        const auto seconds = [&](std::string_view key) {
            return fields.maybe_duration(key).value_or(Seconds{}).count;
        };
        When when;
        when.after_calls = fields.integer_or("after_calls", 0, kCountMax, 0);
        when.every = fields.integer_or("every", 1, kCountMax, 1);
        when.times = fields.integer_or("times", 1, kCountMax, 0);
        when.seed = static_cast<std::uint64_t>(fields.integer_or("seed", 0, kCountMax, 0));
        when.probability = fields.number_or("probability", 0.0, 1.0, 1.0);
        when.process_share = fields.number_or("process_share", 0.0, 1.0, 1.0);
        when.after_busy_s = seconds("after_busy");
        when.without_sync_s = seconds("without_sync");
        when.after_sync_s = seconds("after_sync");
        when.calls_without_sync = fields.integer_or("calls_without_sync", 1, kCountMax, 0);
        when.memory_above_bytes = fields.maybe_size("memory_above").value_or(Bytes{}).count;
        when.new_shape = fields.maybe_flag("new_shape").value_or(false);
        when.reused_memory = fields.maybe_flag("reused_memory").value_or(false);
        when.overlap = fields.maybe_flag("overlap").value_or(false);
        when.deterministic = fields.maybe_flag("deterministic").value_or(false);
        fields.refuse_unknown();
        return when;
    }

    Does read_does(const toml::table& table, const Where& where) {
        TomlTable fields = fields_of(table, "does");
        Does does;
        does.kind = fields.choice("kind", effect_kinds(where.place));
        const Effect* effect = find_effect(where.place, does.kind);
        if (effect == nullptr) return does;
        for (const Field& field : effect->fields) read_field(table, fields, field, does);
        refuse_elsewhere(fields, *effect, where);
        fields.refuse_unknown();
        return does;
    }

    void read_field(const toml::table& table, TomlTable& fields, const Field& field, Does& does) {
        if (field.required && table.get(field.name) == nullptr) {
            fields.refuse(
                field.name,
                fmt::format("[{}.does] needs \"{}\"{}", name_, field.name,
                            field.type == FieldType::kDuration ? ", as in \"5 ms\"" : ""));
            return;
        }
        switch (field.type) {
            case FieldType::kWhole: {
                const auto low = static_cast<std::int64_t>(field.low);
                const auto high = static_cast<std::int64_t>(field.high);
                const auto otherwise = static_cast<std::int64_t>(field.otherwise);
                does.numbers[field.name] =
                    static_cast<double>(fields.integer_or(field.name, low, high, otherwise));
                return;
            }
            case FieldType::kNumber: read_number(table, fields, field, does); return;
            case FieldType::kDuration:
                does.numbers[field.name] =
                    fields.maybe_duration(field.name).value_or(Seconds{}).count;
                return;
            case FieldType::kSize:
                does.numbers[field.name] = fields.maybe_size(field.name).value_or(Bytes{}).count;
                return;
            case FieldType::kWord:
            case FieldType::kText: {
                std::string word = fields.text_or(field.name, field.word_otherwise);
                if (!field.choices.empty() && !word.empty()) {
                    refuse_strangers(fields, field.name, {word}, field.choices);
                }
                does.words[field.name] = std::move(word);
                return;
            }
        }
    }

    // Bounds are inclusive; NaN and infinity only where they make sense.
    static void read_number(const toml::table& table, TomlTable& fields, const Field& field,
                            Does& does) {
        const auto value = field.unbounded ? unbounded_number(table, fields, field.name)
                                           : fields.maybe_number(field.name, -kHuge, kHuge);
        if (!value) {
            if (!field.unbounded) does.numbers[field.name] = field.otherwise;
            return;
        }
        if (!field.unbounded && (*value < field.low || *value > field.high)) {
            fields.refuse(field.name, fmt::format("\"{}\" is {}, outside {} to {}", field.name,
                                                  *value, field.low, field.high));
        }
        does.numbers[field.name] = *value;
    }

    static void refuse_elsewhere(TomlTable& fields, const Effect& effect, const Where& where) {
        if (effect.inside.empty()) return;
        for (const std::string& name : where.operators) {
            if (std::ranges::find(effect.inside, without_underscore(name)) != effect.inside.end() ||
                std::ranges::find(effect.inside, name) != effect.inside.end()) {
                continue;
            }
            fields.refuse("kind", fmt::format("\"{}\" happens inside {} only, and \"operator\" "
                                              "names {} too",
                                              effect.kind, fmt::join(effect.inside, ", "), name));
            return;
        }
    }

    Document& document_;
    const std::string& name_;
};

}  // namespace

Rule read_rule(Document& document, TomlTable& fields, const std::string& name) {
    return RuleReader(document, name).read(fields);
}

}  // namespace ascertain::defects
