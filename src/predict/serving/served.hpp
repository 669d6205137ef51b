// Published figures of serving, and how far the model of this room is from them. The caller reads
// files; data/published/serving.json is the shipped one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "predict/serving/serving.hpp"

namespace ascertain::serving {

enum class Measure { kPrefill, kDecode, kOutput };  // tokens per second and device

// One published figure and the conditions under which it was reached.
struct ServedRow {
    std::string id;
    std::string series;  // same engine and chip: left out together
    std::string source;
    std::string kind;   // a catalog kind
    std::string model;  // name of data/models/*.json
    std::string chip;
    std::string network;
    std::int64_t chips_per_node = 8;
    Layout layout;
    Engine engine;
    Workload workload;
    Measure measure = Measure::kOutput;
    double value = 0.0;                // per device as software sees it
    std::optional<double> sequences;   // in each group, where the source says or implies it
    std::optional<double> requests;    // of the whole benchmark: no more are there at once
    std::vector<std::string> assumed;  // what the source does not state
};

// kBadInput with the row and the field. Unknown keys are refused.
[[nodiscard]] Result<std::vector<ServedRow>> read_served(const Json& document,
                                                         std::string_view name);

// A row without any level: seconds of group and request, or why there are none.
struct ServedSeconds {
    double prefill_s = 0.0;
    double decode_s = 0.0;
    double tokens = 0.0;  // whose rate the measure is, of one request and device of its group
    double extra_width_squared = 0.0;  // of a die nobody measured
    std::string refused_because;

    // Tokens per second and device at these levels.
    [[nodiscard]] double rate(double prefill, double decode) const {
        return tokens / (prefill * prefill_s + decode * decode_s);
    }
};
[[nodiscard]] ServedSeconds served_seconds(const ServedRow& row,
                                           const Result<model::Architecture>& architecture,
                                           const catalog::Catalog& known,
                                           const cost::CostBook& book);

// The level of all rows, and what each row looks like to a fit that has not seen its series.
struct ServedFit {
    EngineLevel level;
    struct Row {
        double predicted = 0.0;  // with the level of all rows
        double left_out = 0.0;   // with that of the other series
        double low = 0.0;        // 80 % interval of the latter
        double high = 0.0;
        bool inside = false;
    };
    std::vector<std::optional<Row>> rows;  // absent: refused
    double inside_ratio = 0.0;             // over rows
    double inside_series_ratio = 0.0;      // every series counting once
    double median_error = 0.0;             // left out, relative
};
// Least absolute logarithmic error, every series counting once. kBadInput for fewer than three
// series.
[[nodiscard]] Result<ServedFit> fit_served(const std::vector<ServedRow>& rows,
                                           const std::vector<ServedSeconds>& seconds);

// docs/validation-serving.md.
[[nodiscard]] std::string served_page(const std::vector<ServedRow>& rows,
                                      const std::vector<ServedSeconds>& seconds,
                                      const ServedFit& fit);
// data/cost/serving.toml.
[[nodiscard]] std::string to_toml(const EngineLevel& level);
[[nodiscard]] Json to_json(const std::vector<ServedRow>& rows,
                           const std::vector<ServedSeconds>& seconds, const ServedFit& fit);

}  // namespace ascertain::serving
