// The other half of Player: how it trains, recovers and keeps its rates.
#include <algorithm>
#include <cmath>

#include "predict/goodput/player.hpp"

namespace ascertain::goodput {
namespace {

// A stage with fewer of its loose workers than this crawls; it does not stop.
constexpr double kLooseAwayRatioMax = 0.9;

}  // namespace

// ---- training -----------------------------------------------------------------------------------

void Player::train() {
    pace_.begun = 0;
    durable_ = position_;  // what it restarts from, or what it stopped with on purpose
    go_on();
}

void Player::go_on() {
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
        durable_ = std::max(durable_, position_ + std::min(progress.durable, work));
    }
    pace_.begun = progress.begun;
    position_ += work;
}

void Player::stop(bool persistent, std::size_t cause) {
    leave_phase();
    cause_ = cause;
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
    book_lost(Share::kRework, position_ - target);
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
        case Phase::kDetecting: book_lost(Share::kDetection, passed); break;
        case Phase::kWaiting: book_lost(Share::kSpares, passed); break;
        case Phase::kRestarting: book_lost(Share::kRestart, passed); break;
        case Phase::kDebugging: book_lost(Share::kDebugging, passed); break;
        case Phase::kMaintenance: book_lost(Share::kMaintenance, passed); break;
        case Phase::kOutage: book_lost(Share::kOutage, passed); break;
        case Phase::kStageChange: book_lost(Share::kStageChange, passed); break;
        case Phase::kOver: break;
    }
    phase_since_ = engine_.now();
}

void Player::take_node_away(double repair_s) {
    ++missing_[fleet()];
    engine_.schedule(ticks_from_seconds(repair_s * draw_exponential(streams_->repair)), kRepaired,
                     static_cast<std::uint32_t>(fleet()));
}

void Player::staff(Ticks stall) {
    std::int64_t& missing = missing_[fleet()];
    const std::int64_t taken = std::min(spares_[fleet()], missing);
    spares_[fleet()] -= taken;
    missing -= taken;
    missing_in_shape_ = missing;
    double factor = 1.0;
    if (missing > 0) {
        const std::int64_t per_replica =
            std::max<std::int64_t>(setup_.elastic.nodes_per_replica, 1);
        const std::int64_t lost = (missing + per_replica - 1) / per_replica;
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
    const double lemons = static_cast<double>(lemon_strikes_.size()) / nodes_;
    const double frailty =
        (1.0 - lemons + lemons * failure.lemon_multiplier) /
        (1.0 - failure.lemon_ratio + failure.lemon_ratio * failure.lemon_multiplier);
    const double rate = failure.rate_per_device_s * infant_bound_;
    arrivals_[kFailure].set_rate(engine_, rate * frailty * devices * stage.failure_weight);
    arrivals_[kSlowing].set_rate(engine_, setup_.straggler.slow_rate_per_device_s * devices);
    arrivals_[kSiteOutage].set_rate(engine_, failure.site_rate_per_s);
    arrivals_[kDefect].set_rate(
        engine_, running() ? static_cast<double>(defects_left_) * setup_.defect.rate_per_s : 0.0);
    arrivals_[kLooseFailure].set_rate(engine_, failure.rate_per_device_s *
                                                   stage.loose_failure_weight *
                                                   static_cast<double>(stage.loose_devices));
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
    const double weight = lemons * setup_.failure.lemon_multiplier;
    if (streams_->failure_class.uniform() * (nodes_ - lemons + weight) >= weight) return false;
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
