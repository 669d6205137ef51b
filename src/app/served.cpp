#include "app/served.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "app/exit_codes.hpp"
#include "app/files.hpp"
#include "model/config.hpp"
#include "predict/serving/served.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kDataFileBytesMax = 4u << 20;

// Architectures by the name of their file, each read once.
class Models {
public:
    explicit Models(const Home& home) : home_(home) {}

    const Result<model::Architecture>& find(const std::string& name) {
        const auto known = read_.find(name);
        if (known != read_.end()) return known->second;
        return read_.emplace(name, read(name)).first->second;
    }

private:
    [[nodiscard]] Result<model::Architecture> read(const std::string& name) const {
        if (name.empty() || name.find_first_of("/\\") != std::string::npos)
            return Error{ErrorCode::kBadInput, "no name of a file in data/models", name};
        const std::string path = home_.data("models/" + name + ".json");
        const auto text = read_file(path, kDataFileBytesMax);
        if (!text) return text.error();
        return model::read_config(*text, name);
    }

    const Home& home_;
    std::map<std::string, Result<model::Architecture>> read_;
};

Cell rate(double value) {
    return cell(fmt::format("{:.0f}", value), value);
}

Table rows_table(const std::vector<serving::ServedRow>& rows,
                 const std::vector<serving::ServedSeconds>& seconds,
                 const serving::ServedFit& fit) {
    Table table{{{"id", "figure", false},
                 {"series", "series", false},
                 {"chip", "chip", false},
                 {"published_tokens_per_s", "published, tokens/s", true},
                 {"predicted_tokens_per_s", "predicted", true},
                 {"low_tokens_per_s", "80 % from", true},
                 {"high_tokens_per_s", "to", true},
                 {"inside", "inside", false},
                 {"refused_because", "refused because", false}},
                {}};
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto& row = rows[i];
        const auto& found = fit.rows[i];
        const Cell none = cell("-", nullptr);
        table.rows.push_back({cell(row.id), cell(row.series), cell(row.chip), rate(row.value),
                              found ? rate(found->left_out) : none, found ? rate(found->low) : none,
                              found ? rate(found->high) : none,
                              found ? cell(found->inside ? "yes" : "no", found->inside) : none,
                              cell(seconds[i].refused_because)});
    }
    return table;
}

int write_files(Terminal& terminal, const std::vector<serving::ServedRow>& rows,
                const std::vector<serving::ServedSeconds>& seconds, const serving::ServedFit& fit,
                const ServedRequest& request) {
    if (!request.page.empty()) {
        const auto done = write_file(request.page, serving::served_page(rows, seconds, fit));
        if (!done) return terminal.complain(done.error());
    }
    if (!request.level.empty()) {
        const auto done = write_file(request.level, serving::to_toml(fit.level));
        if (!done) return terminal.complain(done.error());
    }
    return kExitDone;
}

}  // namespace

bool is_served(const Json& document) {
    return document.is_object() && document.value("schema", Json()) == "ascertain.served/1";
}

int score_served(Terminal& terminal, const Home& home, const catalog::Catalog& known,
                 const cost::CostBook& book, const Json& document, const ServedRequest& request) {
    const auto rows = serving::read_served(document, request.path);
    if (!rows) return terminal.complain(rows.error());
    Models models(home);
    std::vector<serving::ServedSeconds> seconds;
    for (const auto& row : *rows)
        seconds.push_back(serving::served_seconds(row, models.find(row.model), known, book));
    const auto fit = serving::fit_served(*rows, seconds);
    if (!fit) {
        (void)terminal.complain(fit.error());
        return kExitInconclusive;
    }
    if (const int code = write_files(terminal, *rows, seconds, *fit, request); code != kExitDone)
        return code;
    if (request.format == Format::kJson) {
        terminal.print(serving::to_json(*rows, seconds, *fit).dump(2));
        return kExitDone;
    }
    if (request.format == Format::kCsv || request.rows)
        terminal.print(to_text(rows_table(*rows, seconds, *fit), request.format));
    if (request.format == Format::kCsv) return kExitDone;
    terminal.print(fmt::format(
        "{} rows of serving, {} predicted, each without its own series: median error {:.0f} %, "
        "{:.0f} % in the 80 % interval ({:.0f} % with every series counting once).\n"
        "Engines take {:.2f} x the seconds of a pass in prefill and {:.2f} x in decode; interval: "
        "a factor of {:.2f}.",
        rows->size(), fit->level.rows, 100.0 * fit->median_error, 100.0 * fit->inside_ratio,
        100.0 * fit->inside_series_ratio, fit->level.prefill, fit->level.decode,
        std::exp(fit->level.width)));
    return kExitDone;
}

Result<serving::EngineLevel> read_engine_level(const Home& home) {
    const std::string path = home.data("cost/serving.toml");
    const auto text = read_file(path, kDataFileBytesMax);
    if (!text) return text.error();
    return serving::EngineLevel::parse(*text, path);
}

}  // namespace ascertain::app
