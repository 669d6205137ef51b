#include "app/prove/chip.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/device_hosts.hpp"

namespace ascertain::app {
namespace {

// How long one of two pools is listened to while both may speak.
constexpr Seconds kTurn{0.01};

constexpr double kPatience = 10.0;  // times what the healthy chip took
constexpr Seconds kPatienceLeast{10.0};

// Requests of one kind take about as long as one another.
std::string kind_of(const device::Order& order) {
    const auto part = order.params.find("battery");
    const bool named = part != order.params.end() && part->is_string();
    return named ? order.request + " " + part->get<std::string>() : order.request;
}

std::string question_of(const device::Order& order) {
    return order.request + " " + order.params.dump();
}

device::LaunchSpec chip_spec(const Home& home, const std::string& device, std::size_t count,
                             const Arming& arming) {
    // The table of hosts has this device, which a test has read.
    device::LaunchSpec spec = launch_spec(home, device, "", 1).value();
    const auto set = [&](const char* name, const std::string& value) {
        spec.environment.emplace_back(name, value);
    };
    set("ASCERTAIN_DEFECTS", arming.defects);
    set("ASCERTAIN_DEFECTS_COUNTS", arming.counts);
    set("ASCERTAIN_VARIANT", arming.variant);
    if (!arming.temporary.empty()) set("TMPDIR", arming.temporary);
    set("ASCERTAIN_SIMULATED_DEVICES", std::to_string(count));
    return spec;
}

std::vector<device::LaunchSpec> chip_specs(const Home& home, std::size_t count,
                                           const Arming& arming) {
    std::vector<device::LaunchSpec> specs;
    for (const auto& name : chip_names(count)) {
        specs.push_back(chip_spec(home, name, count, arming));
    }
    return specs;
}

}  // namespace

std::vector<std::string> chip_names(std::size_t count) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back(fmt::format("simulated:{}", i));
    return names;
}

const Json* ReferenceAnswers::find(const std::string& question) const {
    const std::lock_guard lock(mutex_);
    const auto found = answers_.find(question);
    return found == answers_.end() ? nullptr : found->second.get();
}

void ReferenceAnswers::keep(const std::string& question, Json answer) {
    const std::lock_guard lock(mutex_);
    // The first answer stays: others may be looking at it.
    answers_.try_emplace(question, std::make_unique<const Json>(std::move(answer)));
}

ProofChips::ProofChips(const device::Clock& clock, const Home& home, std::size_t count,
                       const Arming& arming, ReferenceAnswers& answers, const RequestTimes& usual)
    : answers_(answers),
      usual_(usual),
      asked_(count),
      chips_(clock, chip_specs(home, count, arming), {}),
      reference_(clock, {launch_spec(home, "cpu", "", 1).value()}, {}) {}

bool ProofChips::idle(std::size_t member) const {
    if (member != reference()) return chips_.idle(member);
    return !remembered_ && reference_.idle(0);
}

void ProofChips::ask(std::size_t member, device::Order order) {
    if (member != reference()) {
        asked_[member] = kind_of(order);
        if (const auto usual = usual_.find(asked_[member]); usual != usual_.end()) {
            order.deadline =
                std::min(order.deadline, std::max(kPatienceLeast, usual->second * kPatience));
        }
        return chips_.ask(member, std::move(order));
    }
    question_ = question_of(order);
    const Json* known = answers_.find(question_);
    if (known == nullptr) return reference_.ask(0, std::move(order));
    at_once_.push_back(
        {reference(), device::Reply{.ending = device::Ending::kResult, .result = *known}});
    remembered_ = true;
}

void ProofChips::remember(const device::Event& event) {
    const auto* reply = std::get_if<device::Reply>(&event.what);
    if (reply == nullptr || reply->ending != device::Ending::kResult) return;
    answers_.keep(question_, reply->result);
}

void ProofChips::note_times(const std::vector<device::Event>& events) {
    for (const auto& event : events) {
        const auto* reply = std::get_if<device::Reply>(&event.what);
        if (reply == nullptr) continue;
        Seconds& longest = taken_[asked_[event.member]];
        longest = std::max(longest, reply->duration);
    }
}

std::vector<device::Event> ProofChips::poll(Seconds wait) {
    remembered_ = false;
    std::vector<device::Event> events = std::exchange(at_once_, {});
    if (!events.empty()) return events;
    const device::SteadyClock real;
    const Seconds end = real.now() + wait;
    do {
        const bool both = !reference_.idle(0);
        events = chips_.poll(both ? kTurn : std::max(end - real.now(), Seconds{0.0}));
        note_times(events);
        if (!both) return events;
        for (auto& event : reference_.poll(Seconds{0.0})) {
            event.member = reference();
            remember(event);
            events.push_back(std::move(event));
        }
    } while (events.empty() && real.now() < end);
    return events;
}

void ProofChips::kill_all() {
    chips_.kill_all();
    reference_.kill_all();
    at_once_.clear();
    remembered_ = false;
}

Result<device::Reply> ProofChips::ask_reference(device::Order order,
                                                const std::function<bool()>& stopped) {
    question_ = question_of(order);
    if (const Json* known = answers_.find(question_)) {
        return device::Reply{.ending = device::Ending::kResult, .result = *known};
    }
    auto reply = device::call(reference_, 0, std::move(order), stopped);
    if (reply && reply->ending == device::Ending::kResult) answers_.keep(question_, reply->result);
    return reply;
}

}  // namespace ascertain::app
