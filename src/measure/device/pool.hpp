// The crew on this machine: one worker process per member, all driven from one thread.
#pragma once

#include <poll.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "measure/device/clock.hpp"
#include "measure/device/launch.hpp"
#include "measure/device/worker.hpp"
#include "measure/device/workers.hpp"

namespace ascertain::device {

// Starts a member's worker at its first request and again after each death. Deadlines run on
// `clock`; a test with a clock of its own needs no patience. Not thread-safe; the thread that
// calls ask() and poll() must outlive the pool (see launch()).
class Pool final : public Workers {
public:
    Pool(const Clock& clock, std::vector<LaunchSpec> members, WorkerLimits limits);
    // Kills what still runs.
    ~Pool() override;

    [[nodiscard]] std::size_t size() const override { return slots_.size(); }
    [[nodiscard]] bool idle(std::size_t member) const override;
    // A worker that died between two requests owes an explanation: the next request is answered
    // with kCrashed, so that no death goes unrecorded.
    void ask(std::size_t member, Order order) override;
    [[nodiscard]] std::vector<Event> poll(Seconds wait) override;
    void kill_all() override;

    // Asks every worker to exit by closing its socket, and kills what has not within `wait`.
    void close(Seconds wait);
    // For one that waits for other things too: what to wait for, and how long at most before the
    // next poll(), which may then be given no time.
    [[nodiscard]] std::vector<pollfd> watched() const;
    [[nodiscard]] Seconds patience() const;

private:
    struct Slot {
        LaunchSpec spec;
        std::unique_ptr<Worker> worker{};
        std::optional<Order> order{};  // not yet handed to a worker
        bool busy = false;             // a Reply is owed
        std::optional<Reply> debt{};   // the explanation of a death between requests
    };

    void pump(std::size_t member, std::vector<Event>& events);
    void bury(Slot& slot, std::size_t member, std::vector<Event>& events);
    void reply(std::size_t member, Reply reply, std::vector<Event>& events);
    void wait_for_input(Seconds wait);
    void wait_for_ends(Seconds wait);
    void reap_orphans();

    const Clock& clock_;
    WorkerLimits limits_;
    std::vector<Slot> slots_;
    std::vector<pid_t> orphans_;  // outlived SIGKILL; reaped when their driver lets them go
};

}  // namespace ascertain::device
