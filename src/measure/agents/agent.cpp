#include "measure/agents/agent.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

namespace ascertain::agents {
namespace {

using device::Ending;

constexpr Seconds kLook{0.1};
constexpr Seconds kBeat{1.0};
// A key that gets no answer is read again this often: a fresh one may lie there by now.
constexpr Seconds kTry{2.0};
// Workers get this long to end by themselves.
constexpr Seconds kClose{2.0};

constexpr auto kPerDevice = static_cast<std::size_t>(kWorkersPerDeviceMax);

// As many members for each device as may be asked for; none of them runs before it is.
std::vector<device::LaunchSpec> workers_of(const AgentQuestion& question) {
    std::vector<device::LaunchSpec> workers;
    for (const device::LaunchSpec& spec : question.workers) {
        workers.insert(workers.end(), kPerDevice, spec);
    }
    return workers;
}

class Agent {
public:
    Agent(const AgentQuestion& question, const device::Clock& clock,
          const std::function<bool()>& stopped, const std::function<void(const std::string&)>& said)
        : question_(question),
          clock_(clock),
          stopped_(stopped),
          said_(said),
          pool_(clock, workers_of(question), {}),
          asked_(pool_.size(), 0),
          waits_since_(clock.now()) {}

    Result<AgentEnd> run() {
        while (!end_) {
            if (auto tried = keep_trying(); !tried) return tried.error();
            look();
            if (stopped_()) leave();
        }
        link_.reset();  // so that a coordinator that said farewell need not wait for our workers
        pool_.close(kClose);
        return *end_;
    }

private:
    // ---- getting in ----

    Result<void> keep_trying() {
        const Seconds now = clock_.now();
        if (welcome_ || end_) return {};
        if (now - waits_since_ > question_.wait) {
            finish(AgentEnd::Kind::kNotTakenIn, why_not());
            return {};
        }
        if (link_ && now - tried_ < kTry) return {};
        tried_ = now;
        auto key = read_agent_key(question_.key_path);
        if (!key) {
            key_trouble_ = key.error().text();
            return {};
        }
        key_trouble_.clear();
        const bool same =
            key->coordinator_public == key_.coordinator_public && key->join == key_.join;
        if (link_ && same) return {};
        key_ = *std::move(key);
        auto link = Link::open(endpoint(), key_);
        if (!link) return link.error();
        link_ = *std::move(link);
        refused_ = false;
        return {};
    }

    [[nodiscard]] const std::string& endpoint() const {
        return question_.endpoint.empty() ? key_.join : question_.endpoint;
    }

    [[nodiscard]] std::string why_not() const {
        const std::string waited = format_duration(question_.wait);
        if (!key_trouble_.empty()) return fmt::format("no key for {}: {}", waited, key_trouble_);
        if (refused_) {
            return fmt::format(
                "{} answers, but not to the key in {}: it is of another campaign (tried for {})",
                endpoint(), question_.key_path, waited);
        }
        return fmt::format("nobody answered at {} for {}", endpoint(), waited);
    }

    // ---- one turn ----

    void look() {
        serve_workers();
        if (!link_) {
            ::poll(nullptr, 0, static_cast<int>(kLook.count * 1e3));
            return;
        }
        for (const Link::News news : link_->news()) hear(news);
        if (hello_due_ && link_->send(frame(FromAgent{question_.hello}))) {
            hello_due_ = false;
            hello_said_ = true;
        }
        // One turn takes what is there; what comes meanwhile belongs to the next.
        while (!end_) {
            const auto text = link_->receive();
            if (!text) break;
            hear(*text);
        }
        const Seconds now = clock_.now();
        if (welcome_ && now >= next_beat_) {
            next_beat_ = now + kBeat;
            static_cast<void>(link_->send(frame(FromAgent{Beat{++beats_}})));
        }
        flush();
        if (!end_) link_->wait(std::min(kLook, pool_.patience()), pool_.watched());
    }

    void hear(Link::News news) {
        if (news == Link::News::kConnected) {
            refused_ = false;
            hello_due_ = true;
        } else if (news == Link::News::kRefused) {
            refused_ = true;
        } else {
            lost();
        }
    }

    // What was in progress is lost with the connection: the coordinator has counted it so.
    void lost() {
        if (welcome_) said_("the connection to the coordinator is lost; waiting for it");
        welcome_ = false;
        hello_due_ = false;
        hello_said_ = false;
        waits_since_ = clock_.now();
        forget();
    }

    void forget() {
        pool_.kill_all();
        std::ranges::fill(asked_, 0);
        unsent_.clear();
    }

    void hear(const std::string& text) {
        auto message = parse_from_coordinator(text);
        if (!message) {
            return finish(AgentEnd::Kind::kRefused,
                          "the coordinator broke the protocol: " + message.error().message);
        }
        if (std::holds_alternative<Welcome>(*message)) {
            welcome_ = true;
            said_(fmt::format("joined as {}", question_.hello.node));
        } else if (auto* refused = std::get_if<NotWelcome>(&*message)) {
            finish(AgentEnd::Kind::kRefused, fmt::format("the coordinator refused ({}): {}",
                                                         refused->kind, refused->message));
        } else if (auto* ask = std::get_if<AgentAsk>(&*message)) {
            take(std::move(*ask));
        } else if (std::holds_alternative<KillAll>(*message)) {
            forget();
        } else if (std::holds_alternative<Stop>(*message)) {
            finish(AgentEnd::Kind::kStopped, "the campaign is over");
        }
    }

    void take(AgentAsk ask) {
        const auto& devices = question_.hello.devices;
        const auto found = std::ranges::find(devices, ask.device);
        const auto member = static_cast<std::size_t>(found - devices.begin()) * kPerDevice +
                            static_cast<std::size_t>(ask.worker);
        if (found == devices.end() || !pool_.idle(member)) {
            device::Reply no{.ending = Ending::kNotStarted};
            no.error_kind = "device";
            no.message = found == devices.end()
                             ? fmt::format("the agent keeps no device called {}", ask.device)
                             : fmt::format("{} is busy with another request", ask.device);
            unsent_.push_back(frame(FromAgent{AgentReply{ask.id, std::move(no)}}));
            return;
        }
        asked_[member] = ask.id;
        pool_.ask(member, std::move(ask.order));
    }

    void serve_workers() {
        for (device::Event& event : pool_.poll(Seconds{0.0})) {
            const std::int64_t id = asked_[event.member];
            if (auto* progress = std::get_if<device::Progress>(&event.what)) {
                unsent_.push_back(frame(FromAgent{AgentProgress{id, std::move(*progress)}}));
                continue;
            }
            auto& reply = std::get<device::Reply>(event.what);
            unsent_.push_back(frame(FromAgent{AgentReply{id, std::move(reply)}}));
            asked_[event.member] = 0;
        }
    }

    void flush() {
        auto next = unsent_.begin();
        while (next != unsent_.end() && link_->send(*next)) ++next;
        unsent_.erase(unsent_.begin(), next);
    }

    // ---- the end ----

    void leave() {
        if (hello_said_) {
            static_cast<void>(
                link_->send(frame(FromAgent{Leaving{"it was told to stop on its node"}})));
        }
        finish(AgentEnd::Kind::kInterrupted, "told to stop");
    }

    void finish(AgentEnd::Kind kind, std::string message) {
        if (!end_) end_ = AgentEnd{kind, std::move(message)};
    }

    const AgentQuestion& question_;
    const device::Clock& clock_;
    const std::function<bool()>& stopped_;
    const std::function<void(const std::string&)>& said_;
    device::Pool pool_;
    std::vector<std::int64_t> asked_;  // the request in progress of each worker, 0: none
    std::vector<std::string> unsent_;
    std::unique_ptr<Link> link_;
    AgentKey key_;
    std::string key_trouble_;
    bool refused_ = false;
    bool hello_due_ = false;
    bool hello_said_ = false;
    bool welcome_ = false;
    Seconds waits_since_;
    Seconds tried_{};
    Seconds next_beat_{};
    std::int64_t beats_ = 0;
    std::optional<AgentEnd> end_;
};

}  // namespace

Result<AgentEnd> serve(const AgentQuestion& question, const device::Clock& clock,
                       const std::function<bool()>& stopped,
                       const std::function<void(const std::string&)>& said) {
    return Agent(question, clock, stopped, said).run();
}

}  // namespace ascertain::agents
