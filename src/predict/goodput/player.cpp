#include "predict/goodput/player.hpp"

#include <algorithm>
#include <cmath>

#include "base/assert.hpp"

namespace ascertain::goodput {
namespace {

constexpr double kLooseAwayRatioMax =
    0.9;  // a stage with fewer workers than this crawls, not stops

}  // namespace

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
    if (setup_.elastic.nodes_per_replica > 0) {
        replicas_ = setup_.devices / setup_.devices_per_node / setup_.elastic.nodes_per_replica;
    }
}

History Player::play(std::uint64_t seed, std::uint64_t index, Trace* trace) {
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
    }
    history_.wall_s = seconds_from_ticks(engine_.now());
    history_.progress_ratio =
        static_cast<double>(position_) / static_cast<double>(stage_end_.back());
    for (std::size_t i = 0; i < kShares; ++i) history_.share_s[i] = seconds_from_ticks(booked_[i]);
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
    shrink_factor_ = 1.0;
    position_ = durable_ = 0;
    stage_ = 0;
    corrupted_at_.reset();
    spares_ = setup_.spare_nodes;
    missing_ = 0;
    loose_away_ = 0;
    slow_.clear();
    slow_ids_ = 0;
    const std::int64_t nodes = std::max<std::int64_t>(setup_.devices / setup_.devices_per_node, 1);
    lemon_strikes_.assign(
        static_cast<std::size_t>(draw_binomial(streams_->start, nodes, setup_.failure.lemon_ratio)),
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
        case kRepaired: on_repaired(); break;
        case kLooseBack: on_loose_back(); break;
        case kCorruptionFound: on_corruption_found(); break;
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
            train();
        }
        corrupted_at_ = std::min(corrupted_at_.value_or(position_), position_);
        ++history_.corruptions;
        note(Moment::kCorrupted, static_cast<std::int32_t>(which));
        engine_.schedule(
            ticks_from_seconds(failure.silent_detection_s * draw_exponential(streams_->silent)),
            kCorruptionFound, 0);
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
    stop(replaced && failure.nodes_lost > 1.0);
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
        replaced && spares_ == 0
            ? ticks_from_seconds(failure.repair_s * draw_exponential(streams_->repair))
            : recovery_ticks(setup_.recovery.restart_s + setup_.recovery.swap_s);
    engine_.schedule(away, kLooseBack, 0);
    if (running()) train();
}

void Player::on_loose_back() {
    if (running()) account_training();
    loose_away_ = std::max<std::int64_t>(0, loose_away_ - setup_.devices_per_node);
    if (running()) train();
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
    if (running()) train();
}

void Player::on_slow_found(std::uint32_t which) {
    note(Moment::kSlowFound);
    const Ticks stall = running() ? stop_planned() : 0;
    std::erase_if(slow_, [which](const Slow& slow) { return slow.id == which; });
    take_node_away(setup_.failure.classes.empty() ? 0.0 : setup_.failure.classes.front().repair_s);
    if (running()) staff(stall);
}

void Player::on_site_outage() {
    if (phase_ == Phase::kDebugging || phase_ == Phase::kMaintenance || phase_ == Phase::kOutage)
        return;
    note(Moment::kOutage);
    ++history_.interruptions;
    stop(true);
    enter(Phase::kOutage,
          ticks_from_seconds(setup_.failure.site_outage_s * draw_exponential(streams_->site)));
}

void Player::on_defect() {
    ASCERTAIN_ASSERT(running() && defects_left_ > 0);
    --defects_left_;
    ++history_.defects;
    ++history_.interruptions;
    note(Moment::kDefect);
    stop(false);
    const Ticks spoilt =
        ticks_from_seconds(setup_.defect.rollback_s * draw_exponential(streams_->defect));
    roll_back(std::max<Ticks>(0, position_ - spoilt));
    const double debug_s =
        setup_.defect.debug_s * draw_spread(streams_->defect, setup_.defect.debug_spread);
    enter(Phase::kDebugging, ticks_from_seconds(debug_s));
}

// The search that finds one corrupting device clears the fleet of all of them.
void Player::on_corruption_found() {
    if (!corrupted_at_) return;
    note(Moment::kCorruptionFound);
    const bool was_up = running() || phase_ == Phase::kRestarting;
    if (was_up) leave_phase();
    const Ticks kept_back = setup_.checkpoint.retained * interval_;
    const Ticks grid = position_ - *corrupted_at_ <= kept_back
                           ? interval_
                           : ticks_from_seconds(setup_.checkpoint.archive_interval_s);
    roll_back(*corrupted_at_ / grid * grid);
    corrupted_at_.reset();
    take_node_away(setup_.failure.classes.front().repair_s);
    if (!was_up) return;
    ++history_.interruptions;
    staff(0);
}

void Player::on_maintenance() {
    engine_.schedule(ticks_from_seconds(setup_.maintenance.interval_s), kMaintenanceDue, 0);
    if (!running()) return;
    note(Moment::kMaintenance);
    const Ticks stall = stop_planned();
    enter(Phase::kMaintenance, stall + ticks_from_seconds(setup_.maintenance.duration_s));
}

void Player::on_repaired() {
    ++spares_;
    ++history_.nodes_repaired;
    note(Moment::kRepaired);
    if (phase_ == Phase::kWaiting) {
        leave_phase();
        staff(0);
    } else if (running() && missing_ > 0) {
        staff(stop_planned());  // grow back
    }
}

void Player::on_phase_end() {
    const Phase ended = phase_;
    leave_phase();
    if (ended == Phase::kDetecting) note(Moment::kDetected);
    if (ended != Phase::kRestarting) return staff(0);
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
    if (stage_ + 1 == stage_end_.size()) {
        phase_ = Phase::kOver;
        history_.finished = true;
        history_.corrupted_at_end = corrupted_at_.has_value();
        note(Moment::kFinished);
        return;
    }
    ++stage_;
    loose_away_ = 0;
    enter(Phase::kStageChange, ticks_from_seconds(setup_.stage_change_s));
}

// ---- training -----------------------------------------------------------------------------------

void Player::train() {
    const CheckpointModel& checkpoint = setup_.checkpoint;
    const auto loose = static_cast<double>(setup_.stages[stage_].loose_devices);
    const double away = loose > 0.0 ? static_cast<double>(loose_away_) / loose : 0.0;
    phase_ = Phase::kRunning;
    phase_since_ = engine_.now();
    pace_.interval = interval_;
    pace_.stall =
        checkpoint.mode == CheckpointMode::kNone ? 0 : ticks_from_seconds(checkpoint.stall_s);
    pace_.write = checkpoint.mode == CheckpointMode::kAsynchronous
                      ? ticks_from_seconds(checkpoint.write_s)
                      : 0;
    missing_factor_ = shrink_factor_ / (1.0 - std::min(away, kLooseAwayRatioMax));
    pace_.wall_per_work = (1.0 + setup_.straggler.slowdown_ratio + slowest_ratio()) *
                          (1.0 + setup_.monitoring_ratio) * missing_factor_;
    engine_.clear_timer(kPhaseEnd);
    engine_.set_timer(kStageEnd, wall_for(pace_, stage_end_[stage_] - position_));
    update_rates();
}

void Player::account_training() {
    const Progress progress = progress_after(pace_, engine_.now() - phase_since_);
    phase_since_ = engine_.now();
    const Ticks work = std::min(progress.work, stage_end_[stage_] - position_);
    const Ticks shrunk =
        ticks_from_seconds(seconds_from_ticks(progress.training) * (1.0 - 1.0 / missing_factor_));
    const Ticks monitoring =
        std::min(ticks_from_seconds(seconds_from_ticks(progress.training - shrunk) *
                                    (1.0 - 1.0 / (1.0 + setup_.monitoring_ratio))),
                 progress.training - shrunk);
    book(Share::kUseful, work);
    book(Share::kCheckpoint, progress.stalled);
    book(Share::kShrunk, shrunk);
    book(Share::kMonitoring, monitoring);
    book(Share::kStraggler, progress.training - shrunk - monitoring - work);
    if (progress.any_durable && setup_.checkpoint.mode != CheckpointMode::kNone) {
        durable_ = position_ + std::min(progress.durable, work);
    }
    position_ += work;
}

void Player::stop(bool persistent) {
    leave_phase();
    const bool from_storage = persistent && setup_.checkpoint.mode == CheckpointMode::kInMemory;
    roll_back(from_storage ? persistent_position() : durable_);
}

Ticks Player::stop_planned() {
    account_training();
    durable_ = position_;
    return setup_.checkpoint.mode == CheckpointMode::kNone
               ? 0
               : ticks_from_seconds(setup_.checkpoint.stall_s);
}

void Player::roll_back(Ticks target) {
    target = std::min(target, position_);
    book(Share::kUseful, target - position_);
    book(Share::kRework, position_ - target);
    position_ = target;
    durable_ = std::min(durable_, target);
    // The device that corrupts is still there, so what is done again is corrupt again.
    if (corrupted_at_) corrupted_at_ = std::min(*corrupted_at_, target);
    while (stage_ > 0 && stage_end_[stage_ - 1] > position_) --stage_;
}

Ticks Player::persistent_position() const {
    const Ticks grid = ticks_from_seconds(setup_.checkpoint.persistent_interval_s);
    const Ticks begun = position_ - ticks_from_seconds(setup_.checkpoint.write_s);
    return std::min(durable_, std::max<Ticks>(0, begun / grid * grid));
}

// ---- recovery -----------------------------------------------------------------------------------

void Player::enter(Phase phase, Ticks duration) {
    phase_ = phase;
    phase_since_ = engine_.now();
    update_rates();
    engine_.clear_timer(kStageEnd);
    if (phase == Phase::kWaiting) {
        engine_.clear_timer(kPhaseEnd);
    } else {
        engine_.set_timer(kPhaseEnd, duration);
    }
}

void Player::leave_phase() {
    const Ticks passed = engine_.now() - phase_since_;
    switch (phase_) {
        case Phase::kRunning: account_training(); break;
        case Phase::kDetecting: book(Share::kDetection, passed); break;
        case Phase::kWaiting: book(Share::kSpares, passed); break;
        case Phase::kRestarting: book(Share::kRestart, passed); break;
        case Phase::kDebugging: book(Share::kDebugging, passed); break;
        case Phase::kMaintenance: book(Share::kMaintenance, passed); break;
        case Phase::kOutage: book(Share::kOutage, passed); break;
        case Phase::kStageChange: book(Share::kStageChange, passed); break;
        case Phase::kOver: break;
    }
    phase_since_ = engine_.now();
}

void Player::take_node_away(double repair_s) {
    ++missing_;
    engine_.schedule(ticks_from_seconds(repair_s * draw_exponential(streams_->repair)), kRepaired,
                     0);
}

void Player::staff(Ticks stall) {
    const std::int64_t taken = std::min(spares_, missing_);
    spares_ -= taken;
    missing_ -= taken;
    double factor = 1.0;
    if (missing_ > 0) {
        const std::int64_t per_replica =
            std::max<std::int64_t>(setup_.elastic.nodes_per_replica, 1);
        const std::int64_t lost = (missing_ + per_replica - 1) / per_replica;
        const double lost_max =
            setup_.elastic.replicas_lost_ratio_max * static_cast<double>(replicas_);
        if (static_cast<double>(lost) > lost_max) {
            note(Moment::kWaiting);
            return enter(Phase::kWaiting, 0);
        }
        factor = static_cast<double>(replicas_) / static_cast<double>(replicas_ - lost);
        note(Moment::kShrunk, static_cast<std::int32_t>(lost));
    }
    const double reshape_s = factor != shrink_factor_ ? setup_.elastic.reshape_s : 0.0;
    shrink_factor_ = factor;
    const double swap_s = taken > 0 ? setup_.recovery.swap_s : 0.0;
    enter(Phase::kRestarting, stall + recovery_ticks(setup_.recovery.restart_s +
                                                     setup_.recovery.load_s + swap_s + reshape_s));
}

Ticks Player::recovery_ticks(double mean_s) {
    return ticks_from_seconds(mean_s * draw_spread(streams_->recovery, setup_.recovery.spread));
}

// ---- rates --------------------------------------------------------------------------------------

void Player::update_rates() {
    const StageWork& stage = setup_.stages[stage_];
    const FailureModel& failure = setup_.failure;
    const auto devices = static_cast<double>(stage.devices > 0 ? stage.devices : setup_.devices);
    const auto all = static_cast<double>(setup_.devices);
    const double nodes = std::max(1.0, all / static_cast<double>(setup_.devices_per_node));
    const double lemons = static_cast<double>(lemon_strikes_.size()) / nodes;
    const double frailty =
        (1.0 - lemons + lemons * failure.lemon_multiplier) /
        (1.0 - failure.lemon_ratio + failure.lemon_ratio * failure.lemon_multiplier);
    const double rate = failure.rate_per_device_s * infant_bound_;
    arrivals_[kFailure].set_rate(engine_, rate * frailty * devices);
    arrivals_[kSlowing].set_rate(engine_, setup_.straggler.slow_rate_per_device_s * devices);
    arrivals_[kSiteOutage].set_rate(engine_, failure.site_rate_per_s);
    arrivals_[kDefect].set_rate(
        engine_, running() ? static_cast<double>(defects_left_) * setup_.defect.rate_per_s : 0.0);
    arrivals_[kLooseFailure].set_rate(
        engine_, failure.rate_per_device_s * static_cast<double>(stage.loose_devices));
}

double Player::infant_factor() const {
    const FailureModel& failure = setup_.failure;
    if (failure.infant_multiplier <= 1.0) return 1.0;
    const double age = seconds_from_ticks(engine_.now()) / failure.infant_decay_s;
    return 1.0 + (failure.infant_multiplier - 1.0) * portable_exp(-age);
}

std::size_t Player::draw_class() {
    const double u = streams_->failure_class.uniform() * cumulative_share_.back();
    const auto found = std::upper_bound(cumulative_share_.begin(), cumulative_share_.end(), u);
    return static_cast<std::size_t>(std::min(found, cumulative_share_.end() - 1) -
                                    cumulative_share_.begin());
}

// Was it a lemon that failed, and once too often? Then it is gone for good.
bool Player::strike_lemon() {
    if (lemon_strikes_.empty()) return false;
    const auto lemons = static_cast<double>(lemon_strikes_.size());
    const double nodes =
        static_cast<double>(setup_.devices) / static_cast<double>(setup_.devices_per_node);
    const double weight = lemons * setup_.failure.lemon_multiplier;
    if (streams_->failure_class.uniform() * (nodes - lemons + weight) >= weight) return false;
    const auto which =
        static_cast<std::size_t>(streams_->failure_class.below(lemon_strikes_.size()));
    if (++lemon_strikes_[which] < setup_.failure.lemon_strikes) return false;
    lemon_strikes_[which] = lemon_strikes_.back();
    lemon_strikes_.pop_back();
    update_rates();
    return true;
}

double Player::slowest_ratio() const {
    double slowest = 0.0;
    for (const Slow& slow : slow_) slowest = std::max(slowest, slow.loss_ratio);
    return slowest;
}

void Player::note(Moment moment, std::int32_t detail) {
    if (trace_ != nullptr) trace_->push_back({engine_.now(), moment, detail, durable_});
}

}  // namespace ascertain::goodput
