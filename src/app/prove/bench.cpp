#include "app/prove/bench.hpp"

#include <fmt/format.h>
#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp is POSIX

#include <atomic>
#include <filesystem>
#include <thread>

namespace ascertain::app {
namespace fs = std::filesystem;

Result<const Baseline*> Baselines::of(checks::Profile profile, ProofSetting setting) {
    const std::lock_guard lock(mutex_);
    auto& known = known_[{profile, setting}];
    if (!known) {
        auto measured = measure(profile, setting);
        if (!measured) return measured.error();
        known = std::make_unique<const Baseline>(*std::move(measured));
    }
    return known.get();
}

Result<Baseline> Baselines::measure(checks::Profile profile, ProofSetting setting) const {
    const device::SteadyClock clock;
    Baseline baseline;
    {
        ProofChips chips(clock, bench_.home, chips_of(setting), {}, bench_.answers,
                         baseline.profile.usual);
        auto made = make_profile(bench_.home, chips, profile, setting, seed_, bench_.stopped);
        if (!made) return made.error();
        baseline.profile = *std::move(made);
    }
    const auto healthy = expose(bench_, baseline.profile, {}, {seed_, false, {}});
    if (!healthy) return healthy.error();
    if (healthy->interrupted) return Error{ErrorCode::kInterrupted, "interrupted", {}};
    baseline.profile.usual = healthy->taken;
    for (const auto& check : healthy->checks) {
        if (check.status == judge::Status::kPassed) {
            baseline.creditable.insert(check.id);
        } else if (check.status != judge::Status::kSkipped) {
            baseline.not_creditable.push_back(fmt::format("{}: {}", check.id, check.reason));
        }
    }
    return baseline;
}

Result<std::unique_ptr<ScratchFolder>> ScratchFolder::make() {
    std::error_code failed;
    std::string path = (fs::temp_directory_path(failed) / "ascertain-proof-XXXXXX").string();
    if (failed || ::mkdtemp(path.data()) == nullptr) {
        return Error{ErrorCode::kEnvironment, "no temporary folder; set TMPDIR to a writable one",
                     path};
    }
    return std::make_unique<ScratchFolder>(std::move(path));
}

ScratchFolder::~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

Result<void> in_parallel(std::size_t count, std::size_t threads,
                         const std::function<Result<void>(std::size_t)>& job) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::optional<Error> first;
    const auto work = [&] {
        while (true) {
            const std::size_t index = next++;
            if (index >= count) return;
            const auto done = job(index);
            if (done) continue;
            const std::lock_guard lock(mutex);
            if (!first) first = done.error();
            next = count;
        }
    };
    {
        std::vector<std::jthread> workers;
        for (std::size_t i = 0; i < std::min(threads, count); ++i) workers.emplace_back(work);
    }
    return first ? Result<void>(*first) : Result<void>();
}

}  // namespace ascertain::app
