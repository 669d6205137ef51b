#include "worker/host/channel.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/protocol.hpp"

namespace ascertain::worker {
namespace {

class ChannelTest : public ::testing::Test {
protected:
    void SetUp() override { ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_), 0); }
    void TearDown() override {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    void write(const std::string& text) const {
        ASSERT_EQ(::send(ends_[1], text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    }

    int ends_[2] = {-1, -1};
};

TEST_F(ChannelTest, TwoMessagesInOneWriteAreTwoMessages) {
    write("{\"a\": 1}\n{\"a\": 2}\n");
    Channel channel(ends_[0]);
    EXPECT_EQ((**channel.receive())["a"], 1);
    EXPECT_EQ((**channel.receive())["a"], 2);
}

TEST_F(ChannelTest, AMessageInTwoWritesIsOneMessage) {
    Channel channel(ends_[0]);
    write("{\"a\":");
    std::thread later([&] { write(" 3}\n"); });
    EXPECT_EQ((**channel.receive())["a"], 3);
    later.join();
}

TEST_F(ChannelTest, TheOtherEndClosingIsNoMessageAndNoError) {
    ::shutdown(ends_[1], SHUT_RDWR);
    Channel channel(ends_[0]);
    const Result<std::optional<Json>> message = channel.receive();
    ASSERT_TRUE(message.ok());
    EXPECT_FALSE(message->has_value());
    EXPECT_FALSE(channel.send({{"b", 1}}));
}

TEST_F(ChannelTest, ALineThatIsNoObjectIsRefused) {
    for (const char* line : {"[1, 2]\n", "nonsense\n", "{\"a\": 1, \"a\": 2}\n"}) {
        write(line);
        Channel channel(ends_[0]);
        EXPECT_EQ(channel.receive().error().code, ErrorCode::kBadInput) << line;
    }
}

TEST_F(ChannelTest, ALineWithoutEndIsRefusedAtTheLimit) {
    std::thread flood([this] {
        const std::string block(1 << 20, ' ');
        for (std::size_t sent = 0; sent < protocol::kLineBytesMax + (2u << 20);
             sent += block.size()) {
            if (::send(ends_[1], block.data(), block.size(), MSG_NOSIGNAL) < 0) return;
        }
    });
    Channel channel(ends_[0]);
    EXPECT_EQ(channel.receive().error().code, ErrorCode::kBadInput);
    ::shutdown(ends_[0], SHUT_RDWR);
    flood.join();
}

TEST_F(ChannelTest, WhatIsSentIsOneLineWhateverItHolds) {
    Channel channel(ends_[0]);
    ASSERT_TRUE(channel.send({{"text", "two\nlines and \xff"}}));
    std::string line(256, '\0');
    line.resize(static_cast<std::size_t>(::recv(ends_[1], line.data(), line.size(), 0)));
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    EXPECT_TRUE(parse_json(line, "line").ok());
}

TEST_F(ChannelTest, AMessageBeyondTheLimitDoesNotFit) {
    EXPECT_TRUE(Channel::fits({{"text", "short"}}));
    EXPECT_FALSE(Channel::fits({{"text", std::string(protocol::kLineBytesMax, 'x')}}));
}

}  // namespace
}  // namespace ascertain::worker
