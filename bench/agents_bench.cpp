// The control plane: so many agents on this machine join over TCP with CURVE keys, each is asked
// once and its worker started for it. Agents are threads, their workers real processes that answer
// at once (tests/selftest).
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "measure/agents/agent.hpp"
#include "measure/agents/coordinator.hpp"

namespace {

using namespace ascertain;

agents::AgentQuestion agent_number(int number, const std::string& endpoint,
                                   const std::string& key_path) {
    agents::AgentQuestion question;
    question.endpoint = endpoint;
    question.key_path = key_path;
    question.hello.version = "bench";
    question.hello.node = fmt::format("node{:03d}", number);
    question.hello.instance = question.hello.node;
    question.hello.devices = {"cpu"};
    device::LaunchSpec spec;
    spec.executable = ASCERTAIN_SELFTEST_WORKER;
    spec.arguments = {"--behaviour", "healthy"};
    spec.device = "cpu";
    question.workers = {spec};
    return question;
}

bool ask_all(agents::Coordinator& coordinator) {
    for (std::size_t member = 0; member < coordinator.size(); ++member) {
        coordinator.ask(member, {"describe", Json::object(), Seconds{20.0}});
    }
    std::size_t answered = 0;
    while (answered < coordinator.size()) {
        for (const auto& event : coordinator.poll(Seconds{0.1})) {
            const auto* reply = std::get_if<device::Reply>(&event.what);
            if (reply == nullptr) continue;
            if (reply->ending != device::Ending::kResult) return false;
            ++answered;
        }
    }
    return true;
}

void join_and_ask(benchmark::State& state) {
    const device::SteadyClock clock;
    const auto count = static_cast<std::size_t>(state.range(0));
    const std::string path = fmt::format("/tmp/ascertain-bench-{}.key", getpid());
    for (auto _ : state) {
        const auto key = agents::make_campaign_key().value();
        auto gate = agents::Gate::open("tcp://127.0.0.1:*", key).value();
        if (!agents::write_agent_key(key.agent, path)) state.SkipWithError("no key");
        const std::string endpoint = gate->endpoint();
        std::vector<std::jthread> threads;
        {
            agents::Coordinator coordinator(clock, std::move(gate), "bench", {});
            for (int number = 0; number < static_cast<int>(count); ++number) {
                threads.emplace_back([&clock, number, endpoint, path] {
                    static_cast<void>(agents::serve(
                        agent_number(number, endpoint, path), clock, [] { return false; },
                        [](const std::string&) {}));
                });
            }
            static_cast<void>(
                coordinator.gather(count, {}, Seconds{60.0}, [](std::size_t) { return false; }));
            std::vector<std::string> devices;
            for (const auto& node : coordinator.nodes()) devices.push_back(node.name + "/cpu");
            static_cast<void>(coordinator.set_members(devices));
            if (!ask_all(coordinator)) state.SkipWithError("an agent did not answer");
            state.PauseTiming();
        }
        threads.clear();
        state.ResumeTiming();
    }
    unlink(path.c_str());
}
BENCHMARK(join_and_ask)->Arg(1)->Arg(64)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
