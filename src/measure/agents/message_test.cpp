#include "measure/agents/message.hpp"

#include <gmock/gmock.h>

namespace ascertain::agents {
namespace {

using testing::HasSubstr;

TEST(AgentMessage, AnAgentsMessagesComeBackAsTheyWere) {
    AgentHello hello;
    hello.version = "1.2.3";
    hello.node = "node-1.rack_2";
    hello.host = "h";
    hello.instance = "i";
    hello.devices = {"cuda:0", "cuda:1"};
    const auto said = parse_from_agent(frame(FromAgent{hello}));
    ASSERT_TRUE(said.ok()) << said.error().text();
    EXPECT_EQ(std::get<AgentHello>(*said).node, hello.node);
    EXPECT_EQ(std::get<AgentHello>(*said).devices, hello.devices);

    device::Reply reply;
    reply.ending = device::Ending::kTimedOut;
    reply.message = "no answer within 3 s";
    reply.stderr_text = "last words \xff";  // what a driver prints need not be UTF-8
    reply.duration = Seconds{3.5};
    const auto answer = parse_from_agent(frame(FromAgent{AgentReply{7, reply}}));
    ASSERT_TRUE(answer.ok()) << answer.error().text();
    const auto& back = std::get<AgentReply>(*answer);
    EXPECT_EQ(back.id, 7);
    EXPECT_EQ(back.reply.ending, device::Ending::kTimedOut);
    EXPECT_EQ(back.reply.message, reply.message);
    EXPECT_EQ(back.reply.duration.count, 3.5);
    EXPECT_THAT(back.reply.stderr_text, HasSubstr("last words"));
}

TEST(AgentMessage, ACoordinatorsMessagesComeBackAsTheyWere) {
    const AgentAsk ask{3, "npu:0", 2, {"replay", {{"seed", 5}}, Seconds{20.0}}};
    const auto said = parse_from_coordinator(frame(FromCoordinator{ask}));
    ASSERT_TRUE(said.ok()) << said.error().text();
    const auto& back = std::get<AgentAsk>(*said);
    EXPECT_EQ(back.device, "npu:0");
    EXPECT_EQ(back.worker, 2);
    EXPECT_EQ(back.order.request, "replay");
    EXPECT_EQ(back.order.params["seed"], 5);
    EXPECT_EQ(back.order.deadline.count, 20.0);
    for (const FromCoordinator& one :
         {FromCoordinator{Welcome{}}, FromCoordinator{KillAll{}}, FromCoordinator{Stop{}}}) {
        EXPECT_EQ(parse_from_coordinator(frame(one))->index(), one.index());
    }
}

TEST(AgentMessage, WhatDoesNotFitIsAnErrorWithAReason) {
    for (const char* text :
         {"", "{", "[]", "{}", R"({"id": 1})", R"({"hello": 1})", R"({"heartbeat": "x"})",
          R"({"hello": {"protocol": 1, "version": "1", "node": "a/b", "host": "h",
              "instance": "i", "devices": []}})",
          R"({"hello": {"protocol": 1, "version": "1", "node": "a", "host": "h",
              "instance": "i", "devices": [3]}})",
          R"({"hello": {"protocol": 1, "version": "1", "node": "a", "host": "h",
              "instance": "i", "devices": ["b/cuda:0"]}})",
          R"({"hello": {"protocol": 1, "version": "1", "node": "a", "host": "h",
              "instance": "i", "devices": ["toaster:0"]}})",
          R"({"id": 1, "reply": {"ending": "fine"}})",
          R"({"id": 1, "reply": {"ending": "result", "error_kind": "", "message": "",
              "stderr": "", "duration_s": 1}})",
          R"({"id": 1.5, "progress": {"share": 0, "text": ""}})", R"({"leaving": {}})"}) {
        const auto said = parse_from_agent(text);
        EXPECT_FALSE(said.ok()) << text;
        if (!said.ok()) {
            EXPECT_EQ(said.error().code, ErrorCode::kBadInput) << text;
        }
    }
    for (const char* text : {"", "[]", "{}", R"({"ask": {}})", R"({"id": 1, "ask": {}})",
                             R"({"refused": {"kind": 1}})"}) {
        EXPECT_FALSE(parse_from_coordinator(text).ok()) << text;
    }
}

TEST(AgentMessage, NodeNamesStayNames) {
    EXPECT_TRUE(good_node_name("gpu-03.rack_7"));
    for (const char* name : {"", "a/b", "a b", "ä", "a:0"}) EXPECT_FALSE(good_node_name(name));
    EXPECT_FALSE(good_node_name(std::string(65, 'a')));
}

}  // namespace
}  // namespace ascertain::agents
