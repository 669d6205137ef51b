// The requests of docs/protocol.md that train.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/host/session.hpp"

namespace ascertain::training {

[[nodiscard]] Result<Json> teacher_force(worker::Session& session, const Json& params);
[[nodiscard]] Result<Json> parallel_step(worker::Session& session, const Json& params);
[[nodiscard]] Result<Json> train_checkpointed(worker::Session& session, const Json& params);
[[nodiscard]] Result<Json> soak(worker::Session& session, const Json& params);
[[nodiscard]] Result<Json> train(worker::Session& session, const Json& params);

}  // namespace ascertain::training
