// Plays one history of a run: healthy, degraded, failed, detected, replaced or shrunk, restarted,
// replayed, until the work is done. Failures of a whole population arrive as one Poisson process
// (the sum of the devices' own), so a history costs what its interruptions cost, not its devices.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "predict/goodput/arrivals.hpp"
#include "predict/goodput/engine.hpp"
#include "predict/goodput/history.hpp"
#include "predict/goodput/run_setup.hpp"
#include "predict/goodput/segment.hpp"
#include "predict/goodput/timeline.hpp"

namespace ascertain::goodput {

// Keeps its memory between histories. One per thread.
class Player {
public:
    // `setup` must have passed validate().
    explicit Player(RunSetup setup);

    // History number `index` under `seed`: a pure function of both and of the setup. Setups that
    // differ in one number meet the same luck, so that differences between them are smooth.
    // Cost: a few events of about 0.1 us per interruption.
    // `snapshots` receives what had been booked after every event.
    [[nodiscard]] History play(std::uint64_t seed, std::uint64_t index, Trace* trace = nullptr,
                               std::vector<Snapshot>* snapshots = nullptr);

private:
    enum class Phase : std::uint8_t {
        kRunning,
        kDetecting,
        kWaiting,  // for a node
        kRestarting,
        kDebugging,
        kMaintenance,
        kOutage,
        kStageChange,
        kOver,
    };
    // What an event means. The first five are the Poisson processes; they and the ends of the
    // present phase are timers of the engine, the rest wait in its heap.
    enum Kind : std::uint32_t {
        kFailure,
        kSlowing,
        kSiteOutage,
        kDefect,
        kLooseFailure,
        kPhaseEnd,
        kStageEnd,
        kTimers,
        kRepaired = kTimers,
        kLooseBack,
        kCorruptionFound,
        kSlowFound,
        kMaintenanceDue,
    };
    struct Streams {
        Streams(std::uint64_t seed, std::uint64_t index);
        Random failure_class, recovery, repair, silent, slow, site, defect, start;
    };

    void begin(std::uint64_t seed, std::uint64_t index, Trace* trace);
    void handle(const Event& event);

    void on_failure();
    void on_loose_failure();
    void on_loose_back();
    void on_slowing();
    void on_slow_found(std::uint32_t which);
    void on_site_outage();
    void on_defect();
    void on_corruption_found(std::uint32_t failure_class);
    void on_maintenance();
    void on_repaired(std::size_t fleet);
    void on_phase_end();
    void on_stage_end();

    void train();                // anew from `position_`, until something happens
    void go_on();                // within a stretch of training, at a new pace
    void account_training();     // moves `position_` and `durable_` to now
    // An unplanned stop of training: rolls back. Until the next one, what is lost is lost to
    // `cause`.
    void stop(bool persistent, std::size_t cause);
    [[nodiscard]] std::size_t index_of(Cause cause) const {
        return setup_.failure.classes.size() + static_cast<std::size_t>(cause);
    }
    Ticks stop_planned();        // a planned one: a checkpoint first, whose stall it returns
    void roll_back(Ticks target);
    void enter(Phase phase, Ticks duration);
    void leave_phase();  // books the time since the phase began
    void take_node_away(double repair_s);
    [[nodiscard]] std::size_t fleet() const { return setup_.stages[stage_].fleet; }
    void staff(Ticks stall);  // spares in, or shrink, or wait; then restart
    void update_rates();
    void note(Moment moment, std::int32_t detail = -1);
    void book(Share share, Ticks ticks) { booked_[static_cast<std::size_t>(share)] += ticks; }
    void book_lost(Share share, Ticks ticks) {
        book(share, ticks);
        lost_[cause_] += ticks;
    }

    [[nodiscard]] bool is_hopeless(Ticks horizon) const;
    [[nodiscard]] double infant_factor() const;
    [[nodiscard]] std::size_t draw_class();
    [[nodiscard]] bool strike_lemon();
    [[nodiscard]] Ticks recovery_ticks(double mean_s);
    [[nodiscard]] double slowest_ratio() const;
    [[nodiscard]] Ticks persistent_position() const;
    [[nodiscard]] bool running() const { return phase_ == Phase::kRunning; }

    RunSetup setup_;
    std::vector<Ticks> stage_end_;  // on the axis of work of the whole run
    std::vector<double> cumulative_share_;
    Ticks interval_ = 0;
    double nodes_ = 1.0;
    std::int64_t replicas_ = 0;

    Engine engine_{kTimers};
    std::optional<Streams> streams_;
    std::vector<Arrivals> arrivals_;
    Trace* trace_ = nullptr;
    History history_;
    std::array<Ticks, kShares> booked_{};
    std::vector<Ticks> lost_;  // by cause
    std::size_t cause_ = 0;    // of the present trouble

    Phase phase_ = Phase::kRunning;
    Ticks phase_since_ = 0;
    Pace pace_;
    double shrink_factor_ = 1.0;   // steps take so much longer in the present shape
    double missing_factor_ = 1.0;  // and with loose devices away
    Ticks position_ = 0;           // work done and kept so far
    Ticks durable_ = 0;            // work that the last checkpoint holds
    std::size_t stage_ = 0;
    std::optional<Ticks> corrupted_at_;
    std::array<std::int64_t, 2> spares_{};     // of each fleet
    std::array<std::int64_t, 2> missing_{};    // nodes that the run lacks there
    std::int64_t missing_in_shape_ = 0;        // and those the present shape does without
    std::vector<std::int64_t> lemon_strikes_;  // of each lemon still there
    double infant_bound_ = 1.0;
    std::int64_t defects_left_ = 0;
    std::int64_t loose_away_ = 0;
    struct Slow {
        std::uint32_t id;
        double loss_ratio;
    };
    std::vector<Slow> slow_;
    std::uint32_t slow_ids_ = 0;
};

}  // namespace ascertain::goodput
