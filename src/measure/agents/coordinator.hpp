// The crew on other nodes: agents join, their devices become members, and whatever an agent does
// wrong ends as a Reply that names it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "measure/agents/message.hpp"
#include "measure/agents/socket.hpp"
#include "measure/device/clock.hpp"
#include "measure/device/workers.hpp"

namespace ascertain::agents {

struct CoordinatorLimits {
    Seconds beat{1.0};      // between two signs of life that we send
    Seconds silence{10.0};  // without a word a node is lost
    // What an answer may take beyond the deadline of its request: the start of a worker, its end,
    // and the way.
    Seconds slack{140.0};
    std::size_t chatter_bytes_max = 64u << 20;  // of progress in one request
    std::size_t idle_bytes_max = 1u << 20;      // of anything else, per second
};

// One node of the campaign.
struct Node {
    enum class State {
        kJoined,
        kRefused,  // it came, and could not be taken in
        kGone,     // it was here
        kAbsent,   // it never came
    };
    std::string name;
    std::string host;     // as it calls itself
    std::string version;  // of its program
    std::vector<std::string> devices;
    State state = State::kAbsent;
    std::string reason;  // why it is not here; for people
    std::string kind;    // "device" or "version", as Reply::error_kind
};

// Not thread-safe. Members are set once, after the agents have joined.
class Coordinator final : public device::Workers {
public:
    Coordinator(const device::Clock& clock, std::unique_ptr<Gate> gate, std::string version,
                CoordinatorLimits limits);
    // Tells the agents that it is over.
    ~Coordinator() override;

    // Lets agents in until `names` have all come (or `count` of any name when it is empty), or
    // `wait` has passed; then whoever is missing is an absent node ("absent-1" where no name is
    // known), and later comers are told that they are late. `looked` is asked ten times a second
    // and told how many have joined; when it says stop the error is kInterrupted.
    [[nodiscard]] Result<void> gather(std::size_t count, const std::vector<std::string>& names,
                                      Seconds wait, const std::function<bool(std::size_t)>& looked);
    // In order of their names, the absent ones included.
    [[nodiscard]] std::vector<Node> nodes() const;
    // Connections turned away so far: where from, and why.
    [[nodiscard]] const std::vector<std::string>& turned_away() const { return turned_away_; }

    // The devices that requests go to, "node1/cuda:0". Each node must be one of nodes(); a device
    // that is named again gets another worker there. Errors: kDeviceUnavailable for a node nobody
    // knows, kUsage for too many workers on one device.
    [[nodiscard]] Result<void> set_members(const std::vector<std::string>& devices);

    [[nodiscard]] std::size_t size() const override { return members_.size(); }
    [[nodiscard]] bool idle(std::size_t member) const override;
    void ask(std::size_t member, device::Order order) override;
    [[nodiscard]] std::vector<device::Event> poll(Seconds wait) override;
    void kill_all() override;

    // poll() for one that waits for other things too: what is there now, and the wait.
    [[nodiscard]] std::vector<device::Event> take();
    void wait(Seconds time, std::span<const pollfd> others) { gate_->wait(time, others); }

private:
    struct Seat {
        Node node;
        std::string peer;
        std::string instance;
        Seconds heard{};
        Seconds since{};             // when idle_bytes began to count
        std::size_t idle_bytes = 0;  // that no request asked for, in this second
    };
    struct Member {
        std::size_t seat = 0;
        std::string device;
        int worker = 0;       // of that device
        std::int64_t id = 0;  // of the request in progress, 0: none
        Seconds asked{};
        Seconds give_up{};
        std::size_t chatter_bytes = 0;
    };

    [[nodiscard]] bool drain();
    void receive(const Gate::Mail& mail);
    void handle(const std::string& peer, AgentHello&& hello);
    void handle(Seat& seat, AgentProgress&& progress, std::size_t bytes);
    void handle(Seat& seat, AgentReply&& reply);
    void handle(Seat& seat, const Leaving& leaving);
    void look_after(bool all_read);
    void refuse(const std::string& peer, const std::string& kind, const std::string& message);
    void expel(Seat& seat, const std::string& what);
    void lose(Seat& seat, Node::State state, const std::string& reason);
    void reply(std::size_t member, device::Reply reply);
    [[nodiscard]] Seat* seat_of(const std::string& peer);
    [[nodiscard]] Seat* seat_named(const std::string& name);
    [[nodiscard]] std::optional<std::size_t> member_with(const Seat& seat, std::int64_t id) const;
    [[nodiscard]] std::size_t joined() const;

    const device::Clock& clock_;
    std::unique_ptr<Gate> gate_;
    std::string version_;
    CoordinatorLimits limits_;
    bool gathering_ = true;
    std::vector<std::string> expected_;  // names; empty: any
    std::vector<std::unique_ptr<Seat>> seats_;
    std::set<std::string> banned_;  // peers whose words are not even read
    std::vector<Member> members_;
    std::vector<device::Event> events_;
    std::vector<std::string> turned_away_;
    std::int64_t last_id_ = 0;
    std::int64_t beats_ = 0;
    Seconds next_beat_{};
};

}  // namespace ascertain::agents
