#include "predict/goodput/player.hpp"

#include <algorithm>
#include <cmath>

#include "base/assert.hpp"

namespace ascertain::goodput {

Player::Streams::Streams(std::uint64_t seed, std::uint64_t index)
    : failure_class(seed, index * 16 + 5),
      recovery(seed, index * 16 + 6),
      repair(seed, index * 16 + 7),
      silent(seed, index * 16 + 8),
      slow(seed, index * 16 + 9),
      site(seed, index * 16 + 10),
      defect(seed, index * 16 + 11),
      start(seed, index * 16 + 12) {}

Player::Player(RunSetup setup) : setup_(std::move(setup)) {
    Ticks end = 0;
    for (const StageWork& stage : setup_.stages) {
        end += std::max<Ticks>(ticks_from_seconds(stage.work_s), 1);
        stage_end_.push_back(end);
    }
    double share = 0.0;
    for (const FailureClass& one : setup_.failure.classes) {
        cumulative_share_.push_back(share += one.share);
    }
    interval_ = std::max<Ticks>(ticks_from_seconds(checkpoint_interval_s(setup_)), 1);
    nodes_ = std::max(
        1.0, static_cast<double>(setup_.devices) / static_cast<double>(setup_.devices_per_node));
    if (setup_.elastic.nodes_per_replica > 0) {
        replicas_ = setup_.devices / setup_.devices_per_node / setup_.elastic.nodes_per_replica;
    }
}

History Player::play(std::uint64_t seed, std::uint64_t index, Trace* trace,
                     std::vector<Snapshot>* snapshots) {
    const auto snap = [&] {
        if (snapshots != nullptr) snapshots->push_back({engine_.now(), booked_});
    };
    begin(seed, index, trace);
    const Ticks horizon = ticks_from_seconds(setup_.horizon_s);
    Event event;
    while (phase_ != Phase::kOver) {
        const bool enough = history_.events >= setup_.event_limit || is_hopeless(horizon);
        if (enough || !engine_.next(event, horizon)) {
            if (!enough) engine_.advance_to(horizon);
            leave_phase();
            phase_ = Phase::kOver;
            note(Moment::kGivenUp);
            break;
        }
        ++history_.events;
        handle(event);
        snap();
    }
    snap();
    history_.wall_s = seconds_from_ticks(engine_.now());
    for (std::size_t i = stage_; i < stage_end_.size(); ++i) {
        history_.stage_end_s[i] = history_.wall_s;
    }
    history_.progress_ratio =
        static_cast<double>(position_) / static_cast<double>(stage_end_.back());
    for (std::size_t i = 0; i < kShares; ++i) history_.share_s[i] = seconds_from_ticks(booked_[i]);
    for (const Ticks ticks : lost_) history_.lost_s.push_back(seconds_from_ticks(ticks));
    return history_;
}

bool Player::is_hopeless(Ticks horizon) const {
    constexpr std::int64_t kEventsBetweenLooks = 2048;
    constexpr double kLeastPace = 0.2;
    if (!setup_.gives_up_early || history_.events == 0 ||
        history_.events % kEventsBetweenLooks != 0) {
        return false;
    }
    const double at_horizon = static_cast<double>(position_) * static_cast<double>(horizon) /
                              static_cast<double>(engine_.now());
    return at_horizon < kLeastPace * static_cast<double>(stage_end_.back());
}

void Player::begin(std::uint64_t seed, std::uint64_t index, Trace* trace) {
    engine_.reset();
    streams_.emplace(seed, index);
    arrivals_.clear();
    for (std::uint32_t kind = kFailure; kind <= kLooseFailure; ++kind) {
        arrivals_.emplace_back(kind, Random(seed, index * 16 + kind));
    }
    trace_ = trace;
    history_ = {};
    booked_ = {};
    lost_.assign(setup_.failure.classes.size() + kCauses, 0);
    cause_ = index_of(Cause::kPlanned);
    shrink_factor_ = 1.0;
    position_ = durable_ = 0;
    stage_ = 0;
    corrupted_at_.reset();
    spares_ = {setup_.spare_nodes, setup_.second_spare_nodes};
    missing_ = {};
    missing_in_shape_ = 0;
    history_.stage_end_s.assign(stage_end_.size(), 0.0);
    loose_away_ = 0;
    slow_.clear();
    slow_ids_ = 0;
    lemon_strikes_.assign(
        static_cast<std::size_t>(draw_binomial(streams_->start, static_cast<std::int64_t>(nodes_),
                                               setup_.failure.lemon_ratio)),
        0);
    defects_left_ = draw_poisson(streams_->start, setup_.defect.outstanding);
    infant_bound_ = infant_factor();
    if (setup_.maintenance.interval_s > 0.0) {
        engine_.schedule(ticks_from_seconds(setup_.maintenance.interval_s), kMaintenanceDue, 0);
    }
    train();
}

void Player::handle(const Event& event) {
    if (event.kind <= kLooseFailure) arrivals_[event.kind].renew(engine_);
    switch (static_cast<Kind>(event.kind)) {
        case kFailure: on_failure(); break;
        case kSlowing: on_slowing(); break;
        case kSiteOutage: on_site_outage(); break;
        case kDefect: on_defect(); break;
        case kLooseFailure: on_loose_failure(); break;
        case kPhaseEnd: on_phase_end(); break;
        case kStageEnd: on_stage_end(); break;
        case kRepaired: on_repaired(event.token); break;
        case kLooseBack: on_loose_back(); break;
        case kCorruptionFound: on_corruption_found(event.token); break;
        case kSlowFound: on_slow_found(event.token); break;
        case kMaintenanceDue: on_maintenance(); break;
    }
}

// ---- what happens -------------------------------------------------------------------------------

void Player::on_failure() {
    const double factor = infant_factor();
    const bool happens = setup_.failure.infant_multiplier <= 1.0 ||
                         streams_->failure_class.uniform() * infant_bound_ < factor;
    infant_bound_ = factor;
    update_rates();
    if (!happens) return;

    ++history_.failures;
    const std::size_t which = draw_class();
    const FailureClass& failure = setup_.failure.classes[which];
    const bool evicted = strike_lemon();
    if (failure.silent) {
        if (running()) {
            account_training();
            go_on();
        }
        corrupted_at_ = std::min(corrupted_at_.value_or(position_), position_);
        ++history_.corruptions;
        note(Moment::kCorrupted, static_cast<std::int32_t>(which));
        engine_.schedule(
            ticks_from_seconds(failure.silent_detection_s * draw_exponential(streams_->silent)),
            kCorruptionFound, static_cast<std::uint32_t>(which));
        return;
    }
    const bool replaced = streams_->failure_class.uniform() < failure.replaced_ratio || evicted;
    const bool hangs = streams_->failure_class.uniform() < failure.hang_ratio;
    if (replaced) {
        const auto nodes = static_cast<std::int64_t>(std::llround(failure.nodes_lost));
        for (std::int64_t i = 0; i < nodes; ++i) take_node_away(failure.repair_s);
    }
    note(Moment::kFailed, static_cast<std::int32_t>(which));
    const bool down_already =
        phase_ != Phase::kRunning && phase_ != Phase::kRestarting && phase_ != Phase::kStageChange;
    if (down_already) return;  // the sweep after the present trouble finds this one too
    ++history_.interruptions;
    stop(replaced && failure.nodes_lost > 1.0, which);
    enter(Phase::kDetecting,
          recovery_ticks(hangs ? setup_.failure.hang_detection_s : failure.detection_s));
}

void Player::on_loose_failure() {
    const std::int64_t loose = setup_.stages[stage_].loose_devices;
    const FailureClass& failure = setup_.failure.classes[draw_class()];
    ++history_.failures;
    if (running()) account_training();
    loose_away_ = std::min(loose, loose_away_ + setup_.devices_per_node);
    const bool replaced = streams_->failure_class.uniform() < failure.replaced_ratio;
    const Ticks away =
        replaced && spares_[setup_.stages[stage_].loose_fleet] == 0
            ? ticks_from_seconds(failure.repair_s * draw_exponential(streams_->repair))
            : recovery_ticks(setup_.recovery.restart_s + setup_.recovery.swap_s);
    engine_.schedule(away, kLooseBack, 0);
    if (running()) go_on();
}

void Player::on_loose_back() {
    if (running()) account_training();
    loose_away_ = std::max<std::int64_t>(0, loose_away_ - setup_.devices_per_node);
    if (running()) go_on();
}

void Player::on_slowing() {
    if (running()) account_training();
    slow_.push_back(
        {slow_ids_, setup_.straggler.slow_loss_ratio * draw_exponential(streams_->slow)});
    engine_.schedule(
        ticks_from_seconds(setup_.straggler.slow_detection_s * draw_exponential(streams_->slow)),
        kSlowFound, slow_ids_);
    ++slow_ids_;
    note(Moment::kSlowed);
    if (running()) go_on();
}

void Player::on_slow_found(std::uint32_t which) {
    note(Moment::kSlowFound);
    const Ticks stall = running() ? stop_planned() : 0;
    std::erase_if(slow_, [which](const Slow& slow) { return slow.id == which; });
    take_node_away(setup_.straggler.repair_s);
    if (!running()) return;
    cause_ = index_of(Cause::kSlow);
    staff(stall);
}

void Player::on_site_outage() {
    if (phase_ == Phase::kDebugging || phase_ == Phase::kMaintenance || phase_ == Phase::kOutage)
        return;
    note(Moment::kOutage);
    ++history_.interruptions;
    stop(true, index_of(Cause::kSite));
    enter(Phase::kOutage,
          ticks_from_seconds(setup_.failure.site_outage_s * draw_exponential(streams_->site)));
}

void Player::on_defect() {
    ASCERTAIN_ASSERT(running() && defects_left_ > 0);
    --defects_left_;
    ++history_.defects;
    ++history_.interruptions;
    note(Moment::kDefect);
    stop(false, index_of(Cause::kDefect));
    const Ticks spoilt =
        ticks_from_seconds(setup_.defect.rollback_s * draw_exponential(streams_->defect));
    roll_back(std::max<Ticks>(0, position_ - spoilt));
    const double debug_s =
        setup_.defect.debug_s * draw_spread(streams_->defect, setup_.defect.debug_spread);
    enter(Phase::kDebugging, ticks_from_seconds(debug_s));
}

// The search that finds one corrupting device clears the fleet of all of them.
void Player::on_corruption_found(std::uint32_t failure_class) {
    if (!corrupted_at_) return;
    note(Moment::kCorruptionFound);
    const bool was_up = running() || phase_ == Phase::kRestarting;
    const std::size_t trouble = cause_;
    if (was_up) leave_phase();
    cause_ = failure_class;
    const double kept_back =
        static_cast<double>(setup_.checkpoint.retained) * static_cast<double>(interval_);
    const Ticks grid = static_cast<double>(position_ - *corrupted_at_) <= kept_back
                           ? interval_
                           : ticks_from_seconds(setup_.checkpoint.archive_interval_s);
    roll_back(*corrupted_at_ / grid * grid);
    corrupted_at_.reset();
    take_node_away(setup_.failure.classes[failure_class].repair_s);
    if (!was_up) {
        cause_ = trouble;  // the run is down for another reason still
        return;
    }
    ++history_.interruptions;
    staff(0);
}

void Player::on_maintenance() {
    engine_.schedule(ticks_from_seconds(setup_.maintenance.interval_s), kMaintenanceDue, 0);
    if (!running()) return;
    note(Moment::kMaintenance);
    cause_ = index_of(Cause::kPlanned);
    const Ticks stall = stop_planned();
    enter(Phase::kMaintenance, stall + ticks_from_seconds(setup_.maintenance.duration_s));
}

void Player::on_repaired(std::size_t of) {
    ++spares_[of];
    ++history_.nodes_repaired;
    note(Moment::kRepaired);
    if (of != fleet()) return;
    if (phase_ == Phase::kWaiting) {
        leave_phase();
        staff(0);
    } else if (running() && missing_[of] > 0) {
        cause_ = index_of(Cause::kPlanned);
        staff(stop_planned());  // grow back
    }
}

void Player::on_phase_end() {
    const Phase ended = phase_;
    leave_phase();
    if (ended == Phase::kDetecting) note(Moment::kDetected);
    // A node that was evicted during the restart needs another one.
    if (ended != Phase::kRestarting || missing_[fleet()] != missing_in_shape_) return staff(0);
    if (setup_.recovery.failure_ratio > 0.0 &&
        streams_->recovery.uniform() < setup_.recovery.failure_ratio) {
        note(Moment::kRestartFailed);
        const double again_s = setup_.recovery.retry_gap_s + setup_.recovery.restart_s;
        return enter(Phase::kRestarting, recovery_ticks(again_s + setup_.recovery.load_s));
    }
    note(Moment::kRestarted);
    train();
}

void Player::on_stage_end() {
    account_training();
    const Ticks rounding = stage_end_[stage_] - position_;
    book(Share::kUseful, rounding);
    book(Share::kStraggler, -rounding);
    position_ = durable_ = stage_end_[stage_];
    note(Moment::kStageDone, static_cast<std::int32_t>(stage_));
    history_.stage_end_s[stage_] = seconds_from_ticks(engine_.now());
    if (stage_ + 1 == stage_end_.size()) {
        phase_ = Phase::kOver;
        history_.finished = true;
        history_.corrupted_at_end = corrupted_at_.has_value();
        note(Moment::kFinished);
        return;
    }
    ++stage_;
    loose_away_ = 0;
    cause_ = index_of(Cause::kPlanned);
    enter(Phase::kStageChange, ticks_from_seconds(setup_.stage_change_s));
}

}  // namespace ascertain::goodput
