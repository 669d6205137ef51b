#include "measure/qualification/runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "measure/device/name.hpp"
#include "measure/qualification/tamper.hpp"

namespace ascertain::qualification {
namespace {

using checks::Answer;
using checks::AnswerKind;
using checks::Ask;
using checks::Done;
using checks::GiveUp;
using checks::Step;
using device::Ending;
using device::Reply;

// How long one look at the workers lasts at most; the stop flag is asked in between.
constexpr Seconds kLook{0.1};

struct Lane;

// One attempt in progress.
struct Running {
    Lane* lane = nullptr;
    const Item* item = nullptr;
    Attempt attempt;
    Json tamper;  // of a control; null otherwise
    Json state;
    std::vector<checks::Request> requests;  // of the last Ask
    std::vector<Answer> answers;
    std::size_t missing = 0;  // answers still owed
    bool over = false;        // ended early; answers that still come are nobody's
    Seconds began;
};

// One device, its items, and what became of them.
struct Lane {
    std::size_t member = 0;
    checks::DeviceInfo info;
    std::vector<std::size_t> items;  // indices into the plan
    std::vector<Attempt> attempts;
    std::shared_ptr<Running> running;
    bool answered = false;      // its worker has said hello at least once
    std::string lost_category;  // not empty: no further attempt on it
    std::string lost_message;
    bool finished = false;
};

// A request waiting for its worker, or with it.
struct Errand {
    std::shared_ptr<Running> running;
    std::size_t request = 0;
    std::size_t index = 0;  // the check's number of the member
};

std::string category_of_refusal(const std::string& kind) {
    if (kind == "library") return "plug_in_missing";
    if (kind == "version") return "version";
    return "device_absent";
}

Outcome outcome_of(GiveUp::Reason reason) {
    switch (reason) {
        case GiveUp::Reason::kUnsupported: return Outcome::kUnsupported;
        case GiveUp::Reason::kNoReference: return Outcome::kNoReference;
        case GiveUp::Reason::kDeviceError: return Outcome::kDeviceError;
        case GiveUp::Reason::kOutOfMemory: return Outcome::kSkipped;
        case GiveUp::Reason::kHarnessError: return Outcome::kHarnessError;
    }
    ASCERTAIN_ASSERT(false);
    return Outcome::kHarnessError;
}

class Runner {
public:
    Runner(const Plan& plan, const RunQuestion& question, const World& world)
        : plan_(plan),
          question_(question),
          world_(world),
          began_(world.clock.now()),
          queues_(world.workers.size()),
          with_worker_(world.workers.size()),
          failed_starts_(world.workers.size(), 0) {
        lanes_.resize(question.devices.size());
        for (std::size_t i = 0; i < lanes_.size(); ++i) {
            lanes_[i].member = i;
            lanes_[i].info = {.name = question.devices[i], .description = Json::object()};
            for (std::size_t item = 0; item < plan.items.size(); ++item) {
                if (plan.items[item].device == question.devices[i]) lanes_[i].items.push_back(item);
            }
        }
        for (const Attempt& attempt : question.earlier) remember_earlier(attempt);
    }

    Result<RunSummary> run() {
        while (!all_finished()) {
            if (world_.stopped()) {
                world_.workers.kill_all();
                return summary(false, "interrupted");
            }
            for (Lane& lane : lanes_) advance(lane);
            if (failure_) break;
            if (all_finished()) break;
            for (device::Event& event : world_.workers.poll(kLook)) take(std::move(event));
            if (failure_) break;
        }
        if (failure_) {
            world_.workers.kill_all();
            return *failure_;
        }
        return summary(true, "");
    }

private:
    // ---- what comes next ----

    void remember_earlier(Attempt attempt) {
        for (Lane& lane : lanes_) {
            if (lane.info.name != attempt.device) continue;
            attempt.earlier = true;
            if (const auto* definition = checks::find(attempt.check)) {
                attempt.opinion = opinion_of(*definition, attempt);
            }
            lane.attempts.push_back(std::move(attempt));
            return;
        }
    }

    // Starts attempts, and settles those that need no worker, until the lane waits for answers.
    void advance(Lane& lane) {
        while (!lane.finished && !lane.running && !failure_) {
            const auto move = next_move(plan_, lane.items, lane.attempts);
            if (!move) {
                lane.finished = true;
                return;
            }
            const Item& item = plan_.items[move->item];
            if (const auto [category, reason] = skip_of(lane, item, *move); !category.empty()) {
                skip(lane, item, *move, category, reason);
            } else if (must_wait(lane, item)) {
                return;
            } else {
                begin(lane, item, *move);
            }
        }
    }

    [[nodiscard]] std::pair<std::string, std::string> skip_of(const Lane& lane, const Item& item,
                                                              const Move& move) const {
        if (!item.skip_category.empty()) return {item.skip_category, item.skip_reason};
        // Whether a lost device is lost for good is asked once more, by whoever it was lost to.
        const bool asks_again = lane.lost_category == "device_lost" && move.number > 1;
        if (!lane.lost_category.empty() && !asks_again) {
            return {lane.lost_category, lane.lost_message};
        }
        if (world_.clock.now() - began_ > question_.time_limit) {
            return {"budget", fmt::format("the time limit of {} was reached",
                                          format_duration(question_.time_limit))};
        }
        return {};
    }

    // Timing shares the processors with nobody: neither may it begin while others compute on this
    // machine, nor they while it runs.
    [[nodiscard]] bool must_wait(const Lane& lane, const Item& item) const {
        for (const Lane& other : lanes_) {
            if (&other == &lane || !other.running) continue;
            const bool timed = item.definition->timing || other.running->item->definition->timing;
            if (timed && on_host(lane) && on_host(other)) return true;
        }
        return item.definition->timing && on_host(lane) && busy(question_.reference);
    }

    [[nodiscard]] static bool on_host(const Lane& lane) {
        const auto name = device::parse_name(lane.info.name);
        return name && device::shares_host(*name);
    }

    [[nodiscard]] bool busy(std::size_t member) const {
        return with_worker_[member].has_value() || !queues_[member].empty();
    }

    void skip(Lane& lane, const Item& item, const Move& move, const std::string& category,
              const std::string& reason) {
        Attempt attempt = new_attempt(lane, item, move);
        attempt.outcome = Outcome::kSkipped;
        attempt.category = category;
        attempt.message = reason;
        record(lane, item, std::move(attempt));
    }

    [[nodiscard]] Attempt new_attempt(const Lane& lane, const Item& item, const Move& move) const {
        Attempt attempt;
        attempt.check = item.id;
        attempt.device = lane.info.name;
        attempt.role = move.role;
        attempt.number = move.number;
        attempt.seed = attempt_seed(question_.seed, item.id, move.role, move.number);
        attempt.reproduce = fmt::format("{} --device {} --only {} --seed {}", question_.reproduce,
                                        lane.info.name, item.id, question_.seed);
        attempt.started_utc = world_.time_utc();
        return attempt;
    }

    void record(Lane& lane, const Item& item, Attempt attempt) {
        if (attempt.outcome == Outcome::kCompleted) {
            attempt.opinion = opinion_of(*item.definition, attempt);
        }
        const Result<void> written = world_.observer.attempt_ended(item, attempt);
        if (!written) failure_ = written.error();
        ++attempts_made_;
        lane.attempts.push_back(std::move(attempt));
    }

    [[nodiscard]] Opinion opinion_of(const checks::Definition& definition,
                                     const Attempt& attempt) const {
        if (attempt.outcome != Outcome::kCompleted) return Opinion::kUnknown;
        return world_.opinion(definition, attempt.check, attempt.observation);
    }

    // ---- one attempt ----

    void begin(Lane& lane, const Item& item, const Move& move) {
        auto running = std::make_shared<Running>();
        running->lane = &lane;
        running->item = &item;
        running->attempt = new_attempt(lane, item, move);
        running->began = world_.clock.now();
        if (move.role == Role::kControl) {
            // The table's own text, which a test has read.
            running->tamper = Json::parse(item.definition->tamper);
        }
        lane.running = running;
        world_.observer.attempt_began(item, move.role, move.number);
        step(running);
    }

    void step(const std::shared_ptr<Running>& running) {
        const Lane& lane = *running->lane;
        // A control needs one case to show what it has to show.
        const bool control =
            running->attempt.role == Role::kControl || running->attempt.role == Role::kControlClean;
        const checks::Context context{.subject = *running->item->subject,
                                      .devices = {&lane.info, 1},
                                      .seed = running->attempt.seed,
                                      .profile = question_.profile,
                                      .budget = control ? Seconds{0.0} : running->item->budget};
        Step next = running->item->definition->step(context, running->state, running->answers);
        if (auto* ask = std::get_if<Ask>(&next)) return send(running, std::move(*ask));
        if (auto* done = std::get_if<Done>(&next)) {
            running->attempt.outcome = Outcome::kCompleted;
            running->attempt.observation = std::move(done->observation);
            running->attempt.detail = std::move(done->detail);
            if (running->attempt.observation.empty()) {
                running->attempt.outcome = Outcome::kHarnessError;
                running->attempt.message = "the check ended without a single number";
            }
            return end(running);
        }
        auto& reason = std::get<GiveUp>(next);
        running->attempt.outcome = outcome_of(reason.reason);
        running->attempt.message = std::move(reason.message);
        if (reason.reason == GiveUp::Reason::kOutOfMemory) running->attempt.category = "resources";
        end(running);
    }

    void send(const std::shared_ptr<Running>& running, Ask ask) {
        running->state = std::move(ask.state);
        running->requests = std::move(ask.requests);
        running->answers.clear();
        running->missing = 0;
        for (std::size_t request = 0; request < running->requests.size(); ++request) {
            for (const std::size_t index : running->requests[request].members) {
                ++running->missing;
                const std::size_t member = member_of(*running->lane, index);
                queues_[member].push_back({running, request, index});
            }
        }
        if (running->missing == 0) {
            running->attempt.outcome = Outcome::kHarnessError;
            running->attempt.message = "the check asked nothing and is not done";
            return end(running);
        }
        for (std::size_t member = 0; member < queues_.size(); ++member) dispatch(member);
    }

    // The check's numbering: the lane's device, then the reference.
    [[nodiscard]] std::size_t member_of(const Lane& lane, std::size_t index) const {
        return index == 0 ? lane.member : question_.reference;
    }

    void dispatch(std::size_t member) {
        while (!with_worker_[member] && !queues_[member].empty()) {
            Errand errand = std::move(queues_[member].front());
            queues_[member].pop_front();
            if (errand.running->over) continue;
            const checks::Request& request = errand.running->requests[errand.request];
            device::Order order{
                .request = request.kind, .params = request.params, .deadline = request.deadline};
            const bool group = request.members.size() > 1;
            if (group) {
                order.params["rank"] = errand.index;
                order.params["ranks"] = request.members.size();
            }
            if (corrupts(errand) && !is_ours(errand.running->tamper)) {
                order.params["tamper"] = errand.running->tamper;
            }
            with_worker_[member] = std::move(errand);
            world_.workers.ask(member, std::move(order));
        }
    }

    // Only what the device says is corrupted, never the reference.
    [[nodiscard]] static bool corrupts(const Errand& errand) {
        const Running& running = *errand.running;
        if (running.tamper.is_null() || errand.index != 0) return false;
        return is_ours(running.tamper) || is_measuring(running.requests[errand.request].kind);
    }

    void take(device::Event event) {
        auto& slot = with_worker_[event.member];
        ASCERTAIN_ASSERT(slot.has_value());
        if (const auto* progress = std::get_if<device::Progress>(&event.what)) {
            const Running& running = *slot->running;
            if (!running.over) {
                world_.observer.progressed(*running.item, running.attempt.role, *progress);
            }
            return;
        }
        Errand errand = *std::exchange(slot, std::nullopt);
        Reply reply = std::get<Reply>(std::move(event.what));
        if (starts_again(event.member, reply)) {
            queues_[event.member].push_front(std::move(errand));
        } else {
            note_life(event.member, reply);
            if (!errand.running->over) answer(errand, std::move(reply));
        }
        dispatch(event.member);
    }

    // A start may fail for a moment's lack of memory or processes; twice in a row it has failed. A
    // refusal is final.
    bool starts_again(std::size_t member, const Reply& reply) {
        if (reply.ending != Ending::kNotStarted) {
            failed_starts_[member] = 0;
            return false;
        }
        return reply.error_kind == "start" && ++failed_starts_[member] < 2;
    }

    // Whether there is a device at all, whatever the attempt makes of it.
    void note_life(std::size_t member, const Reply& reply) {
        for (Lane& lane : lanes_) {
            if (lane.member != member) continue;
            if (reply.ending != Ending::kNotStarted) {
                lane.answered = true;
                lane.lost_category.clear();
                continue;
            }
            lane.lost_category =
                lane.answered ? "device_lost" : category_of_refusal(reply.error_kind);
            lane.lost_message = reply.message;
        }
    }

    void answer(const Errand& errand, Reply reply) {
        Running& running = *errand.running;
        const bool from_device = errand.index == 0;
        const bool died = reply.ending != Ending::kResult && reply.ending != Ending::kError;
        if (died && (!running.item->definition->sees_failures || !from_device)) {
            fail(errand.running, reply, from_device);
            return;
        }
        Answer answer;
        answer.request = errand.request;
        answer.member = errand.index;
        answer.kind = reply.ending == Ending::kResult     ? AnswerKind::kResult
                      : reply.ending == Ending::kError    ? AnswerKind::kError
                      : reply.ending == Ending::kTimedOut ? AnswerKind::kTimedOut
                                                          : AnswerKind::kCrashed;
        answer.result = std::move(reply.result);
        answer.error_kind = std::move(reply.error_kind);
        answer.message = std::move(reply.message);
        answer.duration = reply.duration;
        if (answer.kind == AnswerKind::kResult && corrupts(errand) && is_ours(running.tamper)) {
            auto changed = corrupted(running.tamper, std::move(answer.result));
            if (!changed) {
                running.attempt.outcome = Outcome::kHarnessError;
                running.attempt.message = changed.error().message;
                return end(errand.running);
            }
            answer.result = *std::move(changed);
        }
        if (answer.kind == AnswerKind::kResult &&
            running.requests[errand.request].kind == "describe" && from_device &&
            running.tamper.is_null()) {
            running.lane->info.description = answer.result;
        }
        running.answers.push_back(std::move(answer));
        if (--running.missing > 0) return;
        std::sort(running.answers.begin(), running.answers.end(),
                  [](const Answer& left, const Answer& right) {
                      return std::pair(left.request, left.member) <
                             std::pair(right.request, right.member);
                  });
        step(errand.running);
    }

    // A worker died under the attempt.
    void fail(const std::shared_ptr<Running>& running, const Reply& reply, bool from_device) {
        Attempt& attempt = running->attempt;
        attempt.message = reply.message;
        attempt.stderr_text = reply.stderr_text;
        if (!from_device) {
            attempt.outcome = Outcome::kHarnessError;
            attempt.reference_failed = true;
            attempt.message = "the reference: " + reply.message;
        } else if (reply.ending == Ending::kTimedOut) {
            attempt.outcome = Outcome::kTimedOut;
        } else if (reply.ending == Ending::kCrashed) {
            attempt.outcome = Outcome::kCrashed;
        } else if (running->lane->answered) {
            attempt.outcome = Outcome::kDeviceLost;
        } else {
            attempt.outcome = Outcome::kSkipped;
            attempt.category = category_of_refusal(reply.error_kind);
        }
        end(running);
    }

    void end(const std::shared_ptr<Running>& running) {
        running->over = true;
        running->attempt.duration = world_.clock.now() - running->began;
        Lane& lane = *running->lane;
        lane.running.reset();
        record(lane, *running->item, std::move(running->attempt));
    }

    [[nodiscard]] bool all_finished() const {
        return std::all_of(lanes_.begin(), lanes_.end(),
                           [](const Lane& lane) { return lane.finished; });
    }

    [[nodiscard]] RunSummary summary(bool complete, std::string reason) const {
        return {.complete = complete,
                .reason = std::move(reason),
                .attempts = attempts_made_,
                .duration = world_.clock.now() - began_};
    }

    const Plan& plan_;
    const RunQuestion& question_;
    const World& world_;
    Seconds began_;
    std::vector<Lane> lanes_;
    std::vector<std::deque<Errand>> queues_;          // by member
    std::vector<std::optional<Errand>> with_worker_;  // by member
    std::vector<int> failed_starts_;                  // by member, in a row
    std::size_t attempts_made_ = 0;
    std::optional<Error> failure_;
};

}  // namespace

Result<RunSummary> run_plan(const Plan& plan, const RunQuestion& question, const World& world) {
    ASCERTAIN_ASSERT(question.reference < world.workers.size());
    ASCERTAIN_ASSERT(question.devices.size() <= world.workers.size());
    return Runner(plan, question, world).run();
}

}  // namespace ascertain::qualification
