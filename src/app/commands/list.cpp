// ascertain list: the table of checks.
#include <CLI/CLI.hpp>
#include <memory>

#include "app/commands/all.hpp"
#include "app/exit_codes.hpp"
#include "app/names.hpp"
#include "app/table.hpp"
#include "measure/checks/trainer.hpp"
#include "measure/qualification/filter.hpp"

namespace ascertain::app {
namespace {

void add_row(Table& table, const checks::Definition& check) {
    const std::string id =
        std::string(check.id) + (check.subjects == checks::Subjects::kNone ? "" : ".*");
    const bool control = !check.tamper.empty();
    table.rows.push_back({cell(id), cell(std::string(qualification::name_of(check.question))),
                          cell(std::string(check.family)),
                          cell(std::string(name_of(check.profile_min))),
                          cell(check.required ? "yes" : "no", check.required),
                          cell(control ? "yes" : "no", control), cell(std::string(check.asks))});
}

Table checks_table() {
    Table table{{{"id", "check", false},
                 {"question", "question", false},
                 {"family", "family", false},
                 {"profile", "from profile", false},
                 {"required", "required", false},
                 {"control", "control", false},
                 {"asks", "asks", false}},
                {}};
    for (const auto definitions : {checks::all(), checks::of_trainer()}) {
        for (const auto& check : definitions) add_row(table, check);
    }
    return table;
}

}  // namespace

Run declare_list(CLI::App& flags) {
    auto format = std::make_shared<Format>(Format::kTable);
    add_format_flag(flags, *format);
    return [format](Terminal& terminal, const Home&) {
        terminal.print(to_text(checks_table(), *format));
        return kExitDone;
    };
}

}  // namespace ascertain::app
