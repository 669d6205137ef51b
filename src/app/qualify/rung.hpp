// What is foretold of a rung before its first measurement.
#pragma once

#include <string>
#include <vector>

#include "app/forecast.hpp"
#include "decide/evidence/records.hpp"
#include "predict/goodput/soak.hpp"

namespace ascertain::app {

struct RungQuestion {
    std::string rung;
    double devices = 0.0;
    double hours = 0.0;  // that its devices are held
};

// Of the first stage's best plan on so many devices: interruptions in the rung's device-hours, and
// the bus bandwidth of an all-reduce of 256 MiB in each of the plan's groups that the rung is large
// enough for. Nothing where nothing fits, or where the catalog lacks a number. Ids begin with
// "rung.<rung>."; only what rests on measured figures is called calibrated.
[[nodiscard]] std::vector<evidence::Prediction> rung_predictions(
    const Situation& situation, const cost::CostBook& book,
    const std::vector<StageForecast>& stages, const goodput::GammaRate& failures,
    const RungQuestion& question);

}  // namespace ascertain::app
