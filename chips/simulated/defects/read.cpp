#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <utility>

#include "base/text.hpp"
#include "base/toml_table.hpp"
#include "chips/simulated/defects/defect.hpp"

namespace ascertain::simulated::defects {
namespace {

constexpr std::size_t kBytesMax = 1U << 20U;
constexpr std::int64_t kCountMax = std::int64_t{1} << 53;  // what a TOML number holds exactly
constexpr double kHuge = std::numeric_limits<double>::max();
constexpr const char* kSchema = "ascertain.defect/1";

constexpr std::array<std::pair<const char*, Effect>, 14> kEffects = {{
    {"scale", Effect::kScale},
    {"flip_bit", Effect::kFlipBit},
    {"round_partial_sums", Effect::kRoundPartialSums},
    {"nondeterministic_order", Effect::kNondeterministicOrder},
    {"drop_tail", Effect::kDropTail},
    {"zero_output", Effect::kZeroOutput},
    {"stale_output", Effect::kStaleOutput},
    {"shift_elements", Effect::kShiftElements},
    {"saturate", Effect::kSaturate},
    {"raise", Effect::kRaise},
    {"fall_back", Effect::kFallBack},
    {"sleep", Effect::kSleep},
    {"hang", Effect::kHang},
    {"crash", Effect::kCrash},
}};
const std::array<std::string, 4> kMatrixProducts = {"mm", "bmm", "addmm", "baddbmm"};

// "add" names "add_" as well.
std::string_view without_underscore(std::string_view name) {
    if (name.ends_with('_')) name.remove_suffix(1);
    return name;
}

struct Reader {
    const std::string& path;
    const std::vector<std::string>& operators;
    std::optional<Error> error;

    Where read_where(const toml::table& table) {
        TomlTable fields(table, "defect.where", path, error);
        Where where;
        where.op = fields.text("operator");
        where.phase = static_cast<Phase>(choice(fields, "phase", {"any", "forward", "backward"}));
        if (table.get("dtype") != nullptr) {
            where.dtype = fields.choice("dtype", {"fp64", "fp32", "fp16", "bf16"});
        }
        where.layout =
            static_cast<Layout>(choice(fields, "layout", {"any", "contiguous", "transposed"}));
        where.k_at_least = fields.integer_or("k_at_least", 0, kCountMax, 0);
        where.last_dim_multiple_of = fields.integer_or("last_dim_multiple_of", 1, kCountMax, 1);
        where.elements_at_least = fields.integer_or("elements_at_least", 0, kCountMax, 0);
        static_cast<void>(fields.text_or("dtype", ""));
        for (const std::string& name : operators) {
            if (matches_wildcard(name, where.op) ||
                matches_wildcard(without_underscore(name), where.op)) {
                where.names.push_back(name);
            }
        }
        if (where.names.empty() && !where.op.empty()) {
            fields.refuse(
                "operator",
                fmt::format(
                    "no operator that reaches a device is called \"{}\"; one that is made of "
                    "others (linear, rms_norm) does not reach it{}",
                    where.op, did_you_mean(where.op, operators)));
        }
        fields.refuse_unknown();
        return where;
    }

    When read_when(const toml::table& table) {
        TomlTable fields(table, "defect.when", path, error);
        When when;
        when.after_calls = fields.integer_or("after_calls", 0, kCountMax, 0);
        when.every = fields.integer_or("every", 1, kCountMax, 1);
        when.times = fields.integer_or("times", 1, kCountMax, 0);
        when.seed = static_cast<std::uint64_t>(fields.integer_or("seed", 0, kCountMax, 0));
        when.probability = fields.number_or("probability", 0.0, 1.0, 1.0);
        fields.refuse_unknown();
        return when;
    }

    Does read_does(const toml::table& table, const Where& where) {
        TomlTable fields(table, "defect.does", path, error);
        std::vector<std::string> names;
        for (const auto& [name, effect] : kEffects) names.emplace_back(name);
        const std::string kind = fields.choice("kind", names);
        Does does;
        for (const auto& [name, effect] : kEffects) {
            if (kind == name) does.effect = effect;
        }
        read_amounts(fields, does);
        if (needs_matrix_product(does.effect)) {
            for (const std::string& name : where.names) {
                if (std::ranges::find(kMatrixProducts, without_underscore(name)) ==
                    kMatrixProducts.end()) {
                    fields.refuse("kind", fmt::format("\"{}\" happens inside {} only, and \"{}\" "
                                                      "names {} too",
                                                      kind, fmt::join(kMatrixProducts, ", "),
                                                      where.op, name));
                }
            }
        }
        fields.refuse_unknown();
        return does;
    }

    Defect read_defect(const toml::table& table) {
        TomlTable fields(table, "defect", path, error);
        Defect defect;
        defect.id = fields.text("id");
        defect.summary = fields.text("summary");
        defect.source = fields.text("source");
        defect.where = read_where(fields.table("where"));
        if (const auto when = fields.tables("when", false); !when.empty()) {
            defect.when = read_when(*when.front());
            if (when.size() > 1) fields.refuse("when", "a defect has one [defect.when]");
        }
        defect.does = read_does(fields.table("does"), defect.where);
        // A kernel that is not there is not there always, for everything.
        if (defect.does.effect == Effect::kFallBack && !defect_is_unconditional(table, defect)) {
            fields.refuse("does",
                          "\"fall_back\" takes a kernel away from the start: it goes with "
                          "an operator alone, without other conditions");
        }
        fields.refuse_unknown();
        return defect;
    }

private:
    static bool needs_matrix_product(Effect effect) {
        return effect == Effect::kRoundPartialSums || effect == Effect::kNondeterministicOrder;
    }

    static bool defect_is_unconditional(const toml::table& table, const Defect& defect) {
        const Where& where = defect.where;
        return table.get("when") == nullptr && where.phase == Phase::kAny && where.dtype.empty() &&
               where.layout == Layout::kAny && where.k_at_least == 0 &&
               where.last_dim_multiple_of == 1 && where.elements_at_least == 0;
    }

    // The place of the value in `choices`; 0 when it is not given.
    std::size_t choice(TomlTable& fields, std::string_view key,
                       const std::vector<std::string>& choices) {
        const std::string value = fields.text_or(key, choices.front());
        const auto place = std::ranges::find(choices, value);
        if (place != choices.end()) return static_cast<std::size_t>(place - choices.begin());
        fields.refuse(key, fmt::format("\"{}\" is not one of {}{}", value, fmt::join(choices, ", "),
                                       did_you_mean(value, choices)));
        return 0;
    }

    double number(TomlTable& fields, std::string_view key, double low, double high) {
        const auto value = fields.maybe_number(key, low, high);
        if (!value) fields.refuse(key, fmt::format("[defect.does] needs \"{}\"", key));
        return value.value_or(0.0);
    }

    void read_amounts(TomlTable& fields, Does& does) {
        switch (does.effect) {
            case Effect::kScale: does.factor = number(fields, "factor", -kHuge, kHuge); break;
            case Effect::kSaturate: does.limit = number(fields, "limit", 0.0, kHuge); break;
            case Effect::kFlipBit:
                does.bit = fields.integer("bit", 0, 63);
                does.element = fields.integer_or("element", 0, kCountMax, -1);
                break;
            case Effect::kRoundPartialSums:
            case Effect::kNondeterministicOrder:
                does.chunk = fields.integer("chunk", 1, kCountMax);
                break;
            case Effect::kDropTail: does.elements = fields.integer("elements", 1, kCountMax); break;
            case Effect::kShiftElements: does.elements = fields.integer("by", 1, kCountMax); break;
            case Effect::kRaise:
                does.message = fields.text_or("message", "simulated device error");
                break;
            case Effect::kSleep: {
                const auto duration = fields.maybe_duration("for");
                if (!duration) fields.refuse("for", "[defect.does] needs \"for\", as in \"5 ms\"");
                if (duration) does.duration_s = duration->count;
                break;
            }
            case Effect::kZeroOutput:
            case Effect::kStaleOutput:
            case Effect::kFallBack:
            case Effect::kHang:
            case Effect::kCrash: break;
        }
    }
};

}  // namespace

Result<std::vector<Defect>> read_defects(std::string_view text, const std::string& path,
                                         const std::vector<std::string>& operators) {
    if (text.size() > kBytesMax) {
        return Error{ErrorCode::kBadInput, fmt::format("more than {} bytes", kBytesMax),
                     path + ":1:1"};
    }
    try {
        const toml::table root = toml::parse(text, path);
        Reader reader{path, operators, std::nullopt};
        TomlTable fields(root, "defects", path, reader.error);
        static_cast<void>(fields.choice("schema", {kSchema}));
        std::vector<Defect> defects;
        std::set<std::string> ids;
        for (const toml::table* table : fields.tables("defect", true)) {
            defects.push_back(reader.read_defect(*table));
            if (!ids.insert(defects.back().id).second) {
                TomlTable(*table, "defect", path, reader.error)
                    .refuse("id", fmt::format("\"{}\" is there twice", defects.back().id));
            }
        }
        fields.refuse_unknown();
        if (reader.error) return *reader.error;
        return defects;
    } catch (const toml::parse_error& problem) {
        const auto& begin = problem.source().begin;
        return Error{ErrorCode::kBadInput, std::string(problem.description()),
                     fmt::format("{}:{}:{}", path, begin.line, begin.column)};
    }
}

}  // namespace ascertain::simulated::defects
