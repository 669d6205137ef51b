// ascertain compare: one campaign on several fleets and mixes.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "app/commands/all.hpp"
#include "app/comparison.hpp"
#include "app/exit_codes.hpp"
#include "app/files.hpp"
#include "app/table.hpp"
#include "decide/report/fleets.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kRowsMax = 64;

struct Options {
    std::string constants;
    Overrides inputs;
    std::vector<std::string> chips;
    std::vector<double> delivered{1.0};
    std::string report;
    Format format = Format::kTable;
    std::uint64_t seed = 1;
    int histories = 3072;
};

Cell number(const std::optional<double>& value, double scale, std::string_view otherwise) {
    return value ? cell(fmt::format("{:.3g}", *value / scale), *value / scale)
                 : cell(std::string(otherwise), nullptr);
}

Cell chance(const goodput::Projection& projection) {
    const auto& deadline = projection.deadline;
    if (!deadline.mid) return cell("unknown", nullptr);
    return cell(
        fmt::format("{:.2f} ({:.2f} to {:.2f})", *deadline.mid, *deadline.low, *deadline.high),
        *deadline.mid);
}

std::string shown(const CompareRow& row) {
    if (row.delivered == 1.0) return row.variant.text;
    return fmt::format("{} ({:.0f} % delivered)", row.variant.text, 100.0 * row.delivered);
}

std::string counts(const Situation& situation) {
    std::string text;
    for (const auto& fleet : situation.fleets)
        text += fmt::format("{}{}", text.empty() ? "" : " and ", fleet.count);
    return text;
}

double pretrain_step(const CompareRow& row) {
    const auto& stage = row.stages.front();
    double step_s = stage.search.plans.front().cost.step_s;
    if (stage.shared) {
        step_s = std::max(step_s, stage.shared->search.plans.front().cost.step_s) +
                 stage.shared->exchange_s;
    }
    return step_s;
}

Cell served(const CompareRow& row) {
    if (!row.serving) return cell("no", nullptr);
    const auto& rate = row.serving->ranked.best.front().output_tokens_per_s;
    return cell(fmt::format("{:.0f} ({:.0f} to {:.0f})", rate.mid, rate.low, rate.high), rate.mid);
}

Table answers(const std::vector<CompareRow>& rows) {
    Table table{{{"chips", "chips", false},
                 {"count", "count", true},
                 {"step_s", "step, s", true},
                 {"p10_days", "finish, d: 10 %", true},
                 {"p50_days", "50 %", true},
                 {"p90_days", "90 %", true},
                 {"probability", "P(in time), 80 % of beliefs", true},
                 {"answer", "answer", false},
                 {"cost_musd", "cost, MUSD", true},
                 {"serving_tokens_per_s", "serves, tokens/s a device", true},
                 {"goodput_ratio", "goodput", true},
                 {"interruptions_per_day", "stops/d", true},
                 {"decided_by", "decided by", false},
                 {"settled_by", "settled by", false}},
                {}};
    for (const auto& row : rows) {
        if (!row.projection) {
            table.rows.push_back({cell(shown(row)), cell(counts(row.situation)), number({}, 1, "-"),
                                  number({}, 1, "-"), number({}, 1, "-"), number({}, 1, "-"),
                                  number({}, 1, "-"), cell("REFUSED"), number({}, 1, "-"),
                                  served(row), number({}, 1, "-"), number({}, 1, "-"),
                                  cell(row.refused_because), cell("")});
            continue;
        }
        const auto& p = *row.projection;
        table.rows.push_back(
            {cell(shown(row)), cell(counts(row.situation)), number(pretrain_step(row), 1.0, ""),
             number(p.finish_days.p10, 1.0, "never"), number(p.finish_days.p50, 1.0, "never"),
             number(p.finish_days.p90, 1.0, "never"), chance(p),
             cell(std::string(goodput::name_of(p.answer))), number(p.cost_usd.p50, 1e6, "unknown"),
             served(row), number(p.goodput_ratio, 1.0, ""),
             number(p.interruptions_per_day.p50, 1.0, "unknown"), cell(p.deadline.decided_by),
             cell(p.deadline.settled_by)});
    }
    return table;
}

void list(const Terminal& terminal, std::string_view title, const std::vector<Knowledge>& items) {
    if (items.empty()) return;
    std::string line = fmt::format("  {} ({}):", title, items.size());
    for (const auto& item : items) {
        line += fmt::format("\n    {}{}: {}", item.what,
                            item.kind.empty() ? "" : fmt::format(" ({})", item.kind), item.detail);
    }
    terminal.print(line);
}

void explain(const Terminal& terminal, const CompareRow& row) {
    terminal.print(fmt::format("\n{}", terminal.styled(shown(row), Style::kBold)));
    for (const auto& fleet : row.situation.fleets) {
        if (!fleet.chip.export_note.empty())
            terminal.print(fmt::format("  export, {}: {}", fleet.chip.id, fleet.chip.export_note));
    }
    if (!row.serving) terminal.print("  serves nothing: " + row.serving_refused_because);
    list(terminal, "unknown", row.unknown);
    list(terminal, "guessed", row.guessed);
    list(terminal, "known", row.known);
}

Result<std::vector<Variant>> variants_of(const Situation& base, const Options& options) {
    const auto& words = options.chips.empty() ? base.campaign.compare_chips : options.chips;
    if (words.empty()) {
        return Error{ErrorCode::kUsage,
                     "say what to compare: --chips a,b,a+b, or [compare] chips in the campaign",
                     base.campaign.path};
    }
    if (words.size() * options.delivered.size() > kRowsMax) {
        return Error{ErrorCode::kUsage, fmt::format("more than {} rows", kRowsMax), "--chips"};
    }
    std::vector<Variant> variants;
    for (const auto& word : words) {
        auto variant = parse_variant(word);
        if (!variant) return variant.error();
        variants.push_back(*std::move(variant));
    }
    return variants;
}

int run(Terminal& terminal, const Home& home, const Options& options) {
    Overrides inputs = options.inputs;
    if (inputs.campaign.empty()) inputs.campaign = home.data("campaigns/story-r2.toml");
    const auto base = read_situation(home, inputs);
    if (!base) return terminal.complain(base.error());
    const auto variants = variants_of(*base, options);
    if (!variants) return terminal.complain(variants.error());
    const auto book = read_cost_book(home, options.constants);
    if (!book) return terminal.complain(book.error());
    std::vector<CompareRow> rows;
    for (const auto& variant : *variants) {
        for (const double delivered : options.delivered) {
            terminal.status(fmt::format("{} …", variant.text));
            auto row =
                compare_on(home, *base, *book, variant, delivered, options.seed, options.histories);
            if (!row) return terminal.complain(row.error());
            rows.push_back(*std::move(row));
        }
    }
    terminal.status("");
    const Json document = to_json(*base, rows, options.seed);
    if (!options.report.empty()) {
        const auto written = write_file(options.report, report::fleets_page(document));
        if (!written) return terminal.complain(written.error());
        terminal.say(fmt::format("{}: open it in a browser", options.report));
    }
    if (options.format == Format::kJson) {
        terminal.print(document.dump(2));
        return kExitDone;
    }
    terminal.print(to_text(answers(rows), options.format));
    if (options.format == Format::kTable) {
        for (const auto& row : rows) explain(terminal, row);
    }
    return kExitDone;
}

}  // namespace

Run declare_compare(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    flags.add_option("--constants", options->constants,
                     "Fitted constants of your own, from `calibrate --from-runs`");
    flags.add_option("CAMPAIGN", options->inputs.campaign,
                     "Campaign file; default: the story's question, data/campaigns/story-r2.toml");
    flags
        .add_option(
            "--chips", options->chips,
            "What to compare, with commas between: a, a:4096, a@roce-400, a+b (b serves and "
            "writes the answers), a^b (later stages on b), a~b (both train, each its share)")
        ->delimiter(',');
    flags
        .add_option("--delivered", options->delivered,
                    "Shares of the chips that arrive, such as 1,0.5: a row for each")
        ->delimiter(',')
        ->check(CLI::Range(1e-3, 1.0));
    flags.add_option("--model", options->inputs.model,
                     "config.json to use in place of the campaign's");
    flags.add_option("--seed", options->seed,
                     "Seed of the histories: the same seed gives the same numbers");
    flags.add_option("--histories", options->histories, "How many histories are played per row")
        ->check(CLI::Range(96, 1'000'000));
    flags.add_option("--report", options->report,
                     "Write the comparison as one HTML file: dates, money, serving, what is known");
    add_format_flag(flags, options->format);
    return
        [options](Terminal& terminal, const Home& home) { return run(terminal, home, *options); };
}

}  // namespace ascertain::app
