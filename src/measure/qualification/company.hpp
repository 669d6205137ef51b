// How a group of ranks ended when one of them did not: who is named. A pure function of what each
// rank did last.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/json.hpp"
#include "measure/device/workers.hpp"
#include "measure/qualification/attempt.hpp"

namespace ascertain::qualification {

// What became of one rank's request.
struct RankEnd {
    std::size_t rank = 0;
    std::string device;
    device::Ending ending = device::Ending::kResult;
    std::string message;    // of an ending that is no result
    std::string last_word;  // what it last said it was doing; may be empty
    // Of a result: where this rank waited for others in vain (docs/protocol.md, `stopped`); null
    // when it did not.
    Json stopped;
};

struct CompanyEnd {
    Outcome outcome = Outcome::kTimedOut;
    std::string message;  // names the ranks to blame first
};

// Nothing when every rank answered and none waited in vain. Blamed are the ranks whose worker is
// gone; where none is, those that had come least far; where all had come equally far, the network
// between them.
[[nodiscard]] std::optional<CompanyEnd> end_of_company(std::span<const RankEnd> ranks);

}  // namespace ascertain::qualification
