// What is foretold before it is measured.
#pragma once

#include <string>
#include <vector>

#include "app/forecast.hpp"
#include "base/observation.hpp"
#include "decide/evidence/records.hpp"
#include "measure/checks/check.hpp"

namespace ascertain::app {

// What a prediction rests on, as evidence holds it.
[[nodiscard]] Json basis_json(const std::vector<cost::Basis>& basis);

// Step time and memory per device of every stage on the fleet: nobody measures them on a low rung,
// so they block nothing there.
[[nodiscard]] std::vector<evidence::Prediction> fleet_predictions(
    const Situation& situation, const std::vector<StageForecast>& stages);

// Seconds of every matrix product that speed.gemm is going to time, from those that
// speed.calibration timed (`calibration_detail` is its detail). A rate per arithmetic intensity is
// fitted to the calibration's cases; the interval is twice the worst leave-one-out miss, at least a
// factor of 1.5, so that noise seen while calibrating does not block. Empty when fewer than three
// cases were timed: then nothing can be foretold. docs/formulas.md#device-calibration
[[nodiscard]] std::vector<evidence::Prediction> gemm_predictions(
    const std::string& device, const Json& calibration_detail, const checks::Context& gemm_context);

}  // namespace ascertain::app
