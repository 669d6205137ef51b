// ascertain simulate: step, memory, goodput, finish date and cost.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "app/commands/all.hpp"
#include "app/exit_codes.hpp"
#include "app/forecast.hpp"
#include "app/plan_wish.hpp"
#include "app/table.hpp"
#include "predict/cost/cost_json.hpp"
#include "predict/cost/timeline.hpp"
#include "predict/goodput/projection_json.hpp"

namespace ascertain::app {
namespace {

struct Options {
    std::string constants;
    Overrides inputs;
    std::string trace;
    bool trace_all_ranks = false;
    std::size_t stage = 1;
    Format format = Format::kTable;
    std::uint64_t seed = 1;
    int histories = 3072;
    PlanWish wish;
};

std::string quantile(const std::optional<double>& value, std::string_view unit, double scale) {
    return value ? fmt::format("{:.3g}{}", *value / scale, unit) : "unknown";
}

std::string range(const goodput::Quantiles& quantiles, std::string_view unit, double scale) {
    if (!quantiles.p50) return "unknown: " + quantiles.reason;
    return fmt::format("{} (80 %: {} to {})", quantile(quantiles.p50, unit, scale),
                       quantile(quantiles.p10, unit, scale), quantile(quantiles.p90, unit, scale));
}

void print_answer(const Terminal& terminal, const goodput::Projection& projection) {
    const auto& deadline = projection.deadline;
    if (projection.deadline_days && deadline.mid) {
        terminal.print(fmt::format(
            "P(finish within {:.3g} d) = {:.2f} (from {:.2f} to {:.2f}), wanted {:.2f}: {}; "
            "decided by {} ({})",
            *projection.deadline_days, *deadline.mid, deadline.low.value_or(0.0),
            deadline.high.value_or(1.0), projection.confidence, goodput::name_of(projection.answer),
            deadline.decided_by, goodput::name_of(deadline.decided_by_kind)));
    }
    if (!deadline.reason.empty()) terminal.print("  " + deadline.reason);
    if (!deadline.settled_by.empty()) terminal.print("  settled by: " + deadline.settled_by);
    terminal.print(fmt::format("Finish: {}; without any failure or straggler {:.3g} d",
                               range(projection.finish_days, " d", 1.0), projection.ideal_days));
    terminal.print("Cost: " + range(projection.cost_usd, " MUSD", 1e6));
    terminal.print("Energy: " + range(projection.energy_kwh, " GWh", 1e6));
    terminal.print("Interruptions per day: " + range(projection.interruptions_per_day, "", 1.0));
}

Table shares(std::string title, const std::vector<goodput::WaterfallPart>& parts) {
    Table table{{{"name", std::move(title), false}, {"ratio", "share", true}}, {}};
    for (const auto& part : parts) {
        table.rows.push_back(
            {cell(part.name), cell(fmt::format("{:.1f} %", 100 * part.ratio), part.ratio)});
    }
    return table;
}

Table must_be_true(const goodput::Projection& projection) {
    Table table{{{"name", "what would have to be true", false},
                 {"now", "now", true},
                 {"needed", "needed", true},
                 {"unit", "unit", false}},
                {}};
    for (const auto& item : projection.must_be_true) {
        table.rows.push_back(
            {cell(item.name), cell(fmt::format("{:.4g}", item.now), item.now),
             item.needed ? cell(fmt::format("{} {:.4g}", item.direction == "at_least" ? ">=" : "<=",
                                            *item.needed),
                                *item.needed)
                         : cell(item.reason, nullptr),
             cell(item.unit)});
    }
    return table;
}

Table provenance(const goodput::Projection& projection) {
    Table table{{{"name", "input", false},
                 {"value", "value", true},
                 {"low", "10 %", true},
                 {"high", "90 %", true},
                 {"unit", "unit", false},
                 {"kind", "kind", false},
                 {"source", "source", false}},
                {}};
    for (const auto& item : projection.provenance) {
        const auto number = [](double value) { return cell(fmt::format("{:.4g}", value), value); };
        table.rows.push_back({cell(item.name), number(item.value), number(item.low),
                              number(item.high), cell(item.unit),
                              cell(std::string(goodput::name_of(item.kind))), cell(item.source)});
    }
    return table;
}

void print(const Terminal& terminal, const Situation& situation,
           const std::vector<StageForecast>& stages, const goodput::Projection& projection) {
    for (const auto& stage : stages) {
        const auto& best = stage.search.plans.front();
        terminal.print(fmt::format(
            "{}: {} on {} x {}: {} per step (80 %: {} to {}), {} of memory, MFU {:.1f} %",
            name_of(stage.stage.kind), parallel::describe(best.plan),
            situation.fleets[stage.fleet].count, situation.fleets[stage.fleet].chip.id,
            format_duration({best.cost.step_s}), format_duration({best.cost.low_s}),
            format_duration({best.cost.high_s}), format_size({best.cost.memory_bytes}),
            100 * best.cost.mfu_ratio));
    }
    print_answer(terminal, projection);
    terminal.print(
        "\n" + to_text(shares("where the wall time goes", projection.waterfall), Format::kTable));
    terminal.print(to_text(shares("work done twice and time down, by cause", projection.lost_to),
                           Format::kTable));
    terminal.print(to_text(must_be_true(projection), Format::kTable));
    terminal.print("What it rests on:\n" + to_text(provenance(projection), Format::kTable));
}

// The first stage's best plan as a trace, written piece by piece beside the file and renamed.
Result<void> write_trace(const Situation& situation, const cost::CostBook& book,
                         const StageForecast& stage, const Options& options) {
    if (stage.search.plans.empty())
        return Error{ErrorCode::kUnknownValue,
                     "no plan fits, so that there is no step to draw: " + stage.search.nothing_fits,
                     "--trace"};
    const std::string part = options.trace + ".part";
    std::ofstream stream(part, std::ios::binary | std::ios::trunc);
    cost::TimelineOptions timeline;
    timeline.all_ranks = options.trace_all_ranks;
    const auto drawn = cost::write_timeline(
        situation.architecture, situation.fleets[stage.fleet], stage.job,
        stage.search.plans.front().plan, book, timeline, [&](std::string_view piece) {
            stream.write(piece.data(), static_cast<std::streamsize>(piece.size()));
        });
    stream.close();
    std::error_code moved;
    if (drawn && stream) std::filesystem::rename(part, options.trace, moved);
    if (drawn && stream && !moved) return {};
    std::remove(part.c_str());
    if (!drawn) return drawn.error();
    return Error{ErrorCode::kEvidence,
                 "cannot be written: does the folder exist, is the disk full?", options.trace};
}

int run(Terminal& terminal, const Home& home, const Options& options) {
    const auto situation = read_situation(home, options.inputs);
    if (!situation) return terminal.complain(situation.error());
    const auto book = read_cost_book(home, options.constants);
    if (!book) return terminal.complain(book.error());
    terminal.status("searching plans …");
    const auto stages = forecast_stages(*situation, *book, options.wish);
    if (!stages) return terminal.complain(stages.error());
    if (!options.trace.empty()) {
        if (options.stage < 1 || options.stage > stages->size())
            return terminal.complain({ErrorCode::kUsage,
                                      fmt::format("--trace-stage {}: the campaign has {} stages",
                                                  options.stage, stages->size()),
                                      ""});
        terminal.status("drawing the step …");
        const auto written = write_trace(*situation, *book, (*stages)[options.stage - 1], options);
        terminal.status("");
        if (!written) return terminal.complain(written.error());
        terminal.say(
            fmt::format("{}: open it in ui.perfetto.dev or chrome://tracing", options.trace));
    }
    terminal.status("playing histories …");
    const auto projection =
        forecast_months(home, *situation, *book, *stages, {}, options.seed, options.histories);
    terminal.status("");
    if (!projection) return terminal.complain(projection.error());
    if (options.format == Format::kJson) {
        const Json step = cost::to_json(stages->front().search.plans.front().cost);
        terminal.print(goodput::to_json(*projection, step, step.value("memory", Json())).dump(2));
    } else if (options.format == Format::kCsv) {
        terminal.print(to_text(provenance(*projection), Format::kCsv));
    } else {
        print(terminal, *situation, *stages, *projection);
    }
    return kExitDone;
}

}  // namespace

Run declare_simulate(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    flags.add_option("--constants", options->constants,
                     "Fitted constants of your own, from `calibrate --from-runs`");
    flags.add_option("CAMPAIGN", options->inputs.campaign,
                     "Campaign file; default: the first look");
    flags.add_option("--model", options->inputs.model,
                     "config.json to use in place of the campaign's");
    flags.add_option("--seed", options->seed,
                     "Seed of the histories: the same seed gives the same numbers");
    flags.add_option("--histories", options->histories, "How many histories are played")
        ->check(CLI::Range(96, 1'000'000));
    add_plan_flags(flags, options->wish);
    auto* trace = flags.add_option("--trace", options->trace,
                                   "Write one step of the best plan as a Chrome/Perfetto trace; "
                                   "one row stands for a pipeline rank and all its replicas");
    flags
        .add_flag("--trace-all-ranks", options->trace_all_ranks,
                  "One row per device, at most 10,000")
        ->needs(trace);
    flags
        .add_option("--trace-stage", options->stage,
                    "Which training stage is drawn, counted from 1")
        ->needs(trace);
    add_format_flag(flags, options->format);
    return
        [options](Terminal& terminal, const Home& home) { return run(terminal, home, *options); };
}

}  // namespace ascertain::app
