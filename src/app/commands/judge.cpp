// ascertain judge DIR and ascertain report DIR: from the evidence, again.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "app/commands/all.hpp"
#include "app/diagnose.hpp"
#include "app/exit_codes.hpp"
#include "app/prove/shipped.hpp"
#include "app/qualify/conclude.hpp"
#include "app/table.hpp"
#include "decide/evidence/verify.hpp"
#include "decide/report/table.hpp"

namespace ascertain::app {
namespace {

struct Options {
    std::string directory;
    Format format = Format::kTable;
};

struct Judged {
    std::vector<evidence::Record> records;
    judge::Verdict verdict;
};

Result<Judged> judge_directory(const Home& home, const std::string& directory) {
    const auto verified = evidence::verify(directory);
    if (!verified) return verified.error();
    auto records = evidence::read_all(directory);
    if (!records) return records.error();
    const auto criteria = read_criteria(home);
    if (!criteria) return criteria.error();
    auto verdict = verdict_of(*records, *criteria, shipped_proofs(home, *criteria));
    if (!verdict) return verdict.error();
    add_causes(home, *verdict);
    return Judged{*std::move(records), *std::move(verdict)};
}

void print(const Terminal& terminal, const judge::Verdict& verdict, Format format) {
    if (format == Format::kJson) {
        terminal.print(judge::to_json(verdict).dump(2));
        return;
    }
    if (format == Format::kCsv) {
        Table table{{{"id", "check", false},
                     {"device", "device", false},
                     {"status", "status", false},
                     {"required", "required", false},
                     {"reason", "reason", false}},
                    {}};
        for (const auto& check : verdict.checks) {
            table.rows.push_back({cell(check.id), cell(check.device),
                                  cell(std::string(judge::name_of(check.status))),
                                  cell(check.required ? "yes" : "no", check.required),
                                  cell(check.reason)});
        }
        terminal.print(to_text(table, format));
        return;
    }
    const report::TextStyle style{.colour = terminal.colour(), .width = 120};
    terminal.print(report::verdict_summary(verdict, style));
    print_causes(terminal, verdict);
    terminal.print("\n" + report::checks_table(verdict, style));
    if (!verdict.comparisons.empty())
        terminal.print("\n" + report::comparisons_table(verdict, style));
}

Run declare(CLI::App& flags, const std::shared_ptr<Options>& options,
            int (*finish)(Terminal&, const Home&, const Options&, const Judged&)) {
    flags.add_option("DIR", options->directory, "The evidence directory of a run")->required();
    return [options, finish](Terminal& terminal, const Home& home) {
        const auto judged = judge_directory(home, options->directory);
        if (!judged) {
            return terminal.complain(judged.error());
        }
        return finish(terminal, home, *options, *judged);
    };
}

}  // namespace

Run declare_judge(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    add_format_flag(flags, options->format);
    return declare(flags, options,
                   [](Terminal& terminal, const Home&, const Options& given, const Judged& judged) {
                       print(terminal, judged.verdict, given.format);
                       return exit_code(judged.verdict.verdict);
                   });
}

Run declare_report(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    return declare(
        flags, options,
        [](Terminal& terminal, const Home& home, const Options& given, const Judged& judged) {
            const auto written =
                write_reports(home, given.directory, judged.records, judged.verdict);
            if (!written) {
                return terminal.complain(written.error());
            }
            terminal.print(fmt::format("{}/report.html", given.directory));
            return kExitDone;
        });
}

}  // namespace ascertain::app
