// Device and reference as the runner knows them, with the user's trainer in place of a worker: each
// answers `run_trainer` with one watched run. What was run once is not run again for a control.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "measure/device/clock.hpp"
#include "measure/device/workers.hpp"
#include "measure/trainer/watch.hpp"

namespace ascertain::trainer {

// How one side trains.
struct Side {
    std::string device;   // ASCERTAIN_DEVICE
    std::string command;  // empty: it only has records
    std::string resume_command;
    std::vector<RunReport> recorded;  // in place of a command: replica i is recorded[i]
};

struct TrainerSetup {
    Side device;         // member 0
    Side reference;      // member 1
    std::string folder;  // every run gets one below it, as ASCERTAIN_OUT
    MetricSource source;
    WatchLimits limits;
};

class TrainerWorkers final : public device::Workers {
public:
    // `clock` must outlive it.
    TrainerWorkers(TrainerSetup setup, const device::Clock& clock);

    [[nodiscard]] std::size_t size() const override { return 2; }
    [[nodiscard]] bool idle(std::size_t member) const override { return !jobs_.at(member).asked; }
    void ask(std::size_t member, device::Order order) override;
    [[nodiscard]] std::vector<device::Event> poll(Seconds wait) override;
    void kill_all() override;

private:
    // What a member is at.
    struct Job {
        bool asked = false;
        Json params;
        std::optional<device::Reply> ready;  // answered without a run
        std::unique_ptr<Watch> watch;
        Seconds began;
        Seconds told;
    };

    void start(std::size_t member, Job& job);
    [[nodiscard]] const Side& side(std::size_t member) const {
        return member == 0 ? setup_.device : setup_.reference;
    }
    [[nodiscard]] device::Reply reply_to(std::size_t member, const Json& params,
                                         const RunReport& report);

    TrainerSetup setup_;
    const device::Clock& clock_;
    std::vector<Job> jobs_;
    std::map<std::string, Json> told_;  // results, by what was run; the last one under "recorded"
    int runs_ = 0;
};

// The answer to `run_trainer` that a report stands for (docs/trainer.md).
[[nodiscard]] device::Reply reply_of(const RunReport& report);

// What a tamper makes of a result: {"kind": "nonfinite"} loses the first loss, {"kind": "scale",
// "amount"} multiplies every loss by 1 + amount, {"kind": "scale_resumed", "amount"} those after a
// kill.
[[nodiscard]] Json tampered(const Json& tamper, Json result);

// A recorded curve. Errors: kEnvironment for a file that cannot be read; kBadInput for one without
// a metric.
[[nodiscard]] Result<RunReport> read_recorded(const std::string& path, const MetricSource& source);

}  // namespace ascertain::trainer
