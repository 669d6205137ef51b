// ascertain plan: the best parallel plans for the fleet.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "app/commands/all.hpp"
#include "app/exit_codes.hpp"
#include "app/forecast.hpp"
#include "app/plan_wish.hpp"
#include "app/sizing.hpp"
#include "app/table.hpp"
#include "predict/cost/cost_json.hpp"

namespace ascertain::app {
namespace {

struct Options {
    std::string constants;
    Overrides inputs;
    Format format = Format::kTable;
    std::size_t stage = 1;
    bool serve = false;
    std::size_t top = cost::SearchOptions{}.top;
    PlanWish wish;
};

std::string sharding_text(const parallel::Plan& plan) {
    return fmt::format("{}", parallel::name_of(plan.sharding));
}

std::string recompute_text(const parallel::Plan& plan) {
    std::string text(parallel::name_of(plan.recompute));
    if (plan.recompute == parallel::Recompute::kBlocks)
        text += fmt::format(" {}", plan.recompute_layers);
    return text;
}

Table plans_table(const cost::SearchResult& found) {
    Table table{{{"tp", "tp", true},
                 {"pp", "pp", true},
                 {"vpp", "vpp", true},
                 {"dp", "dp", true},
                 {"cp", "cp", true},
                 {"ep", "ep", true},
                 {"etp", "etp", true},
                 {"sharding", "sharding", false},
                 {"micro_batch", "micro-batch", true},
                 {"recompute", "recompute", false},
                 {"schedule", "schedule", false},
                 {"step_s", "step", true},
                 {"low_s", "80 % from", true},
                 {"high_s", "to", true},
                 {"memory_bytes", "memory", true},
                 {"mfu_ratio", "MFU", true},
                 {"bound_by", "bound by", false},
                 {"worse_because", "worse than the best because", false}},
                {}};
    for (const auto& ranked : found.plans) {
        const auto& p = ranked.plan;
        const auto& c = ranked.cost;
        const auto number = [](std::int64_t value) {
            return cell(fmt::format("{}", value), value);
        };
        table.rows.push_back(
            {number(p.tp), number(p.pp), number(p.vpp), number(p.dp), number(p.cp), number(p.ep),
             number(p.etp), cell(sharding_text(p)), number(p.micro_batch), cell(recompute_text(p)),
             cell(std::string(parallel::name_of(p.schedule))),
             cell(format_duration({c.step_s}), c.step_s), cell(format_duration({c.low_s}), c.low_s),
             cell(format_duration({c.high_s}), c.high_s),
             cell(format_size({c.memory_bytes}), c.memory_bytes),
             cell(fmt::format("{:.1f} %", 100 * c.mfu_ratio), c.mfu_ratio), cell(c.bound_by),
             cell(ranked.worse_because)});
    }
    return table;
}

int print(Terminal& terminal, const Situation& situation, const StageForecast& stage,
          Format format) {
    const auto& found = stage.search;
    if (format == Format::kJson) {
        terminal.print(cost::to_json(found).dump(2));
        return found.plans.empty() ? kExitInconclusive : kExitDone;
    }
    const auto& fleet = situation.fleets[stage.fleet];
    if (format == Format::kTable) {
        terminal.print(fmt::format("{} on {} x {}: {} tokens per step in sequences of {}",
                                   situation.architecture.name, fleet.count, fleet.chip.id,
                                   stage.job.sequence_length * stage.job.global_batch_sequences,
                                   stage.job.sequence_length));
    }
    if (found.plans.empty()) {
        terminal.print("no plan fits in memory: " + found.nothing_fits);
        return kExitInconclusive;
    }
    terminal.print(to_text(plans_table(found), format));
    if (format != Format::kTable) return kExitDone;
    terminal.print("What the best one rests on:");
    Table basis{{{"name", "input", false},
                 {"value", "value", true},
                 {"unit", "unit", false},
                 {"kind", "kind", false},
                 {"source", "source", false}},
                {}};
    for (const auto& item : found.plans.front().cost.basis) {
        basis.rows.push_back({cell(item.name), cell(fmt::format("{:.4g}", item.value), item.value),
                              cell(item.unit), cell(item.kind), cell(item.source)});
    }
    terminal.print(to_text(basis, format));
    terminal.say(fmt::format("considered {}, not in memory {}, costed {}, exact {}, {}",
                             found.considered, found.pruned, found.costed, found.exact,
                             format_duration(found.elapsed)));
    return kExitDone;
}

std::string spread(const cost::Interval& one, double scale) {
    return fmt::format("{:.3g} ({:.3g} to {:.3g})", one.mid * scale, one.low * scale,
                       one.high * scale);
}

Table layouts_table(const serving::Ranked& ranked) {
    Table table{{{"tp", "tp", true},
                 {"dp", "dp", true},
                 {"pp", "pp", true},
                 {"chips", "devices", true},
                 {"sequences", "sequences", true},
                 {"memory_bytes", "memory", true},
                 {"prefill_tokens_per_s", "prefill, tokens/s", true},
                 {"decode_tokens_per_s", "decode, tokens/s", true},
                 {"output_tokens_per_s", "both, output tokens/s", true},
                 {"time_per_output_token_s", "per token, ms", true},
                 {"time_to_first_token_s", "first token, ms", true},
                 {"bound_by", "bound by", false}},
                {}};
    for (const auto& one : ranked.best) {
        const auto rate = [](const cost::Interval& value) {
            return cell(spread(value, 1.0), value.mid);
        };
        const auto time = [](const cost::Interval& value) {
            return cell(spread(value, 1e3), value.mid);
        };
        table.rows.push_back({cell(fmt::format("{}", one.layout.tp), one.layout.tp),
                              cell(fmt::format("{}", one.layout.dp), one.layout.dp),
                              cell(fmt::format("{}", one.layout.pp), one.layout.pp),
                              cell(fmt::format("{}", one.layout.chips()), one.layout.chips()),
                              cell(fmt::format("{:.0f}", one.sequences), one.sequences),
                              cell(format_size(one.memory.total()), one.memory.total().count),
                              rate(one.prefill_tokens_per_s), rate(one.decode_tokens_per_s),
                              rate(one.output_tokens_per_s), time(one.time_per_output_token_s),
                              time(one.time_to_first_token_s), cell(one.bound_by)});
    }
    return table;
}

void explain_serving(Terminal& terminal, const Situation& situation, const Sizing& sizing) {
    terminal.print(fmt::format(
        "{} in {} on {}, {:.0f} tokens in and {:.0f} out a request; rates per device, 80 % "
        "intervals, sequences per group",
        situation.architecture.name, serving::name_of(sizing.engine.precision),
        sizing.fleet.chip.id, sizing.workload.prompt_tokens, sizing.workload.output_tokens));
}

int print_serving(Terminal& terminal, const Situation& situation, const Sizing& sizing,
                  Format format) {
    const bool serves = !sizing.ranked.best.empty();
    if (format == Format::kJson) {
        terminal.print(to_json(sizing).dump(2));
        return serves ? kExitDone : kExitInconclusive;
    }
    if (!serves) {
        terminal.print("nothing serves it: " + sizing.ranked.nothing_fits);
        return kExitInconclusive;
    }
    if (format == Format::kTable) explain_serving(terminal, situation, sizing);
    terminal.print(to_text(layouts_table(sizing.ranked), format));
    if (format != Format::kTable) return kExitDone;
    if (sizing.devices) {
        terminal.print(fmt::format("For {:.4g} output tokens/s: {} devices",
                                   *situation.campaign.serving.output_tokens_per_s,
                                   spread(*sizing.devices, 1.0)));
    }
    if (sizing.usd_per_million_tokens) {
        terminal.print(fmt::format("Rent: {} USD per million output tokens",
                                   spread(*sizing.usd_per_million_tokens, 1.0)));
    }
    return kExitDone;
}

int run_serve(Terminal& terminal, const Home& home, const Options& options) {
    const auto situation = read_situation(home, options.inputs);
    if (!situation) return terminal.complain(situation.error());
    const auto book = read_cost_book(home, options.constants);
    if (!book) return terminal.complain(book.error());
    const auto sizing = size_serving(home, *situation, *book, options.top);
    if (!sizing) return terminal.complain(sizing.error());
    return print_serving(terminal, *situation, *sizing, options.format);
}

int run(Terminal& terminal, const Home& home, const Options& options) {
    if (options.serve) return run_serve(terminal, home, options);
    auto situation = read_situation(home, options.inputs);
    if (!situation) return terminal.complain(situation.error());
    const auto book = read_cost_book(home, options.constants);
    if (!book) return terminal.complain(book.error());
    if (options.stage < 1 || options.stage > situation->campaign.stages.size()) {
        return terminal.complain({ErrorCode::kUsage,
                                  fmt::format("--stage {}: the campaign has {} stages",
                                              options.stage, situation->campaign.stages.size()),
                                  ""});
    }
    // Only the stage that is asked about is searched.
    situation->campaign.stages = {situation->campaign.stages[options.stage - 1]};
    terminal.status("searching plans …");
    const auto stages = forecast_stages(*situation, *book, options.wish, options.top);
    terminal.status("");
    if (!stages) return terminal.complain(stages.error());
    return print(terminal, *situation, stages->front(), options.format);
}

}  // namespace

Run declare_plan(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    flags.add_option("--constants", options->constants,
                     "Fitted constants of your own, from `calibrate --from-runs`");
    flags.add_option("CAMPAIGN", options->inputs.campaign,
                     "Campaign file; default: the first look");
    flags.add_option("--model", options->inputs.model,
                     "config.json to use in place of the campaign's");
    flags.add_option("--stage", options->stage, "Which training stage, counted from 1");
    flags.add_flag("--serve", options->serve,
                   "Size the campaign's [serving] side instead: layouts, batch, tokens per second, "
                   "latency, memory");
    flags.add_option("--top", options->top, "How many plans to print")->check(CLI::Range(1, 1000));
    add_plan_flags(flags, options->wish);
    add_format_flag(flags, options->format);
    return
        [options](Terminal& terminal, const Home& home) { return run(terminal, home, *options); };
}

}  // namespace ascertain::app
