#include "worker/host/serve.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "base/protocol.hpp"
#include "worker/host/channel.hpp"
#include "worker/host/torch.hpp"

namespace ascertain::worker {
namespace {

// A worker served by a thread of this process, and the core's end of its socket.
class Served {
public:
    explicit Served(ServeOptions options) {
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_), 0);
        options.descriptor = ends_[1];
        options.host = "executable";
        channel_.emplace(ends_[0]);
        thread_ = std::thread([this, options] { code_ = serve(options); });
    }
    ~Served() {
        ::shutdown(ends_[0], SHUT_RDWR);
        if (thread_.joinable()) thread_.join();
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    Served(const Served&) = delete;
    Served& operator=(const Served&) = delete;

    // The next message that is no heartbeat.
    Json read() {
        for (;;) {
            const Result<std::optional<Json>> message = channel_->receive();
            if (!message || !*message) return nullptr;
            if (!(*message)->contains("heartbeat")) return **message;
        }
    }
    Json ask(const Json& message) {
        EXPECT_TRUE(channel_->send(message));
        return read();
    }
    void send(const Json& message) { EXPECT_TRUE(channel_->send(message)); }
    int exit_code() {
        thread_.join();
        return code_;
    }

private:
    int ends_[2] = {-1, -1};
    std::optional<Channel> channel_;
    int code_ = -1;
    std::thread thread_;
};

TEST(Serve, HelloComesFirstAndSaysWhatTheCoreMustAgreeTo) {
    Served worker({});
    const Json hello = worker.read().at("hello");
    EXPECT_EQ(hello.at("protocol"), protocol::kVersion);
    EXPECT_EQ(hello.at("torch_built"), minor_of(TORCH_VERSION));
    EXPECT_EQ(hello.at("device"), "cpu");
    EXPECT_EQ(hello.at("pid"), ::getpid());
}

TEST(Serve, AnswersCarryTheIdOfTheirRequest) {
    Served worker({});
    worker.read();
    const Json described =
        worker.ask({{"id", 7}, {"request", "describe"}, {"params", Json::object()}});
    EXPECT_EQ(described.at("id"), 7);
    EXPECT_EQ(described.at("result").at("type"), "cpu");
    EXPECT_GT(described.at("result").at("memory_bytes"), 0);
    const Json unknown = worker.ask({{"id", 9}, {"request", "dance"}, {"params", Json::object()}});
    EXPECT_EQ(unknown.at("id"), 9);
    EXPECT_EQ(unknown.at("error").at("kind"), "invalid_request");
}

TEST(Serve, StopIsAnsweredAndEndsWithZero) {
    Served worker({});
    worker.read();
    EXPECT_EQ(worker.ask({{"id", 1}, {"request", "stop"}, {"params", Json::object()}}).at("result"),
              Json::object());
    EXPECT_EQ(worker.exit_code(), kExitStopped);
}

TEST(Serve, AnIdThatDoesNotRiseIsABreach) {
    Served worker({});
    worker.read();
    worker.ask({{"id", 3}, {"request", "describe"}});
    worker.send({{"id", 3}, {"request", "describe"}});
    EXPECT_EQ(worker.exit_code(), kExitBreach);
}

TEST(Serve, AMissingDeviceIsRefusedInsteadOfHello) {
    for (const char* device : {"cuda:0", "no such device"}) {
        ServeOptions options;
        options.device = device;
        Served worker(options);
        EXPECT_EQ(worker.read().at("refused").at("kind"), "device") << device;
        EXPECT_EQ(worker.exit_code(), kExitRefused);
    }
}

TEST(Serve, AMissingLibraryIsRefusedWithTheLoadersWords) {
    ServeOptions options;
    options.libraries = {"/nowhere/libmissing.so"};
    Served worker(options);
    const Json refused = worker.read().at("refused");
    EXPECT_EQ(refused.at("kind"), "library");
    EXPECT_NE(refused.at("message").get<std::string>().find("libmissing"), std::string::npos);
}

TEST(Serve, TheLoadedTorchIsTheOneThatWasCompiledIn) {
    EXPECT_EQ(minor_of(loaded_torch_version()), minor_of(TORCH_VERSION));
    EXPECT_EQ(minor_of("2.13.0+cpu"), "2.13");
    EXPECT_EQ(minor_of("2.9"), "2.9");
    EXPECT_EQ(minor_of("3"), "3");
}

}  // namespace
}  // namespace ascertain::worker
