// ascertain evidence verify|show|export|diff.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "app/commands/all.hpp"
#include "app/exit_codes.hpp"
#include "app/table.hpp"
#include "base/text.hpp"
#include "decide/evidence/verify.hpp"

namespace ascertain::app {
namespace {

struct Options {
    std::string directory;
    std::string other;  // diff: the other run; export: the file
    std::string kind;
    Format format = Format::kTable;
};

int verify(Terminal& terminal, const Options& options) {
    const auto found = evidence::verify(options.directory);
    if (!found) return terminal.complain(found.error());
    terminal.print(fmt::format(
        "{} records in {} segments and {} blobs fit their hashes; {}\nhead {}", found->records,
        found->segments, found->blobs,
        found->complete ? "the run ended in order" : "the run did not end in order", found->head));
    if (found->torn)
        terminal.print(fmt::format("a write of {} bytes was cut short and does not count",
                                   found->torn->size_bytes));
    return kExitDone;
}

int show(Terminal& terminal, const Options& options) {
    const auto records = evidence::read_all(options.directory);
    if (!records) return terminal.complain(records.error());
    Table table{{{"id", "record", false},
                 {"kind", "kind", false},
                 {"time_utc", "time", false},
                 {"body", "body", false}},
                {}};
    for (const auto& record : *records) {
        if (!options.kind.empty() && record.kind != options.kind) continue;
        const Cell body = options.format == Format::kTable
                              ? cell(shortened(record.body.dump(), 120), record.body)
                              : cell("", record.body);
        table.rows.push_back({cell(record.id()), cell(record.kind), cell(record.time_utc), body});
    }
    terminal.print(to_text(table, options.format));
    return kExitDone;
}

int write_out(Terminal& terminal, const Options& options) {
    if (options.other.empty()) {
        const auto document = evidence::export_json(options.directory);
        if (!document) return terminal.complain(document.error());
        terminal.print(document->dump());
        return kExitDone;
    }
    const auto written = evidence::export_tar(options.directory, options.other);
    return written ? kExitDone : terminal.complain(written.error());
}

int differ(Terminal& terminal, const Options& options) {
    const auto left = evidence::read_all(options.directory);
    if (!left) return terminal.complain(left.error());
    const auto right = evidence::read_all(options.other);
    if (!right) return terminal.complain(right.error());
    const auto differences = evidence::diff(*left, *right);
    if (!differences) return terminal.complain(differences.error());
    Table table{{{"check", "check", false},
                 {"device", "device", false},
                 {"role", "role", false},
                 {"field", "field", false},
                 {"left", "left", true},
                 {"right", "right", true}},
                {}};
    for (const auto& item : *differences) {
        table.rows.push_back({cell(item.check), cell(item.device), cell(item.role),
                              cell(item.field), cell(item.left.dump(), item.left),
                              cell(item.right.dump(), item.right)});
    }
    terminal.print(to_text(table, options.format));
    return kExitDone;
}

}  // namespace

Run declare_evidence(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    const auto sub = [&](const char* name, const char* summary) {
        auto* command = flags.add_subcommand(name, summary);
        command->add_option("DIR", options->directory, "The evidence directory of a run")
            ->required();
        return command;
    };
    sub("verify", "Hold every record and blob against its hash");
    auto* showing = sub("show", "Print the records");
    showing->add_option("--kind", options->kind,
                        "Only these: context, required, prediction, attempt, plan, projection …");
    add_format_flag(*showing, options->format);
    sub("export", "One tar file, or one JSON document on standard output")
        ->add_option("FILE", options->other, "The tar file to write");
    auto* comparing = sub("diff", "What two runs measured differently");
    comparing->add_option("OTHER", options->other, "The other run")->required();
    add_format_flag(*comparing, options->format);
    flags.require_subcommand(1);
    return [options, &flags](Terminal& terminal, const Home&) {
        const std::string what = flags.get_subcommands().front()->get_name();
        if (what == "show") return show(terminal, *options);
        if (what == "export") return write_out(terminal, *options);
        if (what == "diff") return differ(terminal, *options);
        return verify(terminal, *options);
    };
}

}  // namespace ascertain::app
