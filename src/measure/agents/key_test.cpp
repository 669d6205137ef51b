#include "measure/agents/key.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace ascertain::agents {
namespace {

using testing::HasSubstr;

std::string file_for(const std::string& name) {
    return testing::TempDir() + "ascertain_key_" + std::to_string(getpid()) + "_" + name;
}

TEST(Key, IsReadAsItWasWritten) {
    auto made = make_campaign_key();
    ASSERT_TRUE(made.ok());
    made->agent.join = "tcp://head:5757";
    const std::string path = file_for("round");
    ASSERT_TRUE(write_agent_key(made->agent, path).ok());
    const auto read = read_agent_key(path);
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_EQ(read->coordinator_public, made->agent.coordinator_public);
    EXPECT_EQ(read->agent_public, made->agent.agent_public);
    EXPECT_EQ(read->agent_secret, made->agent.agent_secret);
    EXPECT_EQ(read->join, "tcp://head:5757");
    unlink(path.c_str());
}

TEST(Key, IsFreshEveryTime) {
    EXPECT_NE(make_campaign_key()->agent.agent_secret, make_campaign_key()->agent.agent_secret);
}

TEST(Key, TheFileDoesNotHoldTheCoordinatorsSecret) {
    const auto made = make_campaign_key();
    const std::string path = file_for("secret");
    ASSERT_TRUE(write_agent_key(made->agent, path).ok());
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_THAT(text, HasSubstr(made->agent.agent_secret));
    EXPECT_THAT(text, testing::Not(HasSubstr(made->coordinator_secret)));
    unlink(path.c_str());
}

TEST(Key, BelongsToItsOwnerAlone) {
    const std::string path = file_for("mode");
    ASSERT_TRUE(write_agent_key(make_campaign_key()->agent, path).ok());
    struct stat status = {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    ASSERT_EQ(chmod(path.c_str(), 0640), 0);
    const auto read = read_agent_key(path);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, ErrorCode::kBadInput);
    EXPECT_THAT(read.error().text(), HasSubstr("chmod 600"));
    unlink(path.c_str());
}

TEST(Key, WhatIsNoKeyIsNamed) {
    const std::string path = file_for("bad");
    EXPECT_EQ(read_agent_key(path).error().code, ErrorCode::kEnvironment);
    const auto refuse = [&](const std::string& text) {
        std::ofstream(path) << text;
        chmod(path.c_str(), 0600);
        const auto read = read_agent_key(path);
        EXPECT_FALSE(read.ok()) << text;
        if (!read.ok()) {
            EXPECT_EQ(read.error().code, ErrorCode::kBadInput) << text;
            EXPECT_THAT(read.error().text(), HasSubstr(path));
        }
    };
    refuse("");
    refuse("[]");
    refuse(R"({"schema": "ascertain.agent_key/2"})");
    refuse(R"({"schema": "ascertain.agent_key/1", "coordinator_public": "short",
               "agent_public": "", "agent_secret": ""})");
    unlink(path.c_str());
}

}  // namespace
}  // namespace ascertain::agents
