// The two ends of the control plane: ZeroMQ over TCP, encrypted and authenticated by CURVE. The
// only place that knows ZeroMQ.
#pragma once

#include <poll.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "measure/agents/key.hpp"

namespace ascertain::agents {

// The coordinator's end. Whoever lacks the campaign's key gets nothing: the handshake fails before
// a byte of ours is sent. Not thread-safe; never waits but in wait().
class Gate {
public:
    struct Mail {
        std::string peer;  // one connection; after a reconnect it is another
        std::string text;
    };
    enum class Sent {
        kSent,
        kGone,  // the connection is no more
        kFull,  // it does not take what it is sent
    };

    // `endpoint` is "tcp://*:5757", "tcp://127.0.0.1:*". Errors: kEnvironment when the port is
    // taken, kUsage for a malformed endpoint.
    [[nodiscard]] static Result<std::unique_ptr<Gate>> open(const std::string& endpoint,
                                                            const CampaignKey& key);
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    ~Gate();

    // Where it listens, with the port it got.
    [[nodiscard]] std::string endpoint() const;
    [[nodiscard]] std::optional<Mail> receive();
    [[nodiscard]] Sent send(const std::string& peer, std::string_view text);
    // Connections turned away since the last call: where from, and why.
    [[nodiscard]] std::vector<std::string> turned_away();
    // Until something can be received, one of `others` is ready, or the time has passed.
    void wait(Seconds time, std::span<const pollfd> others);

private:
    struct Sockets;
    explicit Gate(std::unique_ptr<Sockets> sockets);
    std::unique_ptr<Sockets> sockets_;
};

// The agent's end. Reconnects by itself.
class Link {
public:
    enum class News {
        kConnected,     // the handshake is done: say hello
        kDisconnected,  // what was in progress is lost
        kRefused,       // somebody is there, and does not take our key
    };

    // Errors: kUsage for a malformed endpoint. Nobody need be there yet.
    [[nodiscard]] static Result<std::unique_ptr<Link>> open(const std::string& endpoint,
                                                            const AgentKey& key);
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link();

    [[nodiscard]] std::optional<std::string> receive();
    // False when the message was not taken: too much is waiting already, or nobody is there.
    [[nodiscard]] bool send(std::string_view text);
    [[nodiscard]] std::vector<News> news();
    void wait(Seconds time, std::span<const pollfd> others);

private:
    struct Sockets;
    explicit Link(std::unique_ptr<Sockets> sockets);
    std::unique_ptr<Sockets> sockets_;
};

}  // namespace ascertain::agents
