// The pool against workers that misbehave on demand (tests/selftest). Deadlines run on a clock that
// the tests move, so nothing here waits for one.
#include "measure/device/pool.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>

namespace ascertain::device {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class MovedClock final : public Clock {
public:
    [[nodiscard]] Seconds now() const override { return now_; }
    void advance(Seconds time) { now_ += time; }

private:
    Seconds now_{1000.0};
};

class PoolTest : public testing::Test {
protected:
    void SetUp() override {
        folder_ = testing::TempDir() + "ascertain_pool_" + std::to_string(getpid());
        std::filesystem::create_directories(folder_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    LaunchSpec spec(const std::string& behaviour, const std::string& device = "cpu") const {
        return {.executable = ASCERTAIN_SELFTEST_WORKER,
                .arguments = {"--behaviour", behaviour, "--marker", folder_ + "/marker"},
                .device = device,
                .environment = {},
                .directory = folder_,
                .stderr_path = folder_ + "/stderr." + device,
                .threads = 1};
    }
    Pool pool_of(const std::string& behaviour) const {
        return Pool(clock_, {spec(behaviour)}, limits_);
    }

    // The reply to one request. A worker needs real time to do its part; the bound only ends a test
    // that would hang.
    static Reply reply_from(Pool& pool, std::size_t member) {
        for (int turn = 0; turn < 600; ++turn) {
            for (Event& event : pool.poll(Seconds{0.1})) {
                if (event.member == member && std::holds_alternative<Reply>(event.what)) {
                    return std::get<Reply>(std::move(event.what));
                }
            }
        }
        ADD_FAILURE() << "no reply";
        return {};
    }
    static Reply ask(Pool& pool, std::size_t member = 0) {
        pool.ask(member, {"describe", Json{{"x", 1}}, Seconds{20.0}});
        return reply_from(pool, member);
    }
    // The reply when the clock moves on by `step` after every quiet moment.
    Reply reply_as_time_passes(Pool& pool, Seconds step) {
        for (int turn = 0; turn < 600; ++turn) {
            for (Event& event : pool.poll(Seconds{0.02})) {
                if (std::holds_alternative<Reply>(event.what)) {
                    return std::get<Reply>(std::move(event.what));
                }
            }
            clock_.advance(step);
        }
        ADD_FAILURE() << "no reply";
        return {};
    }

    MovedClock clock_;
    WorkerLimits limits_;
    std::string folder_;
};

std::set<int> open_descriptors() {
    std::set<int> numbers;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        numbers.insert(std::stoi(entry.path().filename()));
    }
    // The one that listed the folder is closed again.
    std::erase_if(numbers, [](int number) { return fcntl(number, F_GETFD) < 0; });
    return numbers;
}

bool has_children() {
    return waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD;
}

TEST_F(PoolTest, AHealthyWorkerAnswersEveryRequest) {
    Pool pool = pool_of("healthy");
    for (int i = 0; i < 3; ++i) {
        const Reply reply = ask(pool);
        EXPECT_EQ(reply.ending, Ending::kResult);
        EXPECT_EQ(reply.result["echo"], (Json{{"x", 1}}));
        EXPECT_EQ(reply.result["request"], "describe");
    }
}

TEST_F(PoolTest, ProgressComesBeforeTheReply) {
    Pool pool = pool_of("progress");
    pool.ask(0, {"train", {}, Seconds{20.0}});
    std::vector<double> shares;
    while (true) {
        for (const Event& event : pool.poll(Seconds{1.0})) {
            if (const auto* progress = std::get_if<Progress>(&event.what)) {
                shares.push_back(progress->share);
                EXPECT_EQ(progress->data["part"], static_cast<int>(shares.size()));
            } else {
                EXPECT_EQ(std::get<Reply>(event.what).ending, Ending::kResult);
                EXPECT_EQ(shares.size(), 3u);
                return;
            }
        }
    }
}

TEST_F(PoolTest, AnErrorIsAnAnswerAndTheWorkerLivesOn) {
    Pool pool = pool_of("error");
    for (int i = 0; i < 2; ++i) {
        const Reply reply = ask(pool);
        EXPECT_EQ(reply.ending, Ending::kError);
        EXPECT_EQ(reply.error_kind, "unsupported");
        EXPECT_EQ(reply.message, "not here");
    }
}

struct Death {
    const char* behaviour;
    Ending ending;
    const char* says;
};
void PrintTo(const Death& death, std::ostream* out) {
    *out << death.behaviour;
}

class DeathTest : public PoolTest, public testing::WithParamInterface<Death> {};

TEST_P(DeathTest, EndsOneRequestAndIsToldApart) {
    Pool pool = pool_of(GetParam().behaviour);
    const Reply reply = ask(pool);
    EXPECT_EQ(reply.ending, GetParam().ending);
    EXPECT_THAT(reply.message, HasSubstr(GetParam().says));
    // The next request gets a worker of its own and ends in the same way.
    EXPECT_EQ(ask(pool).ending, GetParam().ending);
}

INSTANTIATE_TEST_SUITE_P(
    Each, DeathTest,
    testing::Values(
        Death{"crash", Ending::kCrashed, "killed by signal 11 (SIGSEGV) before it answered"},
        Death{"exit_early", Ending::kCrashed, "exited with code 0 before it answered"},
        Death{"orphan", Ending::kCrashed, "killed by signal 9"},
        Death{"flood", Ending::kCrashed, "a line longer than"},
        Death{"garbage", Ending::kCrashed, "broke the protocol"},
        Death{"not_an_object", Ending::kCrashed, "result is no object"},
        Death{"wrong_id", Ending::kCrashed, "an answer to request 2, which is not in progress"},
        Death{"second_answer", Ending::kCrashed, "a second answer to request 1"},
        Death{"progress_wrong_id", Ending::kCrashed, "progress for request 2"},
        Death{"other_version", Ending::kNotStarted, "speaks protocol 2, this program 1"},
        Death{"other_device", Ending::kNotStarted, "hello for \"moon:0\""},
        Death{"refuse", Ending::kNotStarted, "refused (device): no such device"},
        Death{"exit_at_start", Ending::kNotStarted, "exited with code 9 before it said hello"},
        Death{"crash_at_start", Ending::kNotStarted, "SIGABRT) before it said hello"}),
    [](const auto& instance) { return std::string(instance.param.behaviour); });

TEST_F(PoolTest, ARefusalKeepsItsKind) {
    Pool refused = pool_of("refuse");
    EXPECT_EQ(ask(refused).error_kind, "device");
    Pool other = pool_of("other_version");
    EXPECT_EQ(ask(other).error_kind, "version");
}

TEST_F(PoolTest, EndlessProgressIsAFlood) {
    limits_.chatter_bytes_max = 100'000;
    Pool pool = pool_of("chatter");
    const Reply reply = ask(pool);
    EXPECT_EQ(reply.ending, Ending::kCrashed);
    EXPECT_THAT(reply.message, HasSubstr("more than 100000 bytes of progress"));
}

TEST_F(PoolTest, EndlessPrintingIsAFlood) {
    limits_.stderr_bytes_max = 100'000;
    Pool pool = pool_of("print_flood");
    const Reply reply = ask(pool);
    EXPECT_EQ(reply.ending, Ending::kCrashed);
    EXPECT_THAT(reply.message, HasSubstr("more than 100000 bytes printed"));
    EXPECT_LE(reply.stderr_text.size(), 64u << 10);
}

TEST_F(PoolTest, AProgramThatIsNotThereIsNamed) {
    LaunchSpec missing = spec("healthy");
    missing.executable = "/nowhere/ascertain-worker";
    Pool pool(clock_, {missing}, limits_);
    const Reply reply = ask(pool);
    EXPECT_EQ(reply.ending, Ending::kNotStarted);
    EXPECT_EQ(reply.error_kind, "start");
    EXPECT_THAT(reply.message, HasSubstr("/nowhere/ascertain-worker"));
    EXPECT_THAT(reply.message, HasSubstr("No such file"));
}

TEST_F(PoolTest, AWorkerThatNeverSaysHelloIsGivenUpAtItsStartDeadline) {
    Pool pool = pool_of("silent_start");
    pool.ask(0, {"describe", {}, Seconds{20.0}});
    const Reply reply = reply_as_time_passes(pool, Seconds{50.0});
    EXPECT_EQ(reply.ending, Ending::kNotStarted);
    EXPECT_EQ(reply.error_kind, "start");
    EXPECT_THAT(reply.message, HasSubstr("did not say hello within 2 min"));
}

TEST_F(PoolTest, AHangEndsAtTheDeadlineThoughItsHeartBeats) {
    Pool pool = pool_of("hang");
    pool.ask(0, {"replay", {}, Seconds{20.0}});
    const Reply reply = reply_as_time_passes(pool, Seconds{5.0});
    EXPECT_EQ(reply.ending, Ending::kTimedOut);
    EXPECT_THAT(reply.message, HasSubstr("no answer within 20"));
    EXPECT_GT(reply.duration.count, 20.0);
}

TEST_F(PoolTest, SilenceEndsARequestLongBeforeItsDeadline) {
    Pool pool = pool_of("hang_silent");
    pool.ask(0, {"replay", {}, Seconds{3600.0}});
    const Reply reply = reply_as_time_passes(pool, Seconds{4.0});
    EXPECT_EQ(reply.ending, Ending::kTimedOut);
    EXPECT_THAT(reply.message, HasSubstr("no sign of life for 10"));
    EXPECT_LT(reply.duration.count, 3600.0);
}

TEST_F(PoolTest, AWorkerThatIgnoresSigtermIsKilledAfterTheGrace) {
    Pool pool = pool_of("stubborn");
    pool.ask(0, {"replay", {}, Seconds{20.0}});
    const Reply reply = reply_as_time_passes(pool, Seconds{1.0});
    EXPECT_EQ(reply.ending, Ending::kTimedOut);
    // 10 s of silence until SIGTERM, then 2 s until SIGKILL.
    EXPECT_GT(reply.duration.count, 12.0);
    EXPECT_FALSE(has_children());
}

TEST_F(PoolTest, AWorkerThatClosesItsSocketButLivesOnIsKilled) {
    Pool pool = pool_of("close_socket");
    pool.ask(0, {"replay", {}, Seconds{20.0}});
    const Reply reply = reply_as_time_passes(pool, Seconds{1.0});
    EXPECT_EQ(reply.ending, Ending::kCrashed);
    EXPECT_THAT(reply.message, HasSubstr("closed its socket"));
    EXPECT_FALSE(has_children());
}

TEST_F(PoolTest, ADeathBetweenRequestsIsOwedToTheNextOne) {
    Pool pool = pool_of("die_idle");
    EXPECT_EQ(ask(pool).ending, Ending::kResult);
    // Asked at once or after its death: the second request cannot be answered by this worker.
    const Reply reply = ask(pool);
    EXPECT_EQ(reply.ending, Ending::kCrashed);
    EXPECT_THAT(reply.message, HasSubstr("exited with code 5"));
    EXPECT_EQ(ask(pool).ending, Ending::kResult);
}

TEST_F(PoolTest, AfterACrashTheNextRequestGetsANewWorker) {
    Pool pool = pool_of("crash_once");
    EXPECT_EQ(ask(pool).ending, Ending::kCrashed);
    EXPECT_EQ(ask(pool).ending, Ending::kResult);
}

TEST_F(PoolTest, OneBadWorkerDoesNotDisturbItsNeighbours) {
    Pool pool(clock_, {spec("crash", "simulated:0"), spec("healthy", "simulated:1")}, limits_);
    for (std::size_t member : {0u, 1u}) pool.ask(member, {"describe", {}, Seconds{20.0}});
    std::vector<Ending> endings(2, Ending::kNotStarted);
    for (int seen = 0; seen < 2;) {
        for (const Event& event : pool.poll(Seconds{1.0})) {
            endings[event.member] = std::get<Reply>(event.what).ending;
            ++seen;
        }
    }
    EXPECT_EQ(endings[0], Ending::kCrashed);
    EXPECT_EQ(endings[1], Ending::kResult);
}

TEST_F(PoolTest, WhatALibraryPrintsIsKeptApartFromTheProtocol) {
    Pool pool = pool_of("leak");
    const Reply reply = ask(pool);
    EXPECT_EQ(reply.ending, Ending::kResult);
    EXPECT_FALSE(reply.result.contains("from"));
    std::ifstream file(folder_ + "/stderr.cpu");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_THAT(text, HasSubstr("a library says hello"));
    EXPECT_THAT(text, HasSubstr("standard output"));
}

TEST_F(PoolTest, TheWorkerSeesNoDescriptorOfOurs) {
    // Without close-on-exec, as a careless library would open it.
    const int leaked = open("/dev/null", O_RDONLY);  // NOLINT(android-cloexec-open)
    ASSERT_GE(leaked, 0);
    Pool pool = pool_of("descriptors");
    const Reply reply = ask(pool);
    ::close(leaked);
    ASSERT_EQ(reply.ending, Ending::kResult);
    // Standard input, output and error, the socket, and the one that lists the folder.
    EXPECT_EQ(reply.result["descriptors"], (Json{0, 1, 2, 3, 4}));
}

TEST_F(PoolTest, LeavesNoDescriptorAndNoProcessBehind) {
    const std::set<int> before = open_descriptors();
    for (const char* behaviour :
         {"healthy", "crash", "garbage", "refuse", "exit_early", "orphan"}) {
        Pool pool = pool_of(behaviour);
        for (int i = 0; i < 3; ++i) static_cast<void>(ask(pool));
    }
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_FALSE(has_children());
}

TEST_F(PoolTest, KillAllEndsRequestsInProgressWithoutAReply) {
    Pool pool = pool_of("stubborn");
    pool.ask(0, {"replay", {}, Seconds{3600.0}});
    for (int i = 0; i < 20; ++i) static_cast<void>(pool.poll(Seconds{0.01}));
    pool.kill_all();
    EXPECT_FALSE(has_children());
    EXPECT_TRUE(pool.idle(0));
    EXPECT_THAT(pool.poll(Seconds{0.0}), IsEmpty());
}

TEST_F(PoolTest, CloseLetsAWorkerExitByItself) {
    Pool pool = pool_of("healthy");
    EXPECT_EQ(ask(pool).ending, Ending::kResult);
    pool.close(Seconds{5.0});
    EXPECT_FALSE(has_children());
    EXPECT_EQ(ask(pool).ending, Ending::kResult);  // a request after it starts a worker again
}

TEST_F(PoolTest, ACallThatIsStoppedIsInterrupted) {
    Pool pool = pool_of("hang");
    int asked = 0;
    const auto reply = call(pool, 0, {"replay", {}, Seconds{3600.0}}, [&] { return ++asked > 3; });
    ASSERT_FALSE(reply.ok());
    EXPECT_EQ(reply.error().code, ErrorCode::kInterrupted);
    EXPECT_FALSE(has_children());
}

TEST_F(PoolTest, TheEnvironmentIsWhatTheProtocolPromises) {
    LaunchSpec shell = spec("healthy");
    shell.executable = "sh";  // found in PATH
    shell.arguments = {
        "-c", "echo \"$OMP_WAIT_POLICY $OMP_NUM_THREADS $EXTRA $ASCERTAIN_WORKER_FD $PWD\""};
    shell.environment = {{"EXTRA", "more"}};
    shell.threads = 2;
    Pool pool(clock_, {shell}, limits_);
    const Reply reply = ask(pool);
    EXPECT_EQ(reply.ending, Ending::kNotStarted);
    EXPECT_THAT(reply.stderr_text, HasSubstr("passive 2 more 3 " + folder_));
}

}  // namespace
}  // namespace ascertain::device
