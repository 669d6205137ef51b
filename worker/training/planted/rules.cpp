#include "worker/training/planted/rules.hpp"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "base/random.hpp"
#include "base/text.hpp"
#include "defects/counts.hpp"
#include "defects/when.hpp"
#include "worker/host/armed.hpp"
#include "worker/training/planted/offers.hpp"

namespace ascertain::training::planted {
namespace {

constexpr std::uint64_t kDrawStream = 0x706f696e74U;  // apart from the draws of `when`

// A rule at one of its points.
struct Armed {
    std::string point;
    defects::Rule rule;
    std::size_t defect = 0;  // its place in the file
    std::string id;
    std::int64_t matched = 0;
    std::int64_t fired = 0;
    // What was kept for each owner, newest last.
    std::map<const void*, std::deque<at::Tensor>> memory;
};

// A worker serves one request at a time, on one thread.
struct State {
    std::optional<at::Device> device;
    std::vector<Armed> rules;
    defects::Counts counts;
};

State& state() {
    static State all;
    return all;
}

void wait(double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

bool stops(const std::string& kind) {
    return kind == "sleep" || kind == "hang" || kind == "raise" || kind == "crash";
}

void stop(const Armed& armed) {
    const defects::Does& does = armed.rule.does;
    if (does.kind == "sleep") return wait(does.number("for"));
    if (does.kind == "crash") std::abort();
    TORCH_CHECK(does.kind != "raise", does.word("message"), " [", armed.id, "]");
    for (;;) wait(3600.0);
}

bool acts_on(const Armed& armed, std::string_view point, at::Device device) {
    return armed.point == point && state().device == device &&
           (armed.rule.where.device < 0 || armed.rule.where.device == device.index());
}

bool names(const defects::Rule& rule, const std::string& point) {
    return std::ranges::any_of(
        rule.where.names, [&](const std::string& name) { return matches_wildcard(point, name); });
}

// Whether the worker has the point and can have the effect there. What it has not never matches,
// and shows as not exercised.
bool is_offered(const defects::Rule& rule, const std::string& point) {
    const std::vector<std::string> kinds = offered_effects(point);
    return std::ranges::find(kinds, rule.does.kind) != kinds.end();
}

}  // namespace

Result<void> arm(at::Device device) {
    State& all = state();
    all.rules.clear();
    all.counts = defects::Counts();
    const auto read = worker::armed_defects();
    if (!read) return read.error();
    all.device = device;
    for (std::size_t place = 0; place < read->size(); ++place) {
        const defects::Defect& defect = (*read)[place];
        for (const defects::Rule& rule : defect.rules) {
            if (rule.where.place != defects::Place::kPoint) continue;
            for (const std::string& point : offered_points()) {
                if (names(rule, point) && is_offered(rule, point)) {
                    all.rules.push_back({point, rule, place, defect.id, 0, 0, {}});
                }
            }
        }
    }
    if (all.rules.empty()) return {};
    auto opened = worker::armed_counts(*read);
    if (!opened) return opened.error();
    all.counts = *std::move(opened);
    return {};
}

std::vector<Asked> ask(std::string_view point, at::Device device) {
    State& all = state();
    std::vector<Asked> asked;
    for (std::size_t place = 0; place < all.rules.size(); ++place) {
        Armed& one = all.rules[place];
        if (!acts_on(one, point, device)) continue;
        const std::int64_t number = one.matched++;
        all.counts.add(one.defect, 1, 0);
        Random random(one.rule.when.seed ^ kDrawStream, static_cast<std::uint64_t>(number));
        const Asked own{&one.rule, place, defects::acts(one.rule.when, number, one.fired, 0),
                        random.next_u64()};
        if (!stops(one.rule.does.kind)) {
            asked.push_back(own);
        } else if (own.acts) {
            count_fired(own);
            stop(one);
        }
    }
    return asked;
}

std::vector<Asked> armed(std::string_view point, at::Device device) {
    std::vector<Asked> asked;
    for (std::size_t place = 0; place < state().rules.size(); ++place) {
        const Armed& one = state().rules[place];
        if (acts_on(one, point, device)) asked.push_back({&one.rule, place, false, 0});
    }
    return asked;
}

void count_fired(const Asked& asked) {
    Armed& one = state().rules[asked.place];
    ++one.fired;
    state().counts.add(one.defect, 0, 1);
}

at::Tensor kept(const Asked& asked, const void* owner, const at::Tensor& value,
                std::int64_t steps) {
    std::deque<at::Tensor>& values = state().rules[asked.place].memory[owner];
    // Another tensor may come to lie where one lay that is gone.
    if (!values.empty() && values.front().sizes() != value.sizes()) values.clear();
    at::Tensor before;
    if (steps == 0) {
        if (!values.empty()) return values.front();
    } else if (static_cast<std::int64_t>(values.size()) == steps) {
        before = values.front();
        values.pop_front();
    }
    values.push_back(value);
    return before;
}

at::Tensor last_kept(const Asked& asked, const void* owner) {
    const auto& memory = state().rules[asked.place].memory;
    const auto found = memory.find(owner);
    return found == memory.end() || found->second.empty() ? at::Tensor() : found->second.back();
}

}  // namespace ascertain::training::planted
