// Coordinator and agents over loopback TCP with CURVE, with real worker processes behind honest
// agents, and bare links behind dishonest ones. What takes time on the machine runs on the real
// clock; what would take patience runs on one that the tests move.
#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "measure/agents/agent.hpp"
#include "measure/agents/coordinator.hpp"
#include "measure/agents/fleet.hpp"
#include "measure/device/call_all.hpp"

namespace ascertain::agents {
namespace {

using device::Ending;
using device::Event;
using device::Order;
using device::Reply;
using testing::HasSubstr;

// The machine's clock, and whatever a test adds to it.
class PushedClock final : public device::Clock {
public:
    [[nodiscard]] Seconds now() const override { return real_.now() + Seconds{ahead_.load()}; }
    void advance(Seconds time) { ahead_ = ahead_.load() + time.count; }

private:
    device::SteadyClock real_;
    std::atomic<double> ahead_{0.0};
};

// An honest agent in a thread of its own.
class AgentThread {
public:
    AgentThread(AgentQuestion question, const device::Clock& clock)
        : question_(std::move(question)), thread_([this, &clock] {
              const auto end = serve(
                  question_, clock, [this] { return stop_.load(); }, [](const std::string&) {});
              end_ = end.ok() ? *end : AgentEnd{AgentEnd::Kind::kRefused, end.error().text()};
          }) {}
    ~AgentThread() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }
    void stop() { stop_ = true; }
    AgentEnd end() {
        thread_.join();
        return end_;
    }

private:
    AgentQuestion question_;
    std::atomic<bool> stop_{false};
    AgentEnd end_;
    std::thread thread_;
};

class AgentsTest : public testing::Test {
protected:
    void SetUp() override {
        folder_ = testing::TempDir() + "ascertain_agents_" + std::to_string(getpid());
        std::filesystem::create_directories(folder_);
        key_ = make_campaign_key().value();
        ASSERT_TRUE(write_agent_key(key_.agent, folder_ + "/key").ok());
    }
    void TearDown() override {
        coordinator_.reset();
        std::filesystem::remove_all(folder_);
    }

    void open(CoordinatorLimits limits = {}) {
        auto gate = Gate::open("tcp://127.0.0.1:*", key_);
        ASSERT_TRUE(gate.ok()) << gate.error().text();
        endpoint_ = (*gate)->endpoint();
        coordinator_ = std::make_unique<Coordinator>(clock_, *std::move(gate), "1.0", limits);
    }
    AgentQuestion question(const std::string& node, const std::string& behaviour = "healthy") {
        AgentQuestion question;
        question.endpoint = endpoint_;
        question.key_path = folder_ + "/key";
        question.hello.version = "1.0";
        question.hello.node = node;
        question.hello.instance = node + " first";
        question.hello.devices = {"cpu"};
        device::LaunchSpec spec;
        spec.executable = ASCERTAIN_SELFTEST_WORKER;
        spec.arguments = {"--behaviour", behaviour, "--marker", folder_ + "/marker"};
        spec.device = "cpu";
        spec.directory = folder_;
        spec.stderr_path = folder_ + "/stderr." + node;
        question.workers = {spec};
        return question;
    }
    void gather(std::size_t count, Seconds wait = Seconds{30.0}) {
        const auto gathered =
            coordinator_->gather(count, {}, wait, [](std::size_t) { return false; });
        ASSERT_TRUE(gathered.ok()) << gathered.error().text();
    }
    // The reply to one request. The bound only ends a test that would hang.
    Reply reply_from(std::size_t member) {
        for (int turn = 0; turn < 600; ++turn) {
            for (Event& event : coordinator_->poll(Seconds{0.1})) {
                if (event.member == member && std::holds_alternative<Reply>(event.what)) {
                    return std::get<Reply>(std::move(event.what));
                }
            }
        }
        ADD_FAILURE() << "no reply";
        return {};
    }
    Reply ask(std::size_t member, Seconds deadline = Seconds{60.0}) {
        coordinator_->ask(member, Order{"replay", {{"seed", 5}}, deadline});
        return reply_from(member);
    }
    Node node(const std::string& name) {
        for (const Node& one : coordinator_->nodes()) {
            if (one.name == name) return one;
        }
        ADD_FAILURE() << "no node " << name;
        return {};
    }

    // A peer that has the key and says what it likes.
    std::unique_ptr<Link> dishonest() {
        auto link = Link::open(endpoint_, key_.agent);
        EXPECT_TRUE(link.ok());
        for (int turn = 0; turn < 300; ++turn) {
            (*link)->wait(Seconds{0.1}, {});
            static_cast<void>(coordinator_->take());
            for (const auto news : (*link)->news()) {
                if (news == Link::News::kConnected) return *std::move(link);
            }
        }
        ADD_FAILURE() << "not connected";
        return *std::move(link);
    }
    static AgentHello hello_of(const std::string& node) {
        AgentHello hello;
        hello.version = "1.0";
        hello.node = node;
        hello.instance = node;
        hello.devices = {"cpu"};
        return hello;
    }
    // A dishonest peer, joined as the only node; member 0 is its CPU.
    std::unique_ptr<Link> joined_liar() {
        auto link = dishonest();
        EXPECT_TRUE(link->send(frame(FromAgent{hello_of("liar")})));
        gather(1);
        EXPECT_TRUE(coordinator_->set_members({"liar/cpu"}).ok());
        return link;
    }

    PushedClock clock_;
    std::string folder_;
    std::string endpoint_;
    CampaignKey key_;
    std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(AgentsTest, ARequestGoesToTheNodeAndItsAnswerComesBack) {
    open();
    AgentThread one(question("node1"), clock_);
    AgentThread two(question("node2"), clock_);
    gather(2);
    ASSERT_TRUE(coordinator_->set_members({"node1/cpu", "node2/cpu"}).ok());
    for (const std::size_t member : {0u, 1u}) {
        const Reply reply = ask(member);
        ASSERT_EQ(reply.ending, Ending::kResult) << reply.message;
        EXPECT_EQ(reply.result["echo"]["seed"], 5);
        EXPECT_EQ(reply.result["request"], "replay");
    }
    coordinator_.reset();
    EXPECT_EQ(one.end().kind, AgentEnd::Kind::kStopped);
}

TEST_F(AgentsTest, AllAreAskedAtOnceAndAnswerInTheirOrder) {
    open();
    AgentThread one(question("node1"), clock_);
    AgentThread two(question("node2", "error"), clock_);
    gather(2);
    ASSERT_TRUE(coordinator_->set_members({"node1/cpu", "node2/cpu"}).ok());
    const auto replies = device::call_all(*coordinator_, 2, Order{"describe", {}, Seconds{60.0}},
                                          [] { return false; });
    ASSERT_TRUE(replies.ok());
    EXPECT_EQ((*replies)[0].ending, Ending::kResult) << (*replies)[0].message;
    EXPECT_EQ((*replies)[1].ending, Ending::kError);
    const auto stopped = device::call_all(*coordinator_, 2, Order{"describe", {}, Seconds{60.0}},
                                          [] { return true; });
    EXPECT_EQ(stopped.error().code, ErrorCode::kInterrupted);
}

TEST_F(AgentsTest, ADeviceNamedTwiceHasTwoWorkersThatAnswerAtOnce) {
    open();
    AgentThread agent(question("node1"), clock_);
    gather(1);
    ASSERT_TRUE(coordinator_->set_members({"node1/cpu", "node1/cpu"}).ok());
    for (const std::size_t member : {0u, 1u}) {
        coordinator_->ask(member, Order{"replay", {}, Seconds{60.0}});
    }
    int answered = 0;
    for (int turn = 0; turn < 600 && answered < 2; ++turn) {
        for (const Event& event : coordinator_->poll(Seconds{0.1})) {
            const auto* reply = std::get_if<Reply>(&event.what);
            if (reply == nullptr) continue;
            EXPECT_EQ(reply->ending, Ending::kResult) << reply->message;
            ++answered;
        }
    }
    EXPECT_EQ(answered, 2);
    EXPECT_EQ(coordinator_->set_members(std::vector<std::string>(15, "node1/cpu")).error().code,
              ErrorCode::kUsage);
}

TEST_F(AgentsTest, ProgressComesBeforeTheAnswer) {
    open();
    AgentThread agent(question("node1", "progress"), clock_);
    gather(1);
    ASSERT_TRUE(coordinator_->set_members({"node1/cpu"}).ok());
    coordinator_->ask(0, Order{"train", {}, Seconds{60.0}});
    int progress = 0;
    bool answered = false;
    for (int turn = 0; turn < 600 && !answered; ++turn) {
        for (const Event& event : coordinator_->poll(Seconds{0.1})) {
            answered = std::holds_alternative<Reply>(event.what);
            progress += answered ? 0 : 1;
        }
    }
    EXPECT_TRUE(answered);
    EXPECT_EQ(progress, 3);
}

TEST_F(AgentsTest, AWorkerThatCrashesThereEndsAsItWouldHere) {
    open();
    AgentThread agent(question("node1", "crash_once"), clock_);
    gather(1);
    ASSERT_TRUE(coordinator_->set_members({"node1/cpu"}).ok());
    const Reply crashed = ask(0);
    EXPECT_EQ(crashed.ending, Ending::kCrashed);
    EXPECT_THAT(crashed.message, HasSubstr("SEGV"));
    EXPECT_EQ(ask(0).ending, Ending::kResult);  // another worker was started
}

TEST_F(AgentsTest, ADeadlineIsKeptOnTheNode) {
    open();
    AgentThread agent(question("node1", "hang"), clock_);
    gather(1);
    ASSERT_TRUE(coordinator_->set_members({"node1/cpu"}).ok());
    const Reply reply = ask(0, Seconds{0.3});
    EXPECT_EQ(reply.ending, Ending::kTimedOut);
    EXPECT_EQ(node("node1").state, Node::State::kJoined);
}

TEST_F(AgentsTest, WorkersHereAndThereAreOneCrew) {
    open();
    AgentThread agent(question("node1"), clock_);
    gather(1);
    ASSERT_TRUE(coordinator_->set_members({"node1/cpu"}).ok());
    auto local =
        std::make_unique<device::Pool>(clock_, question("here").workers, device::WorkerLimits{});
    Fleet fleet(std::move(coordinator_), std::move(local), {false, true});
    ASSERT_EQ(fleet.size(), 2u);
    for (const std::size_t member : {0u, 1u}) {
        const auto reply =
            device::call(fleet, member, Order{"replay", {}, Seconds{60.0}}, [] { return false; });
        ASSERT_TRUE(reply.ok());
        EXPECT_EQ(reply->ending, Ending::kResult) << reply->message;
    }
}

TEST_F(AgentsTest, WithoutTheKeyNothingIsSaid) {
    open();
    auto wrong = question("thief");
    wrong.key_path = folder_ + "/wrong";
    wrong.wait = Seconds{1.5};
    ASSERT_TRUE(write_agent_key(make_campaign_key()->agent, wrong.key_path).ok());
    AgentThread thief(wrong, clock_);
    gather(1, Seconds{2.5});
    EXPECT_EQ(node("absent-1").state, Node::State::kAbsent);
    EXPECT_THAT(coordinator_->turned_away(), testing::Contains(HasSubstr("not this campaign's")));
    const AgentEnd end = thief.end();
    EXPECT_EQ(end.kind, AgentEnd::Kind::kNotTakenIn);
    EXPECT_THAT(end.message, HasSubstr("of another campaign"));
}

// The coordinator's public key alone is not enough: the agents' own pair is asked for too.
TEST_F(AgentsTest, AStrangersKeyIsTurnedAwayAtTheDoor) {
    open();
    auto strange = make_campaign_key()->agent;
    strange.coordinator_public = key_.agent.coordinator_public;
    auto link = Link::open(endpoint_, strange);
    ASSERT_TRUE(link.ok());
    bool refused = false;
    for (int turn = 0; turn < 300 && !refused; ++turn) {
        (*link)->wait(Seconds{0.05}, {});
        static_cast<void>(coordinator_->take());
        for (const auto news : (*link)->news()) {
            EXPECT_NE(news, Link::News::kConnected);
            refused = refused || news == Link::News::kRefused;
        }
    }
    EXPECT_TRUE(refused);
    EXPECT_THAT(coordinator_->turned_away(), testing::Contains(HasSubstr("127.0.0.1")));
}

TEST_F(AgentsTest, AnotherVersionIsRefusedAndNamed) {
    open();
    auto old = question("node1");
    old.hello.version = "0.9";
    AgentThread agent(old, clock_);
    gather(1);
    EXPECT_EQ(node("node1").state, Node::State::kRefused);
    EXPECT_THAT(node("node1").reason, HasSubstr("0.9"));
    EXPECT_EQ(agent.end().kind, AgentEnd::Kind::kRefused);
    ASSERT_TRUE(coordinator_->set_members({"node1/cpu"}).ok());
    const Reply reply = ask(0);
    EXPECT_EQ(reply.ending, Ending::kNotStarted);
    EXPECT_EQ(reply.error_kind, "version");
}

TEST_F(AgentsTest, ANodeThatNeverComesIsNamedWhereItsNameIsKnown) {
    open();
    AgentThread agent(question("node1"), clock_);
    const auto gathered = coordinator_->gather(0, {"node1", "node2"}, Seconds{3.0},
                                               [](std::size_t) { return false; });
    ASSERT_TRUE(gathered.ok());
    EXPECT_EQ(node("node2").state, Node::State::kAbsent);
    ASSERT_TRUE(coordinator_->set_members({"node1/cpu", "node2/cpu"}).ok());
    const Reply reply = ask(1);
    EXPECT_EQ(reply.ending, Ending::kNotStarted);
    EXPECT_EQ(reply.error_kind, "device");
    EXPECT_THAT(reply.message, HasSubstr("node2"));
    EXPECT_THAT(reply.message, HasSubstr("1 of 2"));
    EXPECT_EQ(ask(0).ending, Ending::kResult);
    EXPECT_FALSE(coordinator_->set_members({"node3/cpu"}).ok());
}

TEST_F(AgentsTest, TwoNodesOfOneNameAreNotTakenForOne) {
    open();
    AgentThread first(question("node1"), clock_);
    gather(1);
    auto same = question("node1");
    same.hello.instance = "another process";
    AgentThread second(same, clock_);
    ASSERT_TRUE(coordinator_->set_members({"node1/cpu"}).ok());
    EXPECT_EQ(ask(0).ending, Ending::kResult);
    // Answering it takes the coordinator's attention.
    for (int turn = 0; turn < 20; ++turn) static_cast<void>(coordinator_->poll(Seconds{0.05}));
    const AgentEnd end = second.end();
    EXPECT_EQ(end.kind, AgentEnd::Kind::kRefused);
    EXPECT_THAT(end.message, HasSubstr("--node"));
    EXPECT_EQ(ask(0).ending, Ending::kResult);
}

TEST_F(AgentsTest, ANodeThatLeavesSaysSo) {
    open();
    AgentThread agent(question("node1", "hang"), clock_);
    gather(1);
    ASSERT_TRUE(coordinator_->set_members({"node1/cpu"}).ok());
    coordinator_->ask(0, Order{"replay", {}, Seconds{600.0}});
    agent.stop();
    const Reply reply = reply_from(0);
    EXPECT_EQ(reply.ending, Ending::kCrashed);
    EXPECT_THAT(reply.message, HasSubstr("left"));
    EXPECT_EQ(ask(0).ending, Ending::kNotStarted);
}

TEST_F(AgentsTest, AConnectionThatEndsIsNoticedWithoutPatience) {
    open();
    auto link = joined_liar();
    coordinator_->ask(0, Order{"replay", {}, Seconds{600.0}});
    link.reset();  // as a process that is killed
    const Reply reply = reply_from(0);
    EXPECT_EQ(reply.ending, Ending::kCrashed);
    EXPECT_THAT(reply.message, HasSubstr("connection"));
}

TEST_F(AgentsTest, ASilentNodeIsLostAfterTenSeconds) {
    open();
    auto link = joined_liar();
    coordinator_->ask(0, Order{"replay", {}, Seconds{600.0}});
    static_cast<void>(coordinator_->poll(Seconds{0.0}));
    clock_.advance(Seconds{10.5});
    const Reply reply = reply_from(0);
    EXPECT_EQ(reply.ending, Ending::kCrashed);
    EXPECT_THAT(reply.message, HasSubstr("no sign of life"));
}

TEST_F(AgentsTest, ANodeThatBeatsButNeverAnswersIsExpelled) {
    CoordinatorLimits limits;
    limits.silence = Seconds{1e6};
    open(limits);
    auto link = joined_liar();
    coordinator_->ask(0, Order{"replay", {}, Seconds{5.0}});
    clock_.advance(Seconds{5.0} + limits.slack + Seconds{1.0});
    const Reply reply = reply_from(0);
    EXPECT_EQ(reply.ending, Ending::kCrashed);
    EXPECT_THAT(reply.message, HasSubstr("owes an answer"));
}

TEST_F(AgentsTest, AFloodOfBeatsIsEnded) {
    open();
    auto link = joined_liar();
    coordinator_->ask(0, Order{"replay", {}, Seconds{600.0}});
    Reply reply;
    bool answered = false;
    for (int turn = 0; turn < 100'000 && !answered; ++turn) {
        for (int i = 0; i < 500; ++i) static_cast<void>(link->send(frame(FromAgent{Beat{i}})));
        for (Event& event : coordinator_->take()) {
            reply = std::get<Reply>(std::move(event.what));
            answered = true;
        }
    }
    ASSERT_TRUE(answered);
    EXPECT_EQ(reply.ending, Ending::kCrashed);
    EXPECT_THAT(reply.message, HasSubstr("floods"));
    EXPECT_EQ(node("liar").state, Node::State::kRefused);
}

TEST_F(AgentsTest, AFloodOfProgressIsEnded) {
    CoordinatorLimits limits;
    limits.chatter_bytes_max = 100'000;
    open(limits);
    auto link = joined_liar();
    coordinator_->ask(0, Order{"replay", {}, Seconds{600.0}});
    const std::string text = frame(FromAgent{AgentProgress{1, {0.5, std::string(1000, 'x'), {}}}});
    bool answered = false;
    for (int turn = 0; turn < 10'000 && !answered; ++turn) {
        static_cast<void>(link->send(text));
        for (Event& event : coordinator_->take()) {
            if (!std::holds_alternative<Reply>(event.what)) continue;
            answered = true;
            EXPECT_THAT(std::get<Reply>(event.what).message, HasSubstr("floods"));
        }
    }
    EXPECT_TRUE(answered);
}

TEST_F(AgentsTest, LiesEndTheMembership) {
    const std::vector<std::pair<std::string, std::string>> lies{
        {"garbage", "not JSON"},
        {"another request's answer", frame(FromAgent{AgentReply{99, {}}})},
        {"another request's progress", frame(FromAgent{AgentProgress{99, {}}})},
        {"a second hello", frame(FromAgent{hello_of("liar")})}};
    for (const auto& [name, lie] : lies) {
        SCOPED_TRACE(name);
        open();
        auto link = joined_liar();
        coordinator_->ask(0, Order{"replay", {}, Seconds{600.0}});
        ASSERT_TRUE(link->send(lie));
        const Reply reply = reply_from(0);
        EXPECT_EQ(reply.ending, Ending::kCrashed);
        EXPECT_THAT(reply.message, HasSubstr("broke the protocol"));
        EXPECT_EQ(ask(0).ending, Ending::kNotStarted);
    }
}

TEST_F(AgentsTest, ANodeThatComesBackCanBeAskedAgain) {
    open();
    auto first = std::make_unique<AgentThread>(question("node1"), clock_);
    gather(1);
    ASSERT_TRUE(coordinator_->set_members({"node1/cpu"}).ok());
    EXPECT_EQ(ask(0).ending, Ending::kResult);
    first.reset();
    EXPECT_NE(ask(0).ending, Ending::kResult);
    auto again = question("node1");
    again.hello.instance = "second";
    AgentThread second(again, clock_);
    for (int turn = 0; turn < 300 && node("node1").state != Node::State::kJoined; ++turn) {
        static_cast<void>(coordinator_->poll(Seconds{0.1}));
    }
    EXPECT_EQ(ask(0).ending, Ending::kResult);
}

TEST_F(AgentsTest, AFreshKeyInTheFileIsTakenUp) {
    open();
    const auto early = question("node1");
    ASSERT_TRUE(write_agent_key(make_campaign_key()->agent, early.key_path).ok());
    AgentThread agent(early, clock_);
    const auto renew = [&](std::size_t) {
        // Yesterday's key has been tried once it was turned away.
        if (!coordinator_->turned_away().empty()) {
            EXPECT_TRUE(write_agent_key(key_.agent, early.key_path).ok());
        }
        return false;
    };
    ASSERT_TRUE(coordinator_->gather(1, {}, Seconds{30.0}, renew).ok());
    EXPECT_EQ(node("node1").state, Node::State::kJoined);
}

TEST_F(AgentsTest, MalformedEndpointsAndTakenPortsAreNamed) {
    EXPECT_EQ(Gate::open("nowhere", key_).error().code, ErrorCode::kUsage);
    open();
    const auto taken = Gate::open(endpoint_, key_);
    ASSERT_FALSE(taken.ok());
    EXPECT_THAT(taken.error().text(), HasSubstr(endpoint_));
}

}  // namespace
}  // namespace ascertain::agents
