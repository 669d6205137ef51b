#include "predict/goodput/published.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/toml_table.hpp"
#include "predict/goodput/inputs.hpp"

namespace ascertain::goodput {
namespace {

constexpr double kHuge = 1e18;
constexpr double kBelowZero = -1e-300;  // number_or's bounds are open; zero itself is allowed

Result<toml::table> parse_toml(std::string_view text, const std::string& name) {
    try {
        return toml::parse(text, name);
    } catch (const toml::parse_error& problem) {
        const toml::source_position at = problem.source().begin;
        return Error{ErrorCode::kBadInput, std::string(problem.description()),
                     fmt::format("{}:{}:{}", name, at.line, at.column)};
    }
}

std::vector<std::string> kind_names() {
    std::vector<std::string> names;
    for (int i = 0; i <= static_cast<int>(Kind::kGuessed); ++i) {
        names.emplace_back(name_of(static_cast<Kind>(i)));
    }
    return names;
}

Kind read_kind(TomlTable& table) {
    return kind_from(table.choice("kind", kind_names())).value_or(Kind::kGuessed);
}

// Reads one document of a known schema; remembers the first error.
class Document {
public:
    Document(toml::table table, std::string path, const std::string& schema)
        : table_(std::move(table)), path_(std::move(path)), root_(table_, "", path_, error_) {
        (void)root_.choice("schema", {schema});
    }
    [[nodiscard]] TomlTable& root() { return root_; }
    [[nodiscard]] TomlTable view(const toml::table& table, std::string name) {
        return TomlTable(table, std::move(name), path_, error_);
    }
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }

private:
    toml::table table_;
    std::string path_;
    std::optional<Error> error_;
    TomlTable root_;
};

PublishedFigure read_figure(TomlTable table) {
    PublishedFigure figure;
    figure.name = table.text("name");
    figure.low = table.maybe_number("low", kBelowZero, kHuge);
    figure.value = table.maybe_number("value", kBelowZero, kHuge);
    figure.high = table.maybe_number("high", kBelowZero, kHuge);
    figure.unit = table.text("unit");
    figure.note = table.text_or("note", "");
    if (!figure.low && !figure.value && !figure.high) table.refuse("name", "has no number");
    table.refuse_unknown();
    return figure;
}

Uncertain read_belief(TomlTable table, const InputRow& row) {
    Uncertain belief;
    belief.low = table.number_or("low", kBelowZero, kHuge, 0.0);
    belief.mid = table.number_or("mid", kBelowZero, kHuge, 0.0);
    belief.high = table.number_or("high", kBelowZero, kHuge, 0.0);
    belief.kind = read_kind(table);
    belief.source = table.text("source");
    (void)table.choice("unit", {std::string(row.unit)});
    if (const auto checked = validate(belief, row.name, row.limit); !checked) {
        table.refuse("mid", checked.error().message);
    }
    table.refuse_unknown();
    return belief;
}

FailurePrior read_prior(TomlTable table) {
    FailurePrior prior;
    prior.rate = {table.number_or("a", 0.0, 1e12, 0.0),
                  table.number_or("b_device_hours", 0.0, 1e15, 0.0)};
    if (!validate(prior.rate)) table.refuse("a", "needs \"a\" and \"b_device_hours\" above 0");
    prior.kind = read_kind(table);
    prior.source = table.text("source");
    table.refuse_unknown();
    return prior;
}

// Reads the rows of one table of beliefs: all of them, or those that are there.
void read_beliefs(Document& document, const toml::table& table, const std::string& name, bool all,
                  Beliefs& beliefs) {
    TomlTable view = document.view(table, name);
    for (std::size_t i = kDetection; i < kInputs; ++i) {
        const auto row = static_cast<Input>(i);
        Uncertain* field = field_of(beliefs, row);
        if (field == nullptr) continue;  // money: nobody has a default for that
        const std::string key(row_of(row).name);
        for (const toml::table* entry : view.tables(key, all)) {
            *field = read_belief(document.view(*entry, name + "." + key), row_of(row));
        }
    }
    view.refuse_unknown();
}

FailureShape read_shape(TomlTable table) {
    FailureShape shape;
    shape.name = table.text("name");
    shape.share = table.number_or("share", kBelowZero, kHuge, 0.0);
    shape.replaced_ratio = table.number_or("replaced_ratio", kBelowZero, 1.0 + 1e-9, 0.0);
    shape.nodes_lost = table.number_or("nodes_lost", 0.999, 1e4, 1.0);
    shape.hang_ratio = table.number_or("hang_ratio", kBelowZero, 1.0 + 1e-9, 0.0);
    shape.detection_ratio = table.number_or("detection_ratio", kBelowZero, 1e6, 1.0);
    shape.repair_ratio = table.number_or("repair_ratio", kBelowZero, 1e6, 1.0);
    const std::string effect = table.text_or("effect", "stops");
    if (effect != "stops" && effect != "corrupts") {
        table.refuse("effect", "must be \"stops\" or \"corrupts\"");
    }
    shape.silent = effect == "corrupts";
    table.refuse_unknown();
    return shape;
}

// Logarithm of the negative-binomial likelihood of all counts, without terms that a and b leave
// alone.
double log_likelihood(std::span<const SoakEvidence> sites, const GammaRate& rate) {
    double sum = 0.0;
    for (const SoakEvidence& site : sites) {
        const double total = rate.b_device_hours + site.device_hours;
        sum += std::lgamma(rate.a + site.failures) - std::lgamma(rate.a) +
               rate.a * std::log(rate.b_device_hours / total) +
               site.failures * std::log(site.device_hours / total);
    }
    return sum;
}

}  // namespace

std::optional<double> PublishedRun::device_hours() const {
    if (!devices || !days) return std::nullopt;
    return *devices * *days * 24.0;
}

const PublishedFigure* PublishedRun::find(std::string_view name) const {
    const auto found = std::find_if(figures.begin(), figures.end(),
                                    [&](const PublishedFigure& f) { return f.name == name; });
    return found == figures.end() ? nullptr : &*found;
}

Result<PublishedRun> parse_published_run(std::string_view text, const std::string& name) {
    auto parsed = parse_toml(text, name);
    if (!parsed) return parsed.error();
    Document document(std::move(*parsed), name, "ascertain.reliability/1");
    TomlTable& root = document.root();
    PublishedRun run;
    run.id = root.text("id");
    run.title = root.text("title");
    run.url = root.text("url");
    (void)root.text("source_kind");
    run.kind = read_kind(root);
    run.workload = root.text("workload");
    run.hardware = root.text("hardware");
    run.devices = root.maybe_number("devices", 0.0, 1e9);
    run.days = root.maybe_number("days", 0.0, 1e5);
    (void)root.text_or("note", "");
    (void)root.texts_or("unverified", {});
    for (const toml::table* table : root.tables("interruptions", false)) {
        TomlTable interruptions = document.view(*table, "interruptions");
        run.interruptions = interruptions.maybe_number("count", kBelowZero, 1e12);
        run.interruptions_of = interruptions.text("of");
        interruptions.refuse_unknown();
    }
    for (const toml::table* table : root.tables("cause", false)) {
        TomlTable cause = document.view(*table, "cause");
        run.causes.push_back({cause.text("name"), cause.number_or("count", kBelowZero, 1e12, 0.0)});
        cause.refuse_unknown();
    }
    for (const toml::table* table : root.tables("figure", false)) {
        run.figures.push_back(read_figure(document.view(*table, "figure")));
    }
    root.refuse_unknown();
    if (document.error()) return *document.error();
    return run;
}

Result<ProjectionInput> parse_defaults(std::string_view text, const std::string& name,
                                       Platform platform) {
    auto parsed = parse_toml(text, name);
    if (!parsed) return parsed.error();
    Document document(std::move(*parsed), name, "ascertain.reliability_defaults/1");
    TomlTable& root = document.root();
    ProjectionInput input;
    FailurePrior unproven_failure;
    Beliefs unproven_beliefs;
    input.failure = read_prior(document.view(root.table("failure_rate"), "failure_rate"));
    read_beliefs(document, root.table("beliefs"), "beliefs", true, input.beliefs);
    TomlTable unproven = document.view(root.table("unproven"), "unproven");
    unproven_beliefs = input.beliefs;
    unproven_failure =
        read_prior(document.view(unproven.table("failure_rate"), "unproven.failure_rate"));
    read_beliefs(document, unproven.table("beliefs"), "unproven.beliefs", false, unproven_beliefs);
    unproven.refuse_unknown();
    if (platform == Platform::kUnproven) {
        input.failure = unproven_failure;
        input.beliefs = unproven_beliefs;
    }

    TomlTable constants = document.view(root.table("constants"), "constants");
    input.operations_correlation =
        constants.number_or("operations_correlation", kBelowZero, 1.0, 0.0);
    input.lemon_ratio = constants.number_or("lemon_ratio", kBelowZero, 0.5, 0.0);
    input.lemon_multiplier = constants.number_or("lemon_multiplier", 0.999, 1e6, 1.0);
    input.infant_decay_s = constants.number_or("infant_decay_days", 0.0, 1e5, 30.0) * 86400.0;
    input.recovery_spread = constants.number_or("recovery_spread", kBelowZero, 4.0, 0.0);
    input.debug_spread = constants.number_or("debug_spread", kBelowZero, 4.0, 0.0);
    constants.refuse_unknown();

    double shares = 0.0;
    for (const toml::table* table : root.tables("failure", true)) {
        input.failures.push_back(read_shape(document.view(*table, "failure")));
        shares += input.failures.back().share;
    }
    root.refuse_unknown();
    if (shares <= 0.0) root.refuse("failure", "no class of failure has a share");
    if (document.error()) return *document.error();
    for (FailureShape& shape : input.failures) shape.share /= shares;
    return input;
}

Result<GammaRate> fit_failure_prior(std::span<const PublishedRun> runs) {
    std::vector<SoakEvidence> sites;
    double rates = 0.0;
    for (const PublishedRun& run : runs) {
        if (!run.interruptions || !run.device_hours()) continue;
        sites.push_back({*run.interruptions, *run.device_hours()});
        rates += sites.back().failures / sites.back().device_hours;
    }
    if (sites.size() < 3 || rates <= 0.0) {
        return Error{ErrorCode::kUnknownValue,
                     "fewer than three published runs print how often they were interrupted",
                     "data/reliability/runs"};
    }
    // Hill climbing in (log a, log mean rate), halving the stride: two smooth dimensions, one peak.
    double log_a = 0.0;
    double log_rate = std::log(rates / static_cast<double>(sites.size()));
    const auto at = [&](double a, double rate) {
        return log_likelihood(sites, {std::exp(a), std::exp(a - rate)});
    };
    for (double stride = 1.0; stride > 1e-7;) {
        const double here = at(log_a, log_rate);
        double best = here;
        double step_a = 0.0;
        double step_rate = 0.0;
        for (const double da : {-stride, 0.0, stride}) {
            for (const double dr : {-stride, 0.0, stride}) {
                const double there = at(log_a + da, log_rate + dr);
                if (there > best && log_a + da < std::log(1e4)) {
                    best = there;
                    step_a = da;
                    step_rate = dr;
                }
            }
        }
        log_a += step_a;
        log_rate += step_rate;
        if (best == here) stride *= 0.5;
    }
    return GammaRate{std::exp(log_a), std::exp(log_a - log_rate)};
}

}  // namespace ascertain::goodput
