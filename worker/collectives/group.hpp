// The group that a worker is in, from `rendezvous` on.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>

#include "base/json.hpp"
#include "base/units.hpp"
#include "worker/collectives/fabric.hpp"
#include "worker/host/session.hpp"

namespace ascertain::collectives {

struct Group {
    std::shared_ptr<Fabric> fabric;
    std::int64_t number = 0;  // of the collective in progress, from 1; the same on every rank
    Seconds timeout;          // of each
};

// The group of this session, or null before `rendezvous`, and after a collective that did not end.
[[nodiscard]] std::shared_ptr<Group> group_of(const worker::Session& session);
// The other ranks need not wait for this one any longer.
void leave_group(const worker::Session& session);

// This rank could not go on because of another one: where it waits, for the core to see who is
// missing. {collective, number, waited_s, message}
[[nodiscard]] Json stopped(std::string_view collective, std::int64_t number, Seconds waited,
                           const std::exception& why);

}  // namespace ascertain::collectives
