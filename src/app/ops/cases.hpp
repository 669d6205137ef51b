// Operator cases that a user brings: from the recorder's file, from a reproducer, or one of the
// model's own by its id.
#pragma once

#include <string>
#include <vector>

#include "app/qualify/options.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::app {

// Cases and the step they come from: data/schema/cases.schema.json. A file may also hold one case,
// or a plain list.
struct CaseFile {
    std::string path;
    Json cases = Json::array();
    Json operators = Json::array();  // of the step, where the file tells; else empty
    std::string torch;               // that made it; "" when unknown
};

// The file that --case or --cases names; an empty one when neither names a file. Errors:
// kBadInput with file:line:column or the member that is wrong. Whether the cases themselves are
// right only a worker can say.
[[nodiscard]] Result<CaseFile> read_case_file(const QualifyOptions& options);

// The answer to `capture` that these cases stand for. `checked` is the answer to `check_cases`:
// cases that do not fit this torch keep their operator and lose themselves, with the reason.
// Errors: kBadInput for a case that is none, and when no case is left.
[[nodiscard]] Result<Json> capture_of(const CaseFile& file, const Json& checked);

// Leaves of a capture only the case `id`; kUsage naming near ones when there is none.
[[nodiscard]] Result<Json> only_case(Json capture, const std::string& id);

}  // namespace ascertain::app
