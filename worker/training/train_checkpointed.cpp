// A training run that saves itself, dies where it is told to, and goes on: what the test of
// endurance is made of. The death is a real one, kill -9 of this very process.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "base/observation.hpp"
#include "base/text.hpp"
#include "worker/training/checkpoint.hpp"
#include "worker/training/job.hpp"
#include "worker/training/metric.hpp"
#include "worker/training/requests.hpp"
#include "worker/training/sides.hpp"

namespace ascertain::training {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kStepsMax = 1'000'000;
constexpr std::int64_t kKept = 2;
constexpr std::int64_t kNever = -1;

// What is asked beyond a job.
struct Plan {
    std::string name;
    std::int64_t steps = 0;
    std::int64_t save_every = 0;
    bool resumes = false;
    bool clears = false;                       // removes the run's folder at the end
    std::int64_t dies_at = kNever;             // in the step that begins at this position
    std::int64_t dies_in_checkpoint = kNever;  // in the first save at this position or later
    std::int64_t hangs_at = kNever;
};

Result<bool> flag_at(const Json& params, const char* key) {
    if (!params.contains(key)) return false;
    if (params[key].is_boolean()) return params[key].get<bool>();
    return Error{ErrorCode::kBadInput, "is neither true nor false", fmt::format("params: {}", key)};
}

Result<Plan> plan_from(const Json& params) {
    Plan plan;
    const Result<std::string> name = text_at(params, "run", "params");
    if (!name) return name.error();
    const bool plain =
        !name->empty() &&
        name->find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
    if (!plain) {
        return Error{ErrorCode::kBadInput, "is no name of lower-case letters, digits and dashes",
                     "params: run"};
    }
    plan.name = *name;
    const auto number = [&](const char* key, std::int64_t low, std::optional<std::int64_t> fallback,
                            std::int64_t& into) -> Result<void> {
        const auto read = bounded_integer(params, key, low, kStepsMax, fallback);
        if (!read) return read.error();
        into = *read;
        return {};
    };
    if (auto read = number("steps", 1, std::nullopt, plan.steps); !read) return read.error();
    if (auto read = number("save_every", 1, std::nullopt, plan.save_every); !read) {
        return read.error();
    }
    if (auto read = number("dies_at", 0, kNever, plan.dies_at); !read) return read.error();
    if (auto read = number("dies_in_checkpoint", 0, kNever, plan.dies_in_checkpoint); !read) {
        return read.error();
    }
    if (auto read = number("hangs_at", 0, kNever, plan.hangs_at); !read) return read.error();
    const Result<bool> resumes = flag_at(params, "resume");
    if (!resumes) return resumes.error();
    plan.resumes = *resumes;
    const Result<bool> clears = flag_at(params, "clear");
    if (!clears) return clears.error();
    plan.clears = *clears;
    return plan;
}

// The same for all workers that one core starts one after the other, and no other core's.
std::filesystem::path folder_of(const Plan& plan, at::Device device) {
    std::string place = device.str();
    for (char& letter : place) letter = letter == ':' ? '-' : letter;
    return std::filesystem::temp_directory_path() /
           fmt::format("ascertain-{}-{}-{}", getppid(), place, plan.name);
}

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Of all that the next step depends on: weights, router biases, moments.
std::string state_hash(const Trainer& trainer) {
    std::string hashes;
    const auto add = [&](const at::Tensor& tensor) {
        const at::Tensor host = tensor.to(at::kCPU).contiguous();
        hashes += short_hash({static_cast<const char*>(host.const_data_ptr()), host.nbytes()});
    };
    for (const Parameter& parameter : trainer.model().parameters().all()) add(parameter.value);
    for (const Moments& moments : trainer.optimizer().moments()) {
        add(moments.first);
        add(moments.second);
        add(moments.steps);
    }
    return short_hash(hashes);
}

std::uintmax_t bytes_below(const std::filesystem::path& folder) {
    std::uintmax_t bytes = 0;
    std::error_code failure;
    for (const auto& entry : std::filesystem::directory_iterator(folder, failure)) {
        bytes += entry.is_regular_file() ? entry.file_size() : 0;
    }
    return bytes;
}

[[noreturn]] void die() {
    kill(getpid(), SIGKILL);
    while (true) pause();
}

[[noreturn]] void hang() {
    while (true) std::this_thread::sleep_for(std::chrono::seconds(1));
}

struct Saved {
    double seconds = 0.0;  // of the last one
    std::uintmax_t bytes = 0;
    std::int64_t count = 0;
};

Result<void> save(const Trainer& trainer, const Plan& plan, const std::filesystem::path& run,
                  Saved& saved) {
    const bool dies =
        plan.dies_in_checkpoint != kNever && trainer.position() >= plan.dies_in_checkpoint;
    const Clock::time_point begin = Clock::now();
    const auto folder = checkpoint_folder(run, trainer.position());
    const auto written = save_checkpoint(
        trainer, folder, dies ? std::function<void()>(die) : std::function<void()>());
    if (!written) return written;
    saved.seconds = seconds_since(begin);
    saved.bytes = bytes_below(folder);
    ++saved.count;
    retain_checkpoints(run, kKept);
    return {};
}

}  // namespace

Result<Json> train_checkpointed(worker::Session& session, const Json& params) {
    const Result<Job> job = job_from_json(params);
    if (!job) return job.error();
    const Result<Plan> plan = plan_from(params);
    if (!plan) return plan.error();
    const Side side = device_side(session.device, job->dtype);
    const std::filesystem::path run = folder_of(*plan, session.device);
    std::error_code failure;
    if (!plan->resumes) std::filesystem::remove_all(run, failure);
    std::filesystem::create_directories(run, failure);

    const RepeatableKernels repeatable;
    const ThreadCount threads(side.threads);
    Trainer trainer(job->architecture, job->recipe,
                    {.arithmetic = side.arithmetic, .device = side.device, .seed = job->seed});
    Loaded loaded;
    double load_seconds = 0.0;
    if (plan->resumes) {
        const Clock::time_point begin = Clock::now();
        loaded = load_newest(trainer, run);
        load_seconds = seconds_since(begin);
    }
    const std::int64_t first = trainer.position();
    // The control corrupts the first step after the checkpoint, as a lost moment would.
    const bool corrupts = job->tamper && plan->resumes;
    Saved saved;
    Json losses = Json::array();
    while (trainer.position() < plan->steps) {
        if (trainer.position() == plan->hangs_at) hang();
        if (trainer.position() == plan->dies_at) die();
        const bool corrupted = corrupts && trainer.position() == first;
        const StepReport report = trainer.step(corrupted ? job->hook() : GradientHook());
        losses.push_back(finite_or_null(report.loss));
        if (trainer.position() % plan->save_every == 0) {
            if (const auto written = save(trainer, *plan, run, saved); !written) {
                return written.error();
            }
        }
        session.progress(static_cast<double>(trainer.position()) / static_cast<double>(plan->steps),
                         fmt::format("step {} of {}", trainer.position(), plan->steps), Json());
    }
    Observation observation{metric_of("checkpoints", static_cast<double>(saved.count), "count"),
                            metric_of("checkpoint_save", saved.seconds, "s"),
                            metric_of("checkpoint_load", load_seconds, "s"),
                            metric_of("checkpoint_bytes", static_cast<double>(saved.bytes), "B")};
    if (plan->clears) std::filesystem::remove_all(run, failure);
    Json answer{{"observation", to_json(observation)}, {"first_step", first},
                {"losses", std::move(losses)},         {"state_hash", state_hash(trainer)},
                {"skipped", loaded.skipped},           {"device_side", side.description}};
    if (job->tamper) answer["tampered"] = true;
    return answer;
}

}  // namespace ascertain::training
