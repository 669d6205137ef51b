#include "predict/serving/served.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace ascertain::serving {
namespace {

constexpr std::array<std::pair<Measure, std::string_view>, 3> kMeasures{
    {{Measure::kPrefill, "prefill"}, {Measure::kDecode, "decode"}, {Measure::kOutput, "output"}}};

// Reads one row and remembers the first thing wrong with it.
class RowReader {
public:
    RowReader(const Json& row, std::string place) : row_(row), place_(std::move(place)) {}

    std::string text(const char* key) {
        known_.insert(key);
        auto value = text_at(row_, key, place_);
        if (!value) return keep(value.error()), std::string();
        return *std::move(value);
    }
    double number(const char* key, double low, double high) {
        known_.insert(key);
        const auto value = number_at(row_, key, place_);
        if (!value) return keep(value.error()), low;
        if (!(*value > low && *value <= high))
            keep({ErrorCode::kBadInput, fmt::format("{} is outside ({}, {}]", *value, low, high),
                  fmt::format("{}: {}", place_, key)});
        return *value;
    }
    std::optional<double> maybe(const char* key, double low, double high) {
        if (!row_.contains(key) || row_[key].is_null()) {
            known_.insert(key);
            return std::nullopt;
        }
        return number(key, low, high);
    }
    std::int64_t count(const char* key) {
        known_.insert(key);
        const auto value = integer_at(row_, key, place_);
        if (!value) return keep(value.error()), 1;
        return *value;
    }
    std::vector<std::string> texts(const char* key) {
        known_.insert(key);
        std::vector<std::string> list;
        if (const auto found = row_.find(key); found != row_.end() && found->is_array())
            for (const Json& entry : *found)
                if (entry.is_string()) list.push_back(entry.get<std::string>());
        return list;
    }
    void refuse(const char* key, std::string message) {
        keep({ErrorCode::kBadInput, std::move(message), fmt::format("{}: {}", place_, key)});
    }
    std::optional<Error> finish() {
        for (const auto& [key, value] : row_.items())
            if (!known_.contains(key)) refuse(key.c_str(), "unknown key");
        return first_;
    }

private:
    void keep(Error error) {
        if (!first_) first_ = std::move(error);
    }

    const Json& row_;
    std::string place_;
    std::set<std::string> known_;
    std::optional<Error> first_;
};

ServedRow read_row(RowReader& in) {
    ServedRow row;
    row.id = in.text("id");
    row.series = in.text("series");
    row.source = in.text("source");
    row.kind = in.text("kind");
    if (!catalog::kind_from(row.kind)) in.refuse("kind", fmt::format("\"{}\" is none", row.kind));
    row.model = in.text("model");
    row.chip = in.text("chip");
    row.network = in.text("network");
    row.chips_per_node = in.count("chips_per_node");
    row.layout = {in.count("tp"), in.count("dp")};
    const std::string precision = in.text("precision");
    if (const auto known = precision_from(precision))
        row.engine.precision = *known;
    else
        in.refuse("precision", fmt::format("\"{}\" is none of bf16, fp8, int8, fp4", precision));
    row.engine.cache_bytes = in.number("cache_bytes", 0.0, 8.0);
    row.engine.batch_max =
        static_cast<std::int64_t>(in.maybe("batch_max", 0.0, 1e6).value_or(2048));
    row.engine.prefill_tokens =
        static_cast<std::int64_t>(in.maybe("prefill_tokens", 0.0, 1e6).value_or(8192));
    row.engine.draft_tokens =
        static_cast<std::int64_t>(in.maybe("draft_tokens", -1.0, 16.0).value_or(0));
    row.engine.acceptance = in.maybe("acceptance", -1.0, 1.0).value_or(0.0);
    row.workload.prompt_tokens = in.number("prompt_tokens", 0.0, 1e9);
    row.workload.output_tokens = in.number("output_tokens", 0.0, 1e9);
    row.workload.cached_ratio = in.maybe("cached_ratio", -1.0, 1.0).value_or(0.0);
    const std::string measure = in.text("measure");
    const auto found =
        std::ranges::find(kMeasures, measure, [](const auto& one) { return one.second; });
    if (found == kMeasures.end())
        in.refuse("measure", fmt::format("\"{}\" is none of prefill, decode, output", measure));
    else
        row.measure = found->first;
    row.value = in.number("tokens_per_s_per_device", 0.0, 1e9);
    row.sequences = in.maybe("sequences", 0.0, 1e6);
    row.requests = in.maybe("requests", 0.0, 1e9);
    row.assumed = in.texts("assumed");
    return row;
}

// Sequences at once: as stated, else what memory, engine and the benchmark's own size allow.
double sequences_of(const ServedRow& row, const Server& server) {
    if (row.sequences) return *row.sequences;
    const double context = row.workload.prompt_tokens + row.workload.output_tokens / 2.0;
    double most = sequences_in_memory(server, context);
    if (row.requests) most = std::min(most, *row.requests / static_cast<double>(row.layout.dp));
    return most;
}

Result<ServedSeconds> priced_seconds(const ServedRow& row, const model::Architecture& architecture,
                                     const catalog::Catalog& known, const cost::CostBook& book) {
    const auto fleet =
        catalog::resolve_fleet(known, row.chip, std::lcm(row.layout.chips(), row.chips_per_node),
                               row.chips_per_node, row.network, 0);
    if (!fleet) return fleet.error();
    if (const auto done = check(row.workload); !done) return done.error();
    const auto server = make_server(architecture, *fleet, row.layout, row.engine, book);
    if (!server) return server.error();
    const EngineLevel plain;
    ServedSeconds out;
    EngineLevel none;
    none.width = 0.0;
    out.extra_width_squared = std::pow(interval_width(*server, none), 2.0);
    const double tp = static_cast<double>(row.layout.tp);
    if (row.measure != Measure::kDecode) {
        const auto prompt = prompt_seconds(*server, plain, row.workload);
        if (!prompt) return prompt.error();
        out.prefill_s = *prompt;
        out.tokens = row.workload.prompt_tokens / tp;
    }
    if (row.measure != Measure::kPrefill) {
        const double sequences = sequences_of(row, *server);
        if (sequences < 1.0)
            return Error{ErrorCode::kBadInput, "not in memory as we count it", "memory"};
        const double context = row.workload.prompt_tokens + row.workload.output_tokens / 2.0;
        const auto step = step_seconds(*server, plain, sequences, context);
        if (!step) return step.error();
        out.decode_s = row.workload.output_tokens * *step / sequences / tokens_per_step(row.engine);
        out.tokens = row.workload.output_tokens / tp;
    }
    return out;
}

// Rows of one series weigh as much together as those of another.
using Weights = std::vector<double>;

Weights weigh(const std::vector<ServedRow>& rows, const std::vector<ServedSeconds>& seconds,
              std::string_view without) {
    std::map<std::string, double> counts;
    Weights weights(rows.size(), 0.0);
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (seconds[i].refused_because.empty() && rows[i].series != without)
            counts[rows[i].series] += 1.0;
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (const auto found = counts.find(rows[i].series);
            found != counts.end() && seconds[i].refused_because.empty())
            weights[i] = 1.0 / found->second;
    return weights;
}

double miss(const ServedRow& row, const ServedSeconds& seconds, double prefill, double decode) {
    return std::log(row.value / seconds.rate(prefill, decode));
}

// The pair of levels with the least sum of absolute misses, on a grid of 2 %.
EngineLevel least_misses(const std::vector<ServedRow>& rows,
                         const std::vector<ServedSeconds>& seconds, const Weights& weights) {
    EngineLevel best;
    double least = std::numeric_limits<double>::infinity();
    for (int p = -40; p <= 60; ++p) {
        for (int d = -40; d <= 60; ++d) {
            const double prefill = std::exp(0.02 * p);
            const double decode = std::exp(0.02 * d);
            double sum = 0.0;
            for (std::size_t i = 0; i < rows.size(); ++i)
                if (weights[i] > 0.0)
                    sum += weights[i] * std::abs(miss(rows[i], seconds[i], prefill, decode));
            if (sum >= least) continue;
            least = sum;
            best.prefill = prefill;
            best.decode = decode;
        }
    }
    return best;
}

// The half-width that holds 80 % of the misses by weight; what a die's own figures add is taken off
// before.
double quantile_of(const std::vector<double>& misses, const std::vector<ServedSeconds>& seconds,
                   const Weights& weights) {
    std::vector<std::pair<double, double>> sorted;
    double total = 0.0;
    for (std::size_t i = 0; i < misses.size(); ++i) {
        if (weights[i] <= 0.0) continue;
        const double own = misses[i] * misses[i] - seconds[i].extra_width_squared;
        sorted.emplace_back(std::sqrt(std::max(0.0, own)), weights[i]);
        total += weights[i];
    }
    std::ranges::sort(sorted);
    double sum = 0.0;
    for (const auto& [size, weight] : sorted) {
        sum += weight;
        if (sum >= 0.8 * total) return size;
    }
    return 0.0;
}

// Wide enough for 80 % of the rows, and for 80 % when every series counts once.
double width_of(const std::vector<double>& misses, const std::vector<ServedSeconds>& seconds,
                const Weights& by_series) {
    Weights by_row = by_series;
    for (double& weight : by_row) weight = weight > 0.0 ? 1.0 : 0.0;
    return std::max(quantile_of(misses, seconds, by_series), quantile_of(misses, seconds, by_row));
}

std::vector<std::string> series_of(const std::vector<ServedRow>& rows,
                                   const std::vector<ServedSeconds>& seconds) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (seconds[i].refused_because.empty()) names.insert(rows[i].series);
    return {names.begin(), names.end()};
}

void judge_rows(const std::vector<ServedRow>& rows, const std::vector<ServedSeconds>& seconds,
                const std::vector<EngineLevel>& without, ServedFit& fit) {
    std::map<std::string, std::pair<double, double>> by_series;
    std::vector<double> errors;
    double inside = 0.0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!seconds[i].refused_because.empty()) continue;
        ServedFit::Row row;
        row.predicted = seconds[i].rate(fit.level.prefill, fit.level.decode);
        row.left_out = seconds[i].rate(without[i].prefill, without[i].decode);
        const double width =
            std::sqrt(without[i].width * without[i].width + seconds[i].extra_width_squared);
        const auto interval = around(row.left_out, width);
        row.low = interval.low;
        row.high = interval.high;
        row.inside = rows[i].value >= row.low && rows[i].value <= row.high;
        inside += row.inside ? 1.0 : 0.0;
        auto& [hits, count] = by_series[rows[i].series];
        hits += row.inside ? 1.0 : 0.0;
        count += 1.0;
        errors.push_back(std::abs(row.left_out / rows[i].value - 1.0));
        fit.rows[i] = row;
    }
    fit.inside_ratio = inside / static_cast<double>(errors.size());
    for (const auto& [name, one] : by_series)
        fit.inside_series_ratio += one.first / one.second / static_cast<double>(by_series.size());
    std::ranges::nth_element(errors,
                             errors.begin() + static_cast<std::ptrdiff_t>(errors.size() / 2));
    fit.median_error = errors[errors.size() / 2];
}

}  // namespace

Result<std::vector<ServedRow>> read_served(const Json& document, std::string_view name) {
    const auto rows = document.is_object() ? document.find("rows") : document.end();
    if (!document.is_object() || rows == document.end() || !rows->is_array())
        return Error{ErrorCode::kBadInput, "no list of rows", std::string(name)};
    std::vector<ServedRow> list;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        const Json& entry = (*rows)[i];
        std::string place = fmt::format("{}: rows[{}]", name, i);
        if (!entry.is_object())
            return Error{ErrorCode::kBadInput, "a row is an object", std::move(place)};
        RowReader in(entry, std::move(place));
        ServedRow row = read_row(in);
        if (const auto error = in.finish()) return *error;
        list.push_back(std::move(row));
    }
    return list;
}

ServedSeconds served_seconds(const ServedRow& row, const Result<model::Architecture>& architecture,
                             const catalog::Catalog& known, const cost::CostBook& book) {
    ServedSeconds refused;
    if (!architecture) {
        refused.refused_because = architecture.error().text();
        return refused;
    }
    auto found = priced_seconds(row, *architecture, known, book);
    if (found) return *std::move(found);
    refused.refused_because = found.error().text();
    return refused;
}

Result<ServedFit> fit_served(const std::vector<ServedRow>& rows,
                             const std::vector<ServedSeconds>& seconds) {
    const auto names = series_of(rows, seconds);
    if (names.size() < 3)
        return Error{ErrorCode::kBadInput,
                     fmt::format("{} series that can be predicted; three are needed", names.size()),
                     "serving"};
    // Each series by the levels of the others.
    std::map<std::string, EngineLevel> others;
    std::vector<double> misses(rows.size(), 0.0);
    for (const std::string& name : names)
        others[name] = least_misses(rows, seconds, weigh(rows, seconds, name));
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (seconds[i].refused_because.empty()) {
            const EngineLevel& level = others[rows[i].series];
            misses[i] = miss(rows[i], seconds[i], level.prefill, level.decode);
        }
    ServedFit fit;
    fit.rows.resize(rows.size());
    const Weights all = weigh(rows, seconds, "");
    fit.level = least_misses(rows, seconds, all);
    fit.level.width = width_of(misses, seconds, all);
    fit.level.rows = std::ranges::count_if(all, [](double weight) { return weight > 0.0; });
    fit.level.fitted_on = "published serving figures of data/published/serving.json";
    // A series is judged by the width of the others, too.
    std::vector<EngineLevel> without(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!seconds[i].refused_because.empty()) continue;
        without[i] = others[rows[i].series];
        without[i].width = width_of(misses, seconds, weigh(rows, seconds, rows[i].series));
    }
    judge_rows(rows, seconds, without, fit);
    return fit;
}

}  // namespace ascertain::serving
