#include "app/plan_wish.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <array>
#include <utility>

#include "base/toml_table.hpp"

namespace ascertain::app {
namespace {

constexpr std::int64_t kDegreeMax = 1'000'000;
constexpr std::int64_t kLayersMax = 100'000;

// Every enumerator up to `last`, by the name that results print.
template <typename Enum>
Result<void> choose(const std::vector<std::string>& names, std::string_view flag, Enum last,
                    std::vector<Enum>& chosen) {
    if (names.empty()) return {};
    chosen.clear();
    for (const std::string& name : names) {
        std::string known;
        bool found = false;
        for (int i = 0; i <= static_cast<int>(last); ++i) {
            const auto value = static_cast<Enum>(i);
            known += fmt::format("{}{}", i == 0 ? "" : ", ", parallel::name_of(value));
            if (parallel::name_of(value) != name) continue;
            chosen.push_back(value);
            found = true;
        }
        if (!found)
            return Error{ErrorCode::kUsage,
                         fmt::format("{} {}: unknown; there are {}", flag, name, known), ""};
    }
    return {};
}

using Counts = std::vector<std::int64_t> PlanWish::*;
using Names = std::vector<std::string> PlanWish::*;

// Keys of the campaign and of evidence; the least count that makes sense.
struct CountKey {
    std::string_view key;
    Counts member;
    std::int64_t least;
};
constexpr std::array<CountKey, 9> kCountKeys{{
    {"tp", &PlanWish::tp, 1},
    {"pp", &PlanWish::pp, 1},
    {"cp", &PlanWish::cp, 1},
    {"ep", &PlanWish::ep, 1},
    {"etp", &PlanWish::etp, 1},
    {"micro_batch", &PlanWish::micro_batch, 1},
    {"vpp", &PlanWish::vpp, 1},
    {"recompute_layers", &PlanWish::recompute_layers, 0},
    {"pipeline_layers", &PlanWish::pipeline_layers, 0},
}};
constexpr std::array<std::pair<std::string_view, Names>, 3> kNameKeys{{
    {"schedule", &PlanWish::schedules},
    {"sharding", &PlanWish::shardings},
    {"recompute", &PlanWish::recomputes},
}};

}  // namespace

void add_plan_flags(CLI::App& flags, PlanWish& wish) {
    const auto counts = [&](const char* name, std::vector<std::int64_t>& into, const char* text,
                            std::int64_t least) {
        flags.add_option(name, into, text)
            ->delimiter(',')
            ->check(CLI::Range(least, kDegreeMax))
            ->group("Plan");
    };
    counts("--tp", wish.tp, "Try only these tensor parallel sizes: 4,8", 1);
    counts("--pp", wish.pp, "Try only these pipeline sizes", 1);
    counts("--cp", wish.cp, "Try only these context parallel sizes", 1);
    counts("--ep", wish.ep, "Try only these expert parallel sizes", 1);
    counts("--etp", wish.etp, "Try only these tensor parallel sizes inside an expert", 1);
    counts("--micro-batch", wish.micro_batch, "Try only these micro-batches, in sequences", 1);
    counts("--vpp", wish.vpp, "Try only these model chunks per rank", 1);
    counts("--recompute-layers", wish.recompute_layers,
           "With --recompute blocks: so many layers of each device recompute; without: the fewest "
           "that fit",
           0);
    counts("--pipeline-layers", wish.pipeline_layers,
           "Layers of each virtual pipeline stage from the first to the last, such as 15,16,16,14; "
           "default: as even as possible",
           0);
    const auto names = [&](const char* name, std::vector<std::string>& into, const char* text) {
        flags.add_option(name, into, text)->delimiter(',')->group("Plan");
    };
    names("--schedule", wish.schedules,
          "Try only these schedules: gpipe, 1f1b, interleaved, zero-bubble, zero-bubble-v, "
          "dualpipe, dualpipev");
    names("--sharding", wish.shardings, "Try only these: none, zero1, zero2, zero3, hsdp");
    names("--recompute", wish.recomputes, "Try only these policies: none, selective, blocks, full");
    flags
        .add_option("--offload-layers", wish.offload_layers,
                    "Layers of each device whose activations wait in host memory between forward "
                    "and backward")
        ->check(CLI::Range(std::int64_t{0}, kLayersMax))
        ->group("Plan");
}

PlanWish read_plan_wish(TomlTable& table) {
    PlanWish wish;
    for (const auto& [key, member, least] : kCountKeys)
        wish.*member = table.integers(key, least, kDegreeMax);
    for (const auto& [key, member] : kNameKeys) wish.*member = table.texts_or(key, {});
    wish.offload_layers = table.integer_or("offload_layers", 0, kLayersMax, 0);
    cost::SearchOptions options;
    if (const auto done = apply(wish, options); !done)
        table.refuse(kNameKeys[0].first, done.error().message);
    table.refuse_unknown();
    return wish;
}

Result<void> apply(const PlanWish& wish, cost::SearchOptions& options) {
    using namespace parallel;
    const auto take = [](const std::vector<std::int64_t>& from, std::vector<std::int64_t>& into) {
        if (!from.empty()) into = from;
    };
    take(wish.tp, options.tp);
    take(wish.pp, options.pp);
    take(wish.cp, options.cp);
    take(wish.ep, options.ep);
    take(wish.etp, options.etp);
    take(wish.micro_batch, options.micro_batch);
    take(wish.vpp, options.vpp);
    take(wish.recompute_layers, options.recompute_layers);
    take(wish.pipeline_layers, options.pipeline_layers);
    if (wish.offload_layers > 0) options.offload_layers = wish.offload_layers;
    if (const auto done =
            choose(wish.schedules, "schedule", ScheduleKind::kDualPipeV, options.schedules);
        !done)
        return done.error();
    if (const auto done = choose(wish.shardings, "sharding", Sharding::kHsdp, options.shardings);
        !done)
        return done.error();
    return choose(wish.recomputes, "recompute", Recompute::kBlocks, options.recomputes);
}

Json to_json(const PlanWish& wish) {
    Json json = Json::object();
    for (const auto& [key, member, least] : kCountKeys)
        if (!(wish.*member).empty()) json[std::string(key)] = wish.*member;
    for (const auto& [key, member] : kNameKeys)
        if (!(wish.*member).empty()) json[std::string(key)] = wish.*member;
    if (wish.offload_layers > 0) json["offload_layers"] = wish.offload_layers;
    return json;
}

}  // namespace ascertain::app
