// What the campaign's training step is made of: the reference captures one, and its operators
// become the subjects of the operator checks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/units.hpp"

namespace ascertain::qualification {

// What to capture. `architecture` is the document of data/schema/architecture.schema.json, already
// narrowed to what one rank builds and to one layer of each kind.
struct SurveyQuestion {
    Json architecture;
    std::int64_t sequences = 1;
    std::int64_t sequence_length = 0;  // tokens
    std::string dtype;                 // "bf16"
    std::uint64_t seed = 0;            // below 2^53
    bool autocast = false;
};

// The params of the `capture` request.
[[nodiscard]] Json capture_params(const SurveyQuestion& question);

// One operator of the step.
struct OperatorSubject {
    std::string name;    // "mm", last part of a check's id
    std::string family;  // "gemm", "attention" …: sampling keeps at least one of each
    double share_of_step = 0.0;
    double count = 0.0;          // calls per step
    Json cases = Json::array();  // most important first
    std::string without_case;    // why there is no case, when there is none
};

struct Survey {
    Json capture;                           // the params it was made with
    Json operators;                         // as the reference listed them, computing or not
    Json cases;                             // all of them
    Json gemms;                             // {name, phase, m, n, k, batch, count}
    Seconds step;                           // the reference's own
    std::vector<OperatorSubject> subjects;  // most important first
};

// Reads the answer to `capture`. Errors: kInternal naming what is missing or does not fit; a survey
// without a computing operator, or an operator with neither case nor reason, is such an error.
[[nodiscard]] Result<Survey> read_survey(Json capture, const Json& result);

// "gemm", "attention", "norm", "loss", "index", "optimizer", "random" or "elementwise".
[[nodiscard]] std::string_view operator_family(std::string_view name);

}  // namespace ascertain::qualification
