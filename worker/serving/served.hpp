// What every serving request has in common: the model it is about, the arithmetic it runs in, and
// tensors as JSON.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/host/session.hpp"
#include "worker/training/model.hpp"
#include "worker/training/sides.hpp"
#include "worker/training/tamper.hpp"

namespace ascertain::serving {

// A model that stays for the next request.
struct Kept {
    std::unique_ptr<training::Model> model;
    std::string quantisation;  // how the weights are stored; "" if they are not quantised
    std::size_t unused = 0;    // tensors of the files that serving has no use for
};

// How a request is to be answered.
struct Served {
    std::shared_ptr<const Kept> kept;
    training::Side side;
    std::optional<training::Tamper> tamper;

    [[nodiscard]] const training::Model& model() const { return *kept->model; }
};

// Reads `weights`, `dtype`, `side` and `tamper` of docs/protocol.md#logprobs and loads the model,
// or takes the one that the last request left. Errors: kBadInput naming the member, and those of
// load_published().
[[nodiscard]] Result<Served> served_from_json(worker::Session& session, const Json& params);

// Error kUnsupported where the model does not reach so many tokens.
[[nodiscard]] Result<void> reaches(const training::Model& model, std::int64_t length);

// A matrix as lists; what is not finite is null.
[[nodiscard]] Json rows_of(const at::Tensor& matrix);
// One of whole numbers (int64, contiguous, on the CPU).
[[nodiscard]] Json whole_rows_of(const at::Tensor& matrix);

}  // namespace ascertain::serving
