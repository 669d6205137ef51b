// Requests on their way: a queue before each worker, which gets one request at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "measure/device/workers.hpp"

namespace ascertain::qualification {

// A request and who wants the answer.
struct Letter {
    std::uint64_t attempt = 0;
    std::size_t request = 0;  // number in the attempt's Ask
    std::size_t index = 0;    // the check's number of the member
    device::Order order;
};

struct Delivery {
    std::size_t member = 0;
    Letter letter;  // without its order
    std::variant<device::Progress, device::Reply> what;
};

class Mailroom {
public:
    explicit Mailroom(device::Workers& workers);

    void post(std::size_t member, Letter letter);
    // Forgets what of `attempt` still waits; what a worker already has is answered all the same.
    void recall(std::uint64_t attempt);
    [[nodiscard]] bool busy(std::size_t member) const;
    // What came in; waits at most `wait` for the first. A worker that fails to start is started
    // once more before anybody hears of it: a moment's lack of memory or processes is no news. A
    // refusal is final at once.
    [[nodiscard]] std::vector<Delivery> collect(Seconds wait);

private:
    struct Box {
        std::deque<Letter> waiting;
        std::optional<Letter> handed;  // with the worker
        int failed_starts = 0;         // in a row
    };

    void hand_over(std::size_t member);

    device::Workers& workers_;
    std::vector<Box> boxes_;
};

}  // namespace ascertain::qualification
