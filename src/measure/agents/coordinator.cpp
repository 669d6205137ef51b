#include "measure/agents/coordinator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.hpp"

namespace ascertain::agents {
namespace {

using device::Ending;
using device::Event;
using device::Reply;

// How long one wait lasts at most: signs of life and stop flags are looked at in between.
constexpr Seconds kLook{0.1};
// One node that talks without end may not keep us from the others.
constexpr int kMessagesAtOnce = 4096;
constexpr std::size_t kTurnedAwayKept = 100;
// How long agents may take to read that it is over.
constexpr Seconds kFarewell{1.0};

}  // namespace

Coordinator::Coordinator(const device::Clock& clock, std::unique_ptr<Gate> gate,
                         std::string version, CoordinatorLimits limits)
    : clock_(clock), gate_(std::move(gate)), version_(std::move(version)), limits_(limits) {}

Coordinator::~Coordinator() {
    const auto joined_seats = [this](const FromCoordinator& message) {
        std::size_t there = 0;
        for (const auto& seat : seats_) {
            if (seat->node.state != Node::State::kJoined) continue;
            if (gate_->send(seat->peer, frame(message)) != Gate::Sent::kGone) ++there;
        }
        return there;
    };
    // Hanging up at once could overtake the farewell: they hang up when they have read it.
    const device::SteadyClock real;
    const Seconds end = real.now() + kFarewell;
    std::size_t there = joined_seats(Stop{});
    while (there > 0 && real.now() < end) {
        gate_->wait(Seconds{0.01}, {});
        while (gate_->receive()) {
        }
        there = joined_seats(Beat{});
    }
}

// ---- who is here ----

Result<void> Coordinator::gather(std::size_t count, const std::vector<std::string>& names,
                                 Seconds wait, const std::function<bool(std::size_t)>& looked) {
    expected_ = names;
    const std::size_t wanted = names.empty() ? count : names.size();
    const Seconds end = clock_.now() + wait;
    while (seats_.size() < wanted && clock_.now() < end) {
        gate_->wait(kLook, {});
        look_after(drain());
        if (looked(joined())) return Error{ErrorCode::kInterrupted, "interrupted", {}};
    }
    gathering_ = false;
    const auto missing = [&](std::string name) {
        auto seat = std::make_unique<Seat>();
        seat->node.name = std::move(name);
        seat->node.kind = "device";
        seat->node.reason = fmt::format("no agent of this node joined within {} ({} of {} did)",
                                        format_duration(wait), joined(), wanted);
        if (!seats_.empty()) seat->node.devices = seats_.front()->node.devices;
        if (seat->node.devices.empty()) seat->node.devices = {"cpu"};
        seats_.push_back(std::move(seat));
    };
    for (const std::string& name : names) {
        if (seat_named(name) == nullptr) missing(name);
    }
    for (int number = 1; seats_.size() < wanted; ++number) {
        const std::string name = fmt::format("absent-{}", number);
        if (seat_named(name) == nullptr) missing(name);
    }
    std::ranges::sort(seats_, {}, [](const auto& seat) { return seat->node.name; });
    return {};
}

std::vector<Node> Coordinator::nodes() const {
    std::vector<Node> nodes;
    for (const auto& seat : seats_) nodes.push_back(seat->node);
    return nodes;
}

std::size_t Coordinator::joined() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        seats_, [](const auto& seat) { return seat->node.state == Node::State::kJoined; }));
}

Coordinator::Seat* Coordinator::seat_of(const std::string& peer) {
    for (const auto& seat : seats_) {
        if (seat->peer == peer) return seat.get();
    }
    return nullptr;
}

Coordinator::Seat* Coordinator::seat_named(const std::string& name) {
    for (const auto& seat : seats_) {
        if (seat->node.name == name) return seat.get();
    }
    return nullptr;
}

Result<void> Coordinator::set_members(const std::vector<std::string>& devices) {
    for (const std::string& device : devices) {
        const std::size_t slash = device.find('/');
        Member member;
        const auto seat = std::ranges::find(seats_, device.substr(0, slash),
                                            [](const auto& one) { return one->node.name; });
        if (seat == seats_.end()) {
            std::vector<std::string> known;
            for (const auto& one : seats_) known.push_back(one->node.name);
            return Error{ErrorCode::kDeviceUnavailable,
                         fmt::format("no agent calls its node that{}",
                                     did_you_mean(device.substr(0, slash), known)),
                         device};
        }
        member.seat = static_cast<std::size_t>(std::distance(seats_.begin(), seat));
        member.device = device.substr(slash + 1);
        member.worker = static_cast<int>(std::ranges::count_if(members_, [&](const auto& one) {
            return one.seat == member.seat && one.device == member.device;
        }));
        if (member.worker >= kWorkersPerDeviceMax) {
            return Error{ErrorCode::kUsage,
                         fmt::format("at most {} workers share a device", kWorkersPerDeviceMax),
                         device};
        }
        members_.push_back(std::move(member));
    }
    return {};
}

// ---- requests ----

bool Coordinator::idle(std::size_t member) const {
    ASCERTAIN_ASSERT(member < members_.size());
    return members_[member].id == 0;
}

void Coordinator::ask(std::size_t index, device::Order order) {
    ASCERTAIN_ASSERT(idle(index));
    Member& member = members_[index];
    member.id = ++last_id_;
    member.asked = clock_.now();
    member.give_up = member.asked + order.deadline + limits_.slack;
    member.chatter_bytes = 0;
    Seat& seat = *seats_[member.seat];
    if (seat.node.state == Node::State::kJoined) {
        const std::string text = frame(
            FromCoordinator{AgentAsk{member.id, member.device, member.worker, std::move(order)}});
        const Gate::Sent sent =
            text.size() > kFrameBytesMax ? Gate::Sent::kFull : gate_->send(seat.peer, text);
        if (sent == Gate::Sent::kSent) return;
        lose(seat, Node::State::kGone,
             sent == Gate::Sent::kGone ? "the connection to its agent is gone"
                                       : "its agent does not take what it is sent");
    }
    // lose() has answered whatever was in progress, this request included.
    if (members_[index].id == 0) return;
    Reply gone{.ending = Ending::kNotStarted};
    gone.error_kind = seat.node.kind;
    gone.message = fmt::format("{}: {}", seat.node.name, seat.node.reason);
    reply(index, std::move(gone));
}

void Coordinator::reply(std::size_t index, Reply reply) {
    ASCERTAIN_ASSERT(members_[index].id != 0);
    members_[index].id = 0;
    events_.push_back({index, std::move(reply)});
}

std::vector<Event> Coordinator::take() {
    look_after(drain());
    return std::exchange(events_, {});
}

std::vector<Event> Coordinator::poll(Seconds wait_at_most) {
    const device::SteadyClock real;
    const Seconds end = real.now() + wait_at_most;
    std::vector<Event> events = take();
    while (events.empty()) {
        const Seconds left = end - real.now();
        gate_->wait(std::clamp(left, Seconds{0.0}, kLook), {});
        events = take();
        if (left.count <= 0.0) break;
    }
    return events;
}

void Coordinator::kill_all() {
    for (const auto& seat : seats_) {
        if (seat->node.state != Node::State::kJoined) continue;
        static_cast<void>(gate_->send(seat->peer, frame(FromCoordinator{KillAll{}})));
    }
    for (Member& member : members_) member.id = 0;
    events_.clear();
}

// ---- what agents say ----

// True when nothing is left to read: only then is silence silence.
bool Coordinator::drain() {
    bool empty = false;
    for (int count = 0; count < kMessagesAtOnce && !empty; ++count) {
        const auto mail = gate_->receive();
        empty = !mail.has_value();
        if (empty) break;
        if (!banned_.contains(mail->peer)) receive(*mail);
    }
    for (std::string& one : gate_->turned_away()) {
        if (turned_away_.size() < kTurnedAwayKept) turned_away_.push_back(std::move(one));
    }
    return empty;
}

void Coordinator::receive(const Gate::Mail& mail) {
    auto message = parse_from_agent(mail.text);
    Seat* seat = seat_of(mail.peer);
    if (!message) {
        if (seat != nullptr) return expel(*seat, "broke the protocol: " + message.error().message);
        return refuse(mail.peer, "breach", message.error().message);
    }
    if (auto* hello = std::get_if<AgentHello>(&*message)) {
        if (seat != nullptr) return expel(*seat, "broke the protocol: a second hello");
        return handle(mail.peer, std::move(*hello));
    }
    if (seat == nullptr) return refuse(mail.peer, "breach", "say hello first");
    seat->heard = clock_.now();
    if (seat->heard - seat->since > Seconds{1.0}) {
        seat->since = seat->heard;
        seat->idle_bytes = 0;
    }
    if (auto* progress = std::get_if<AgentProgress>(&*message)) {
        return handle(*seat, std::move(*progress), mail.text.size());
    }
    if (auto* reply = std::get_if<AgentReply>(&*message)) return handle(*seat, std::move(*reply));
    // Even the shortest message costs us something.
    seat->idle_bytes += mail.text.size() + 256;
    if (seat->idle_bytes > limits_.idle_bytes_max) {
        return expel(*seat, fmt::format("floods: more than {} bytes in a second that nobody asked "
                                        "for",
                                        limits_.idle_bytes_max));
    }
    if (const auto* leaving = std::get_if<Leaving>(&*message)) handle(*seat, *leaving);
}

void Coordinator::handle(const std::string& peer, AgentHello&& hello) {
    Seat* known = seat_named(hello.node);
    const bool returns =
        known != nullptr && !known->instance.empty() && known->instance == hello.instance;
    const bool came_back = known != nullptr && known->node.state == Node::State::kGone;
    if (known != nullptr && !returns && !came_back) {
        return refuse(peer, "name",
                      fmt::format("another agent calls its node {} already; give each its own "
                                  "--node",
                                  hello.node));
    }
    const bool expected =
        expected_.empty() || std::ranges::find(expected_, hello.node) != expected_.end();
    if (known == nullptr && !gathering_) {
        return refuse(peer, "name", "the campaign has begun without this node");
    }
    if (!expected) {
        return refuse(peer, "name",
                      fmt::format("{} is none of the nodes of this campaign", hello.node));
    }
    if (known == nullptr) {
        seats_.push_back(std::make_unique<Seat>());
        known = seats_.back().get();
    } else if (known->node.state == Node::State::kJoined) {
        lose(*known, Node::State::kGone, "its agent lost the connection and came back");
    }
    Node node;
    node.name = std::move(hello.node);
    node.host = std::move(hello.host);
    node.version = std::move(hello.version);
    node.devices = std::move(hello.devices);
    node.state = Node::State::kJoined;
    known->node = std::move(node);
    known->peer = peer;
    known->instance = std::move(hello.instance);
    known->heard = clock_.now();
    if (hello.protocol != kAgentProtocol || known->node.version != version_) {
        const std::string reason = fmt::format(
            "its agent is version {} (agent protocol {}), this program {} ({}); install the same "
            "on every node",
            known->node.version, hello.protocol, version_, kAgentProtocol);
        known->node.kind = "version";
        known->node.reason = reason;
        known->node.state = Node::State::kRefused;
        return refuse(peer, "version", reason);
    }
    static_cast<void>(gate_->send(peer, frame(FromCoordinator{Welcome{}})));
}

std::optional<std::size_t> Coordinator::member_with(const Seat& seat, std::int64_t id) const {
    for (std::size_t index = 0; index < members_.size(); ++index) {
        const bool its_own = seats_[members_[index].seat].get() == &seat;
        if (its_own && id != 0 && members_[index].id == id) return index;
    }
    return std::nullopt;
}

void Coordinator::handle(Seat& seat, AgentProgress&& progress, std::size_t bytes) {
    const auto member = member_with(seat, progress.id);
    if (!member) {
        return expel(seat, fmt::format("broke the protocol: progress for request {}, which is not "
                                       "in progress",
                                       progress.id));
    }
    members_[*member].chatter_bytes += bytes;
    if (members_[*member].chatter_bytes > limits_.chatter_bytes_max) {
        return expel(
            seat, fmt::format("floods: more than {} bytes of progress", limits_.chatter_bytes_max));
    }
    events_.push_back({*member, std::move(progress.progress)});
}

void Coordinator::handle(Seat& seat, AgentReply&& answer) {
    const auto member = member_with(seat, answer.id);
    if (!member) {
        return expel(seat, fmt::format("broke the protocol: an answer to request {}, which is not "
                                       "in progress",
                                       answer.id));
    }
    reply(*member, std::move(answer.reply));
}

void Coordinator::handle(Seat& seat, const Leaving& leaving) {
    lose(seat, Node::State::kGone, "its agent left: " + leaving.reason);
}

// ---- what agents fail to say ----

void Coordinator::look_after(bool all_read) {
    const Seconds now = clock_.now();
    const bool beats = now >= next_beat_;
    if (beats) {
        next_beat_ = now + limits_.beat;
        ++beats_;
    }
    for (const auto& seat : seats_) {
        if (seat->node.state != Node::State::kJoined) continue;
        // Sending is also how the end of a connection is noticed at once.
        if (beats &&
            gate_->send(seat->peer, frame(FromCoordinator{Beat{beats_}})) == Gate::Sent::kGone) {
            lose(*seat, Node::State::kGone, "the connection to its agent is gone");
        } else if (all_read && now - seat->heard > limits_.silence) {
            lose(*seat, Node::State::kGone,
                 fmt::format("no sign of life from its agent for {}",
                             format_duration(limits_.silence)));
        }
    }
    for (const Member& member : members_) {
        if (member.id != 0 && now > member.give_up) {
            expel(*seats_[member.seat], fmt::format("owes an answer about {} for {}", member.device,
                                                    format_duration(now - member.asked)));
        }
    }
}

void Coordinator::refuse(const std::string& peer, const std::string& kind,
                         const std::string& message) {
    banned_.insert(peer);
    static_cast<void>(gate_->send(peer, frame(FromCoordinator{NotWelcome{kind, message}})));
}

// Ends the membership of a node that cannot be trusted any more.
void Coordinator::expel(Seat& seat, const std::string& what) {
    refuse(seat.peer, "breach", what);
    lose(seat, Node::State::kRefused, "its agent " + what);
}

// Whatever is in progress on the node is answered; what is asked later gets the reason.
void Coordinator::lose(Seat& seat, Node::State state, const std::string& reason) {
    seat.node.state = state;
    seat.node.reason = reason;
    seat.node.kind = "device";
    if (!seat.peer.empty()) banned_.insert(seat.peer);
    seat.peer.clear();
    for (std::size_t index = 0; index < members_.size(); ++index) {
        Member& member = members_[index];
        if (seats_[member.seat].get() != &seat || member.id == 0) continue;
        Reply lost{.ending = Ending::kCrashed};
        lost.message = fmt::format("{}: {}", seat.node.name, reason);
        lost.duration = clock_.now() - member.asked;
        reply(index, std::move(lost));
    }
}

}  // namespace ascertain::agents
