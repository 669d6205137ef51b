#include "measure/agents/monitor.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace ascertain::agents {

Monitor::Monitor(zmq::context_t& context, zmq::socket_t& watched, int events)
    : socket_(context, zmq::socket_type::pair) {
    const std::string place = fmt::format("inproc://monitor-{}", watched.handle());
    if (zmq_socket_monitor(watched.handle(), place.c_str(), events) != 0) throw zmq::error_t();
    socket_.set(zmq::sockopt::linger, 0);
    socket_.connect(place);
}

std::vector<Monitor::Happening> Monitor::take() {
    std::vector<Happening> happenings;
    zmq::message_t what;
    while (socket_.recv(what, zmq::recv_flags::dontwait)) {
        Happening happening;
        if (what.size() == sizeof happening.event + sizeof happening.value) {
            const char* bytes = what.data<char>();
            std::memcpy(&happening.event, bytes, sizeof happening.event);
            std::memcpy(&happening.value, bytes + sizeof happening.event, sizeof happening.value);
            happenings.push_back(happening);
        }
        while (what.more()) {  // the address
            if (!socket_.recv(what, zmq::recv_flags::dontwait)) break;
        }
    }
    return happenings;
}

void wait_for(std::vector<zmq::pollitem_t> items, double seconds) {
    const auto milliseconds = static_cast<long>(std::ceil(seconds * 1e3));
    // A signal ends the wait; whoever waits looks at the stop flag then.
    zmq_poll(items.data(), static_cast<int>(items.size()), milliseconds);
}

}  // namespace ascertain::agents
