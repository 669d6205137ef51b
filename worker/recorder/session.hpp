// A recording of somebody's own trainer, from start to case file.
#pragma once

#include <ATen/record_function.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "worker/operators/recorder.hpp"

namespace ascertain::recorder {

// Which steps are recorded, counted from 1; a step ends with the optimizer's. The first step is
// passed over by default: in it optimizers make their state and kernels warm up.
struct Steps {
    std::int64_t first = 2;
    std::int64_t last = 2;

    bool operator==(const Steps&) const = default;
};

// "3" or "3:5". Errors: kBadInput.
[[nodiscard]] Result<Steps> steps_from(std::string_view text);

// `path` with "{rank}" replaced by this process's rank as launchers give it (docs/install.md): each
// rank a file of its own. Without it rank 0 alone writes, so that ranks do not overwrite each
// other: nothing on the others. `rank` is null where nobody said.
[[nodiscard]] std::optional<std::string> path_of_rank(std::string_view path, const char* rank);

// Records what the dispatcher does, from construction to write(). One at a time. Every operator's
// time is taken, for which the device is waited for after each: recorded steps are slow.
class Session {
public:
    Session();

    // Ends the recording and writes ascertain.cases/1, whole or not at all. `steps`: how many
    // optimizer steps it holds, where known. Returns the number of cases. Errors: kEnvironment,
    // naming the file; kUnknownValue when nothing was recorded (then nothing is written).
    [[nodiscard]] Result<std::int64_t> write(const std::string& path,
                                             std::optional<std::int64_t> steps);

private:
    std::chrono::steady_clock::time_point start_;
    operators::Recorder recorder_;
};

// Errors: kEnvironment when no file can be made at `path`. Found before hours of training.
[[nodiscard]] Result<void> can_write(const std::string& path);

// Counts optimizer steps, records those wanted, writes the file and says so on standard error.
// Lives until the process ends.
class StepWatch {
public:
    StepWatch(std::string path, Steps steps);
    ~StepWatch();
    StepWatch(const StepWatch&) = delete;
    StepWatch& operator=(const StepWatch&) = delete;

    // The process ends: what was recorded so far is written.
    void finish();

private:
    static void on_optimizer_end(const at::RecordFunction&, at::ObserverContext*);
    void step_ended();
    void write(std::int64_t steps);

    std::string path_;
    Steps steps_;
    at::CallbackHandle handle_{};
    std::mutex mutex_;
    std::int64_t ended_ = 0;  // optimizer steps so far
    std::unique_ptr<Session> session_;
};

}  // namespace ascertain::recorder
