#include "worker/host/requests.hpp"

#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "worker/collectives/requests.hpp"
#include "worker/module/module.hpp"
#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/capture.hpp"
#include "worker/operators/check_cases.hpp"
#include "worker/operators/replay.hpp"
#include "worker/serving/requests.hpp"
#include "worker/training/requests.hpp"

namespace ascertain::worker {
namespace {

constexpr std::array kRequests = {
    Request{"describe", describe},
    Request{"capture", operators::capture},
    Request{"replay", operators::replay},
    Request{"repeat", operators::repeat},
    Request{"time", operators::time},
    Request{"teacher_force", training::teacher_force},
    Request{"train", training::train},
    Request{"parallel_step", training::parallel_step},
    Request{"train_checkpointed", training::train_checkpointed},
    Request{"soak", training::soak},
    Request{"check_cases", operators::check_cases},
    Request{"logprobs", serving::logprobs},
    Request{"generate", serving::generate},
    Request{"publish", serving::publish},
    Request{"support", operators::support},
    Request{"numerics", operators::numerics},
    Request{"store", collectives::store},
    Request{"rendezvous", collectives::rendezvous},
    Request{"collective", collectives::collective},
    Request{"module", module::module},
};

}  // namespace

std::span<const Request> requests() {
    return kRequests;
}

Result<const Request*> find_request(std::string_view name) {
    std::vector<std::string> names;
    for (const Request& request : kRequests) {
        if (request.name == name) return &request;
        names.emplace_back(request.name);
    }
    return Error{
        ErrorCode::kBadInput,
        fmt::format("unknown request \"{}\"{}", shortened(name, 64), did_you_mean(name, names)),
        "request"};
}

}  // namespace ascertain::worker
