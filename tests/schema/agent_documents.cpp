// One of each message between coordinator and agent, a line each, for the schema test.
#include <cstdio>
#include <string>
#include <vector>

#include "measure/agents/message.hpp"

int main() {
    namespace agents = ascertain::agents;
    namespace device = ascertain::device;
    using ascertain::Json;
    using ascertain::Seconds;
    agents::AgentHello hello;
    hello.version = "0.1.0";
    hello.node = "node-1";
    hello.devices = {"cuda:0"};
    device::Reply lost;
    lost.ending = device::Ending::kTimedOut;
    lost.message = "no answer within 3 s";
    device::Reply answered;
    answered.ending = device::Ending::kResult;
    answered.result = {{"observation", Json::array()}};
    const std::vector<std::string> frames{
        frame(agents::FromAgent{hello}),
        frame(agents::FromAgent{agents::Beat{3}}),
        frame(agents::FromAgent{agents::AgentProgress{1, {0.5, "half", {}}}}),
        frame(agents::FromAgent{agents::AgentReply{1, lost}}),
        frame(agents::FromAgent{agents::AgentReply{2, answered}}),
        frame(agents::FromAgent{agents::Leaving{"told to"}}),
        frame(agents::FromCoordinator{agents::Welcome{}}),
        frame(agents::FromCoordinator{agents::NotWelcome{"version", "other"}}),
        frame(agents::FromCoordinator{
            agents::AgentAsk{1, "cuda:0", 2, {"replay", {{"seed", 1}}, Seconds{20.0}}}}),
        frame(agents::FromCoordinator{agents::KillAll{}}),
        frame(agents::FromCoordinator{agents::Stop{}})};
    for (const std::string& one : frames) std::puts(one.c_str());
    return 0;
}
