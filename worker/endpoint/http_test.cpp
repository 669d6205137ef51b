#include "worker/endpoint/http.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace ascertain::endpoint {
namespace {

// A port that nobody listens on: bound, never listened to.
class ClosedPort {
public:
    ClosedPort() : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address);
        auto* plain = reinterpret_cast<sockaddr*>(&address);
        EXPECT_EQ(::bind(descriptor_, plain, size), 0);
        EXPECT_EQ(::getsockname(descriptor_, plain, &size), 0);
        port_ = ntohs(address.sin_port);
    }
    ~ClosedPort() { ::close(descriptor_); }
    [[nodiscard]] std::string address() const {
        return "http://127.0.0.1:" + std::to_string(port_) + "/v1";
    }

private:
    int descriptor_;
    int port_ = 0;
};

TEST(Http, AServerThatIsNotThereIsTriedAgainAndNamed) {
    const ClosedPort port;
    Http http(port.address(), "secret-key", {.attempts = 3, .backoff_s = 0.001});
    const auto answer = http.ask("/models", Json());
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::kDeviceUnavailable);
    EXPECT_THAT(answer.error().message, ::testing::HasSubstr("tried 3 times"));
    EXPECT_THAT(http.ask("/models", Json()).error().message, ::testing::HasSubstr("tried 1 time"));
    EXPECT_EQ(answer.error().where, port.address() + "/models");
    EXPECT_THAT(answer.error().text(), ::testing::Not(::testing::HasSubstr("secret-key")));
}

TEST(Http, TheKeyOfOursComesBeforeTheCommonOne) {
    ::setenv("OPENAI_API_KEY", "common", 1);
    ::unsetenv("ASCERTAIN_API_KEY");
    EXPECT_EQ(key_from_environment(), "common");
    ::setenv("ASCERTAIN_API_KEY", "ours", 1);
    EXPECT_EQ(key_from_environment(), "ours");
    ::unsetenv("ASCERTAIN_API_KEY");
    ::unsetenv("OPENAI_API_KEY");
    EXPECT_EQ(key_from_environment(), "");
}

}  // namespace
}  // namespace ascertain::endpoint
