// What the chips of one proof share, and what it knows of a healthy chip before it arms any.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "app/prove/exposure.hpp"
#include "app/prove/options.hpp"

namespace ascertain::app {

// A profile with the checks that pass on the healthy chip: only their failures count.
struct Baseline {
    ProofProfile profile;
    std::set<std::string> creditable;
    std::vector<std::string> not_creditable;  // "check: why"
};

// Makes the baseline of a profile and setting the first time it is asked for. Safe to call from any
// thread.
class Baselines {
public:
    Baselines(const ProofBench& bench, std::uint64_t seed) : bench_(bench), seed_(seed) {}

    // Errors: those of make_profile and expose; kInterrupted.
    [[nodiscard]] Result<const Baseline*> of(checks::Profile profile, ProofSetting setting);

private:
    [[nodiscard]] Result<Baseline> measure(checks::Profile profile, ProofSetting setting) const;

    const ProofBench& bench_;
    std::uint64_t seed_;
    std::mutex mutex_;
    std::map<std::pair<checks::Profile, ProofSetting>, std::unique_ptr<const Baseline>> known_;
};

// A folder of its own, gone with the object. Error: kEnvironment.
class ScratchFolder {
public:
    [[nodiscard]] static Result<std::unique_ptr<ScratchFolder>> make();
    explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    ~ScratchFolder();

    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

// Calls `job` for 0 … `count` - 1 on `threads` threads; after the first error no new job begins,
// and that error is returned.
[[nodiscard]] Result<void> in_parallel(std::size_t count, std::size_t threads,
                                       const std::function<Result<void>(std::size_t)>& job);

}  // namespace ascertain::app
