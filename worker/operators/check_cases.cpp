#include "worker/operators/check_cases.hpp"

#include <fmt/format.h>

#include "worker/host/serve.hpp"
#include "worker/operators/case.hpp"
#include "worker/operators/inputs.hpp"

namespace ascertain::operators {
namespace {

constexpr std::size_t kCasesMax = 1 << 16;

}  // namespace

// A case that is none is the file's fault; one that this torch has no such operator for, or whose
// arguments that operator does not take, comes from another torch. Both are told apart here, so
// that one of the second kind costs itself and not the run.
Result<Json> check_cases(worker::Session&, const Json& params) {
    const auto cases = params.find("cases");
    if (cases == params.end() || !cases->is_array() || cases->size() > kCasesMax) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("must be a list of at most {} cases", kCasesMax), "params: cases"};
    }
    Json answers = Json::array();
    for (std::size_t i = 0; i < cases->size(); ++i) {
        const Result<Case> read = case_from_json((*cases)[i], fmt::format("cases[{}]", i));
        if (!read) {
            answers.push_back({{"wrong", read.error().text()}});
            continue;
        }
        Json answer = {{"id", id_of(*read)}};
        if (const auto op = find_operator(*read); !op) {
            answer["unfit"] =
                fmt::format("torch {}: {}", worker::loaded_torch_version(), op.error().text());
        }
        answers.push_back(std::move(answer));
    }
    return Json{{"observation", Json::array()}, {"cases", std::move(answers)}};
}

}  // namespace ascertain::operators
