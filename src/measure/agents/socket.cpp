#include "measure/agents/socket.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>
#include <zmq.hpp>

#include "measure/agents/message.hpp"
#include "measure/agents/monitor.hpp"

namespace ascertain::agents {
namespace {

// Messages that may wait in each direction of one connection; what exceeds them stays with the
// sender, so a peer that floods fills its own memory and not ours.
constexpr int kQueueMessages = 1000;
constexpr int kHeartbeatEvery_ms = 1000;
constexpr int kHeartbeatTimeout_ms = 10'000;
constexpr int kHandshakeTimeout_ms = 10'000;
constexpr int kReconnectAfter_ms = 50;
constexpr int kReconnectAtMost_ms = 1000;
// Farewells get this long to leave.
constexpr int kLinger_ms = 500;
constexpr std::size_t kTurnedAwayKept = 100;

void common_options(zmq::socket_t& socket) {
    socket.set(zmq::sockopt::linger, kLinger_ms);
    socket.set(zmq::sockopt::sndhwm, kQueueMessages);
    socket.set(zmq::sockopt::rcvhwm, kQueueMessages);
    socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(kFrameBytesMax));
    socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatEvery_ms);
    socket.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeout_ms);
    socket.set(zmq::sockopt::handshake_ivl, kHandshakeTimeout_ms);
}

Error malformed(const std::string& endpoint, const zmq::error_t& error) {
    const bool ours = error.num() == EINVAL || error.num() == EPROTONOSUPPORT;
    return Error{ours ? ErrorCode::kUsage : ErrorCode::kEnvironment,
                 fmt::format("{}; an endpoint looks like tcp://*:5757 to listen and "
                             "tcp://host:5757 to join",
                             error.what()),
                 endpoint};
}

std::vector<zmq::pollitem_t> items_of(std::initializer_list<zmq::socket_t*> sockets,
                                      std::span<const pollfd> others) {
    std::vector<zmq::pollitem_t> items;
    for (zmq::socket_t* socket : sockets) items.push_back({socket->handle(), 0, ZMQ_POLLIN, 0});
    for (const pollfd& other : others) {
        const bool writes = (other.events & POLLOUT) != 0;
        items.push_back({nullptr, other.fd,
                         static_cast<short>(writes ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN), 0});
    }
    return items;
}

std::string z85(const zmq::message_t& key) {
    std::array<char, 41> text{};
    if (key.size() != 32) return {};
    zmq_z85_encode(text.data(), key.data<std::uint8_t>(), 32);
    return text.data();
}

}  // namespace

// ---- the coordinator's end ----

struct Gate::Sockets {
    std::string agent_public;
    zmq::context_t context{1};
    // Asked by ZeroMQ about every connection (ZAP, ZeroMQ RFC 27).
    zmq::socket_t door{context, zmq::socket_type::rep};
    zmq::socket_t router{context, zmq::socket_type::router};
    std::optional<Monitor> monitor;
    std::vector<std::string> turned_away;

    void note(std::string what) {
        if (turned_away.size() < kTurnedAwayKept) turned_away.push_back(std::move(what));
    }

    // Answers who may come in: whoever has the campaign's own key, nobody else.
    void mind_the_door() {
        while (true) {
            std::vector<zmq::message_t> parts;
            do {
                zmq::message_t part;
                if (!door.recv(part, zmq::recv_flags::dontwait)) return;
                parts.push_back(std::move(part));
            } while (parts.back().more());
            // version, request id, domain, address, identity, mechanism, credentials...
            const bool curve = parts.size() == 7 && parts[5].to_string_view() == "CURVE";
            const bool welcome = curve && z85(parts[6]) == agent_public;
            const std::string id = parts.size() > 1 ? parts[1].to_string() : "";
            if (!welcome) {
                note(fmt::format("{}: a key that is not this campaign's",
                                 parts.size() > 3 ? parts[3].to_string() : "somebody"));
            }
            const std::array<std::string, 6> answer{
                "1.0", id, welcome ? "200" : "400", welcome ? "OK" : "not this campaign's key",
                "",    ""};
            for (std::size_t i = 0; i < answer.size(); ++i) {
                const bool last = i + 1 == answer.size();
                door.send(zmq::buffer(answer[i]),
                          last ? zmq::send_flags::none : zmq::send_flags::sndmore);
            }
        }
    }
};

Gate::Gate(std::unique_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {}
Gate::~Gate() = default;

Result<std::unique_ptr<Gate>> Gate::open(const std::string& endpoint, const CampaignKey& key) {
    try {
        auto sockets = std::make_unique<Sockets>();
        sockets->agent_public = key.agent.agent_public;
        sockets->door.set(zmq::sockopt::linger, 0);
        sockets->door.bind("inproc://zeromq.zap.01");
        zmq::socket_t& router = sockets->router;
        common_options(router);
        router.set(zmq::sockopt::router_mandatory, true);
        router.set(zmq::sockopt::curve_server, true);
        router.set(zmq::sockopt::curve_secretkey, key.coordinator_secret);
        router.set(zmq::sockopt::zap_domain, "ascertain");
        sockets->monitor.emplace(
            sockets->context, router,
            ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL);
        router.bind(endpoint);
        return std::unique_ptr<Gate>(new Gate(std::move(sockets)));
    } catch (const zmq::error_t& error) {
        return malformed(endpoint, error);
    }
}

std::string Gate::endpoint() const {
    return sockets_->router.get(zmq::sockopt::last_endpoint);
}

std::optional<Gate::Mail> Gate::receive() {
    sockets_->mind_the_door();
    zmq::message_t peer;
    if (!sockets_->router.recv(peer, zmq::recv_flags::dontwait)) return std::nullopt;
    Mail mail{peer.to_string(), {}};
    bool more = peer.more();
    // Our messages have one part; of others the last counts, and it will not parse.
    while (more) {
        zmq::message_t part;
        if (!sockets_->router.recv(part, zmq::recv_flags::dontwait)) break;
        mail.text = part.to_string();
        more = part.more();
    }
    return mail;
}

Gate::Sent Gate::send(const std::string& peer, std::string_view text) {
    try {
        zmq::socket_t& router = sockets_->router;
        if (!router.send(zmq::buffer(peer), zmq::send_flags::sndmore | zmq::send_flags::dontwait)) {
            return Sent::kFull;
        }
        return router.send(zmq::buffer(text), zmq::send_flags::dontwait) ? Sent::kSent
                                                                         : Sent::kFull;
    } catch (const zmq::error_t&) {
        return Sent::kGone;
    }
}

std::vector<std::string> Gate::turned_away() {
    sockets_->mind_the_door();
    for (const auto& happening : sockets_->monitor->take()) {
        static_cast<void>(happening);
        sockets_->note("a connection: its key is not this campaign's, or it is no agent");
    }
    return std::exchange(sockets_->turned_away, {});
}

void Gate::wait(Seconds time, std::span<const pollfd> others) {
    wait_for(items_of({&sockets_->router, &sockets_->door}, others), time.count);
}

// ---- the agent's end ----

struct Link::Sockets {
    zmq::context_t context{1};
    zmq::socket_t dealer{context, zmq::socket_type::dealer};
    std::optional<Monitor> monitor;
    bool connected = false;
};

Link::Link(std::unique_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {}
Link::~Link() = default;

Result<std::unique_ptr<Link>> Link::open(const std::string& endpoint, const AgentKey& key) {
    try {
        auto sockets = std::make_unique<Sockets>();
        zmq::socket_t& dealer = sockets->dealer;
        common_options(dealer);
        dealer.set(zmq::sockopt::reconnect_ivl, kReconnectAfter_ms);
        dealer.set(zmq::sockopt::reconnect_ivl_max, kReconnectAtMost_ms);
        // Nothing is kept for a coordinator that is not there.
        dealer.set(zmq::sockopt::immediate, true);
        dealer.set(zmq::sockopt::curve_serverkey, key.coordinator_public);
        dealer.set(zmq::sockopt::curve_publickey, key.agent_public);
        dealer.set(zmq::sockopt::curve_secretkey, key.agent_secret);
        sockets->monitor.emplace(
            sockets->context, dealer,
            ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECTED);
        dealer.connect(endpoint);
        return std::unique_ptr<Link>(new Link(std::move(sockets)));
    } catch (const zmq::error_t& error) {
        return malformed(endpoint, error);
    }
}

std::optional<std::string> Link::receive() {
    zmq::message_t message;
    if (!sockets_->dealer.recv(message, zmq::recv_flags::dontwait)) return std::nullopt;
    return message.to_string();
}

bool Link::send(std::string_view text) {
    return sockets_->dealer.send(zmq::buffer(text), zmq::send_flags::dontwait).has_value();
}

std::vector<Link::News> Link::news() {
    std::vector<News> news;
    for (const auto& happening : sockets_->monitor->take()) {
        switch (happening.event) {
            case ZMQ_EVENT_CONNECTED: break;
            case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
                sockets_->connected = true;
                news.push_back(News::kConnected);
                break;
            case ZMQ_EVENT_DISCONNECTED:
                // Before a handshake it means that the other end hung up on our key.
                news.push_back(std::exchange(sockets_->connected, false) ? News::kDisconnected
                                                                         : News::kRefused);
                break;
            default: news.push_back(News::kRefused);
        }
    }
    return news;
}

void Link::wait(Seconds time, std::span<const pollfd> others) {
    wait_for(items_of({&sockets_->dealer, &sockets_->monitor->socket()}, others), time.count);
}

}  // namespace ascertain::agents
