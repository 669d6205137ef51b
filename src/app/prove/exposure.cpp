#include "app/prove/exposure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>

#include "app/qualify/conversion.hpp"
#include "decide/evidence/files.hpp"
#include "decide/judge/attempts.hpp"
#include "measure/qualification/runner.hpp"

namespace ascertain::app {
namespace fs = std::filesystem;
namespace {

constexpr Seconds kNoLimit{1e9};
constexpr Seconds kDescribeDeadline{60.0};

// Sums the files that the chip's processes left in `folder`: lines "id matched fired".
Counts read_counts(const std::string& folder) {
    Counts counts;
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(folder, failed)) {
        std::ifstream file(entry.path());
        std::string id;
        std::int64_t matched = 0;
        std::int64_t fired = 0;
        while (file >> id >> matched >> fired) {
            counts.matched += matched;
            counts.fired += fired;
        }
    }
    return counts;
}

// Judges every check anew when one of its attempts ends, and knows when to stop.
class Watch final : public qualification::Observer {
public:
    Watch(const judge::CriteriaSet& criteria, const ExposureQuestion& question,
          std::string counts_folder, const device::Clock& clock)
        : criteria_(criteria),
          question_(question),
          counts_folder_(std::move(counts_folder)),
          clock_(clock),
          began_(clock.now()) {}

    void attempt_began(const qualification::Item& /*item*/, qualification::Role /*role*/,
                       int /*number*/) override {}
    void progressed(const qualification::Item& /*item*/, qualification::Role /*role*/,
                    const device::Progress& /*progress*/) override {}

    Result<void> attempt_ended(const qualification::Item& item,
                               const qualification::Attempt& attempt) override {
        seen_.attempts.push_back(attempt);
        std::vector<evidence::Attempt> own;
        for (const auto& one : seen_.attempts) {
            if (one.check == item.id) own.push_back(to_evidence(one));
        }
        evidence::PlannedCheck planned = to_evidence(item);
        planned.required = false;  // the clean twin is elsewhere, so nothing here is mistrusted
        // A healthy chip answered it: that is the control which a run on real chips has.
        const bool creditable = question_.creditable.contains(item.id);
        auto verdict = judge::judge_attempts(std::move(planned), own, creditable, criteria_);
        std::erase_if(seen_.checks, [&](const auto& check) { return check.id == item.id; });
        const bool fails = is_failure(verdict);
        seen_.checks.push_back(std::move(verdict));
        if (!fails || seen_.caught || !creditable) return {};
        seen_.caught = read_counts(counts_folder_).fired > 0;
        if (seen_.caught) seen_.caught_after = clock_.now() - began_;
        return {};
    }

    [[nodiscard]] bool done() const { return seen_.caught && question_.stop_at_catch; }
    Exposure take() {
        seen_.counts = read_counts(counts_folder_);
        seen_.duration = clock_.now() - began_;
        return std::move(seen_);
    }

private:
    const judge::CriteriaSet& criteria_;
    const ExposureQuestion& question_;
    std::string counts_folder_;
    const device::Clock& clock_;
    Seconds began_;
    Exposure seen_;
};

Result<void> check_arming(ProofChips& chips, const std::function<bool()>& stopped) {
    chips.ask(0, {"describe", Json::object(), kDescribeDeadline});
    while (true) {
        if (stopped()) return Error{ErrorCode::kInterrupted, "interrupted", {}};
        for (const auto& event : chips.poll(Seconds{0.1})) {
            const auto* reply = std::get_if<device::Reply>(&event.what);
            if (reply == nullptr) continue;
            if (reply->ending != device::Ending::kNotStarted) return {};
            const bool refused = reply->error_kind == "library";
            return Error{refused ? ErrorCode::kBadInput : ErrorCode::kEnvironment, reply->message,
                         "simulated:0"};
        }
    }
}

}  // namespace

bool is_failure(const judge::CheckVerdict& check) {
    return check.weight == judge::Weight::kFail;
}

Result<Exposure> expose(const ProofBench& bench, const ProofProfile& profile, Arming arming,
                        const ExposureQuestion& question) {
    const device::SteadyClock clock;
    static std::atomic<int> number{0};
    const std::string folder = fmt::format("{}/exposure-{}", bench.scratch, ++number);
    const std::string counts = folder + "/counts";
    std::error_code failed;
    fs::create_directories(counts, failed);
    arming.counts = counts + "/all";
    arming.temporary = folder + "/temporary";
    fs::create_directories(arming.temporary, failed);
    const std::size_t count = chips_of(profile.setting);
    ProofChips chips(clock, bench.home, count, arming, bench.answers, profile.usual);
    Watch watch(bench.criteria, question, counts, clock);
    if (const auto armed = check_arming(chips, bench.stopped); !armed) {
        if (armed.error().code != ErrorCode::kInterrupted) return armed.error();
        Exposure cut_short = watch.take();
        cut_short.interrupted = true;
        return cut_short;
    }
    qualification::RunQuestion run;
    run.devices = chip_names(count);
    run.reference = chips.reference();
    for (std::size_t i = 0; i < count; ++i) run.group.push_back({i, run.devices[i]});
    run.seed = question.seed;
    run.profile = profile.profile;
    run.time_limit = kNoLimit;
    run.reproduce = "ascertain prove";
    const qualification::World world{
        chips,
        clock,
        watch,
        [&](const checks::Definition&, const std::string& id, const Observation& observation) {
            return to_measure(judge::opinion(bench.criteria, id, observation));
        },
        evidence::utc_now,
        [&] { return bench.stopped() || watch.done(); }};
    const auto summary = qualification::run_plan(profile.plan, run, world);
    if (!summary) return summary.error();
    Exposure exposure = watch.take();
    exposure.taken = chips.taken();
    exposure.interrupted = !summary->complete && !exposure.caught;
    fs::remove_all(folder, failed);
    return exposure;
}

}  // namespace ascertain::app
