#include "measure/device/pool.hpp"

#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace ascertain::device {
namespace {

// How long a wait may last at most: deaths that close no socket, deadlines and a stop flag are
// noticed at this rate, and faster while a worker is dying.
constexpr Seconds kTick{0.1};
constexpr Seconds kTickWhileEnding{0.002};
// kill_all() gives the kernel this long to take the processes away.
constexpr Seconds kKillWait{1.5};

}  // namespace

Pool::Pool(const Clock& clock, std::vector<LaunchSpec> members, WorkerLimits limits)
    : clock_(clock), limits_(limits) {
    for (LaunchSpec& spec : members) slots_.push_back({.spec = std::move(spec)});
}

Pool::~Pool() {
    kill_all();
}

bool Pool::idle(std::size_t member) const {
    ASCERTAIN_ASSERT(member < slots_.size());
    return !slots_[member].busy;
}

void Pool::ask(std::size_t member, Order order) {
    ASCERTAIN_ASSERT(idle(member));
    Slot& slot = slots_[member];
    slot.busy = true;
    slot.order = std::move(order);
    // Sent at once when a worker waits: an answer then needs one turn of poll(), not two.
    if (slot.worker && slot.worker->state() == Worker::State::kIdle && !slot.debt) {
        slot.worker->ask(*std::exchange(slot.order, std::nullopt), clock_.now());
    }
}

std::vector<Event> Pool::poll(Seconds wait) {
    const SteadyClock real;
    const Seconds end = real.now() + wait;
    std::vector<Event> events;
    for (std::size_t member = 0; member < slots_.size(); ++member) pump(member, events);
    while (events.empty()) {
        const Seconds left = end - real.now();
        wait_for_input(std::max(left, Seconds{0.0}));
        for (std::size_t member = 0; member < slots_.size(); ++member) pump(member, events);
        if (left.count <= 0.0) break;
    }
    reap_orphans();
    return events;
}

std::vector<pollfd> Pool::watched() const {
    std::vector<pollfd> watched;
    for (const Slot& slot : slots_) {
        if (!slot.worker || slot.worker->descriptor() < 0) continue;
        const int events = slot.worker->wants_write() ? POLLIN | POLLOUT : POLLIN;
        watched.push_back({slot.worker->descriptor(), static_cast<short>(events), 0});
    }
    return watched;
}

Seconds Pool::patience() const {
    const bool ending = std::ranges::any_of(slots_, [](const Slot& slot) {
        return slot.worker && slot.worker->state() == Worker::State::kEnding;
    });
    return ending ? kTickWhileEnding : kTick;
}

void Pool::wait_for_input(Seconds wait) {
    std::vector<pollfd> watched = this->watched();
    const double wait_ms = std::ceil(std::min(wait, patience()).count * 1e3);
    const int ready = ::poll(watched.data(), watched.size(), static_cast<int>(wait_ms));
    if (ready <= 0) return;
    const Seconds now = clock_.now();
    for (const pollfd& one : watched) {
        const auto slot = std::ranges::find_if(slots_, [&](const Slot& candidate) {
            return candidate.worker && candidate.worker->descriptor() == one.fd;
        });
        if (slot == slots_.end()) continue;
        if ((one.revents & POLLOUT) != 0) slot->worker->on_writable(now);
        const bool readable = (one.revents & (POLLIN | POLLHUP | POLLERR)) != 0;
        if (readable && slot->worker->descriptor() == one.fd) slot->worker->on_readable(now);
    }
}

// Moves one member on as far as it goes without waiting.
void Pool::pump(std::size_t member, std::vector<Event>& events) {
    Slot& slot = slots_[member];
    if (slot.worker) {
        slot.worker->on_time(clock_.now());
        for (auto& what : slot.worker->take()) {
            if (std::holds_alternative<Reply>(what)) {
                reply(member, std::move(std::get<Reply>(what)), events);
            } else {
                events.push_back({member, std::move(what)});
            }
        }
        if (slot.worker->state() == Worker::State::kEnded) bury(slot, member, events);
    }
    if (!slot.order) return;
    if (slot.debt) {
        slot.order.reset();
        reply(member, *std::exchange(slot.debt, std::nullopt), events);
        return;
    }
    if (!slot.worker) {
        auto started = Worker::start(slot.spec, limits_, clock_.now());
        if (started) {
            slot.worker = *std::move(started);
            return;
        }
        slot.order.reset();
        reply(member,
              {.ending = Ending::kNotStarted,
               .error_kind = "start",
               .message = started.error().text()},
              events);
        return;
    }
    if (slot.worker->state() == Worker::State::kIdle) {
        slot.worker->ask(*std::exchange(slot.order, std::nullopt), clock_.now());
    }
}

// An ended worker leaves its slot, with its story told to whoever waits, or owed to the next.
void Pool::bury(Slot& slot, std::size_t member, std::vector<Event>& events) {
    const std::unique_ptr<Worker> worker = std::move(slot.worker);
    if (worker->unkillable() > 0) orphans_.push_back(worker->unkillable());
    Reply story{.ending = Ending::kCrashed,
                .message = worker->end_message(),
                .stderr_text = worker->stderr_text()};
    if (!worker->start_failure().empty()) {
        if (!std::exchange(slot.order, std::nullopt)) return;
        story.ending = Ending::kNotStarted;
        story.error_kind = worker->start_failure();
        reply(member, std::move(story), events);
    } else if (!worker->end_explained()) {
        slot.debt = std::move(story);
    }
}

void Pool::reply(std::size_t member, Reply reply, std::vector<Event>& events) {
    ASCERTAIN_ASSERT(slots_[member].busy);
    slots_[member].busy = false;
    events.push_back({member, std::move(reply)});
}

void Pool::wait_for_ends(Seconds wait) {
    const SteadyClock real;
    const Seconds end = real.now() + wait;
    while (real.now() < end) {
        bool all_ended = true;
        for (Slot& slot : slots_) {
            if (!slot.worker) continue;
            slot.worker->on_time(clock_.now());
            all_ended = all_ended && slot.worker->state() == Worker::State::kEnded;
        }
        if (all_ended) return;
        ::poll(nullptr, 0, 1);
    }
}

void Pool::kill_all() {
    for (Slot& slot : slots_) {
        if (slot.worker) slot.worker->kill(clock_.now());
    }
    wait_for_ends(kKillWait);
    for (Slot& slot : slots_) slot = Slot{.spec = std::move(slot.spec)};
    reap_orphans();
}

void Pool::close(Seconds wait) {
    for (Slot& slot : slots_) {
        if (slot.worker) slot.worker->hang_up(clock_.now());
    }
    wait_for_ends(wait);
    kill_all();
}

void Pool::reap_orphans() {
    std::erase_if(orphans_, [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) != 0; });
}

}  // namespace ascertain::device
