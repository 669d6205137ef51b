// The simulated chips under proof, and the reference that all proofs share.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "app/home.hpp"
#include "measure/device/clock.hpp"
#include "measure/device/pool.hpp"

namespace ascertain::app {

// What the CPU answered, by question. It is the same for every chip, so that a defect does not pay
// for it. Safe to share between threads.
class ReferenceAnswers {
public:
    [[nodiscard]] const Json* find(const std::string& question) const;
    void keep(const std::string& question, Json answer);

private:
    mutable std::mutex mutex_;
    std::map<std::string, std::unique_ptr<const Json>> answers_;
};

// How long the healthy chip took over each kind of request, at most.
using RequestTimes = std::map<std::string, Seconds>;

// What a chip is armed with; empty paths: nothing.
struct Arming {
    std::string defects{};  // defect file
    std::string variant{};  // healthy variant
    std::string counts{};   // file for how often the defect fired
    // Folder for what its workers save: chips shown side by side have the same names.
    std::string temporary{};
};

// The devices "simulated:0" … of a proof with `count` chips.
[[nodiscard]] std::vector<std::string> chip_names(std::size_t count);

// The chips, all armed alike, and after them the reference. Lives on one thread. A request waits
// ten times as long as it took on healthy chips (`usual`), at least ten seconds: a chip that hangs
// shall not cost minutes, and a busy machine shall not look like a hanging chip. Kinds that `usual`
// does not have keep their own deadline.
class ProofChips final : public device::Workers {
public:
    ProofChips(const device::Clock& clock, const Home& home, std::size_t count,
               const Arming& arming, ReferenceAnswers& answers, const RequestTimes& usual);

    [[nodiscard]] std::size_t size() const override { return chips_.size() + 1; }
    [[nodiscard]] std::size_t reference() const { return chips_.size(); }
    [[nodiscard]] bool idle(std::size_t member) const override;
    void ask(std::size_t member, device::Order order) override;
    [[nodiscard]] std::vector<device::Event> poll(Seconds wait) override;
    void kill_all() override;

    // The longest answers so far, by kind of request.
    [[nodiscard]] const RequestTimes& taken() const { return taken_; }

    // One question to the reference, from what is remembered or anew. `stopped` as in Pool::call.
    [[nodiscard]] Result<device::Reply> ask_reference(device::Order order,
                                                      const std::function<bool()>& stopped);

private:
    void remember(const device::Event& event);
    void note_times(const std::vector<device::Event>& events);

    ReferenceAnswers& answers_;
    const RequestTimes& usual_;
    RequestTimes taken_;
    std::vector<std::string> asked_;  // kind of each chip's request in progress
    device::Pool chips_;
    device::Pool reference_;
    std::string question_;                // what the reference is asked
    std::vector<device::Event> at_once_;  // answers that were remembered
    bool remembered_ = false;             // the reference owes an answer of at_once_
};

}  // namespace ascertain::app
