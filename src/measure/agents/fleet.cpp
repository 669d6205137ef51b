#include "measure/agents/fleet.hpp"

#include <algorithm>
#include <utility>

namespace ascertain::agents {

Fleet::Fleet(std::unique_ptr<Coordinator> remote, std::unique_ptr<device::Pool> local,
             const std::vector<bool>& elsewhere)
    : remote_(std::move(remote)), local_(std::move(local)) {
    for (const bool is_remote : elsewhere) {
        auto& members = is_remote ? member_of_remote_ : member_of_local_;
        places_.push_back({is_remote, members.size()});
        members.push_back(places_.size() - 1);
    }
    ASCERTAIN_ASSERT(member_of_remote_.size() == remote_->size());
    ASCERTAIN_ASSERT(member_of_local_.size() == local_->size());
}

bool Fleet::idle(std::size_t member) const {
    const Place& place = places_[member];
    return place.remote ? remote_->idle(place.index) : local_->idle(place.index);
}

void Fleet::ask(std::size_t member, device::Order order) {
    const Place& place = places_[member];
    if (place.remote) return remote_->ask(place.index, std::move(order));
    local_->ask(place.index, std::move(order));
}

std::vector<device::Event> Fleet::poll(Seconds wait) {
    const device::SteadyClock real;
    const Seconds end = real.now() + wait;
    while (true) {
        std::vector<device::Event> events = remote_->take();
        for (device::Event& event : events) event.member = member_of_remote_[event.member];
        for (device::Event& event : local_->poll(Seconds{0.0})) {
            events.push_back({member_of_local_[event.member], std::move(event.what)});
        }
        const Seconds left = end - real.now();
        if (!events.empty() || left.count <= 0.0) return events;
        remote_->wait(std::min(left, local_->patience()), local_->watched());
    }
}

void Fleet::kill_all() {
    remote_->kill_all();
    local_->kill_all();
}

}  // namespace ascertain::agents
