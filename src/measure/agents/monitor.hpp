// What ZeroMQ tells of its connections.
#pragma once

#include <cstdint>
#include <string>
#include <vector>
#include <zmq.hpp>

namespace ascertain::agents {

class Monitor {
public:
    // Watches `watched`, which must outlive it, for the `events` of zmq_socket_monitor(3).
    Monitor(zmq::context_t& context, zmq::socket_t& watched, int events);

    struct Happening {
        std::uint16_t event = 0;
        std::int32_t value = 0;
    };
    [[nodiscard]] std::vector<Happening> take();
    [[nodiscard]] zmq::socket_t& socket() { return socket_; }

private:
    zmq::socket_t socket_;
};

// zmq_poll over `sockets` and `others`; returns early on a signal.
void wait_for(std::vector<zmq::pollitem_t> items, double seconds);

}  // namespace ascertain::agents
