// One campaign on several fleets and mixes: finish date, money, probability, and what is known,
// guessed and unknown about each. The document is ascertain.comparison/1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/forecast.hpp"
#include "app/sizing.hpp"
#include "app/variant.hpp"
#include "base/json.hpp"

namespace ascertain::app {

// A number that the answer for a fleet rests on, or would if anybody knew it.
struct Knowledge {
    std::string what;    // "ascend-910c peak_dense.bf16"
    std::string kind;    // catalog kind; empty: unknown
    std::string detail;  // its source, or why it is unknown
};

struct CompareRow {
    Variant variant;
    double delivered = 1.0;
    Situation situation;
    std::vector<StageForecast> stages;
    std::optional<goodput::Projection> projection;  // absent: refused
    std::string refused_because;
    std::optional<Sizing> serving;  // on the chip that serves in this variant
    std::string serving_refused_because;
    std::vector<Knowledge> known;    // measured, published or printed by the vendor
    std::vector<Knowledge> guessed;  // press, recalled or guessed
    std::vector<Knowledge> unknown;
};

// Errors are those of the variant's own words (unknown chip, bad count); a fleet on which nothing
// fits is a row that says so. Cost: one plan search per stage (63 for a ~ mix) and one projection.
[[nodiscard]] Result<CompareRow> compare_on(const Home& home, const Situation& base,
                                            const cost::CostBook& book, const Variant& variant,
                                            double delivered, std::uint64_t seed, int histories);

// Rows in their order.
[[nodiscard]] Json to_json(const Situation& base, const std::vector<CompareRow>& rows,
                           std::uint64_t seed);

}  // namespace ascertain::app
