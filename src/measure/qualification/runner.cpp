#include "measure/qualification/runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "measure/device/name.hpp"
#include "measure/qualification/company.hpp"
#include "measure/qualification/mailroom.hpp"
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

// One attempt in progress.
struct Running {
    std::uint64_t id = 0;
    const Item* item = nullptr;
    Attempt attempt;
    Json tamper;  // of a control; null otherwise
    Json state;
    std::vector<checks::Request> requests;  // of the last Ask
    std::vector<Answer> answers;
    std::size_t missing = 0;  // answers still owed
    // Of a group: how each rank's last request ended, and what it last said it was doing.
    std::vector<RankEnd> ends;
    std::map<std::size_t, std::string> last_words;
    std::string stderr_text;  // of the ranks that died
    Seconds began;
};

// One device, or one group of devices, its items, and what became of them.
struct Lane {
    std::string name;                       // "npu:3"; of a group "npu:0,npu:1"
    std::vector<std::size_t> members;       // of the workers; more than one: a group
    std::vector<checks::DeviceInfo> infos;  // of each member

    [[nodiscard]] bool is_group() const { return members.size() > 1; }

    std::vector<std::size_t> items;  // indices into the plan
    std::vector<Attempt> attempts;
    std::optional<Running> running;
    bool answered = false;      // its worker has said hello at least once
    std::string lost_category;  // not empty: no further attempt on it
    std::string lost_message;
    bool finished = false;
    // What it answered, by question, where a control corrupts the answer and not the work: the
    // control then needs no new work.
    std::map<std::string, Json> told;
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

AnswerKind kind_of(Ending ending) {
    switch (ending) {
        case Ending::kResult: return AnswerKind::kResult;
        case Ending::kError: return AnswerKind::kError;
        case Ending::kTimedOut: return AnswerKind::kTimedOut;
        case Ending::kCrashed:
        case Ending::kNotStarted: return AnswerKind::kCrashed;
    }
    ASCERTAIN_ASSERT(false);
    return AnswerKind::kCrashed;
}

bool is_control(Role role) {
    return role == Role::kControl || role == Role::kControlClean;
}

class Runner {
public:
    Runner(const Plan& plan, const RunQuestion& question, const World& world)
        : plan_(plan),
          question_(question),
          world_(world),
          began_(world.clock.now()),
          mail_(world.workers) {
        for (std::size_t i = 0; i < question.devices.size(); ++i) {
            add_lane(question.devices[i], {i}, {question.devices[i]});
        }
        if (question.group.size() > 1) {
            std::vector<std::string> devices;
            for (const Rank& rank : question.group) devices.push_back(rank.device);
            std::vector<std::size_t> members;
            for (const Rank& rank : question.group) members.push_back(rank.member);
            add_lane(group_name(devices), members, devices);
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
            for (Delivery& delivery : mail_.collect(kLook)) {
                take(std::move(delivery));
                if (failure_) break;
            }
            if (failure_) break;
        }
        if (failure_) {
            world_.workers.kill_all();
            return *failure_;
        }
        return summary(true, "");
    }

private:
    void add_lane(const std::string& name, std::vector<std::size_t> members,
                  const std::vector<std::string>& devices) {
        Lane lane;
        lane.name = name;
        lane.members = std::move(members);
        for (const std::string& device : devices) {
            lane.infos.push_back({.name = device, .description = Json::object()});
        }
        for (std::size_t item = 0; item < plan_.items.size(); ++item) {
            if (plan_.items[item].device == name) lane.items.push_back(item);
        }
        lanes_.push_back(std::move(lane));
    }

    // ---- what comes next ----

    void remember_earlier(Attempt attempt) {
        for (Lane& lane : lanes_) {
            if (lane.name != attempt.device) continue;
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
    // A group needs all its workers at the same moment, so it comes when every device is through.
    [[nodiscard]] bool must_wait(const Lane& lane, const Item& item) const {
        for (const Lane& other : lanes_) {
            if (lane.is_group() && !other.is_group() && !other.finished) return true;
            if (&other == &lane || !other.running) continue;
            const bool timed = item.definition->timing || other.running->item->definition->timing;
            if (timed && share_host(lane, other)) return true;
        }
        return item.definition->timing && share_host(lane, "cpu") &&
               mail_.busy(question_.reference);
    }

    // Whether a device of the lane computes on the same processors as the other one.
    [[nodiscard]] static bool share_host(const Lane& lane, const std::string& other) {
        const auto other_name = device::parse_name(other);
        return other_name && std::ranges::any_of(lane.infos, [&](const checks::DeviceInfo& info) {
                   const auto name = device::parse_name(info.name);
                   return name && device::share_host(*name, *other_name);
               });
    }

    [[nodiscard]] static bool share_host(const Lane& lane, const Lane& other) {
        return std::ranges::any_of(other.infos, [&](const checks::DeviceInfo& info) {
            return share_host(lane, info.name);
        });
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
        attempt.device = lane.name;
        attempt.role = move.role;
        attempt.number = move.number;
        const bool exact =
            question_.seed_is_exact && move.role == Role::kMeasure && move.number == 1;
        attempt.seed =
            exact ? question_.seed : attempt_seed(question_.seed, item.id, move.role, move.number);
        attempt.reproduce = fmt::format("{}{} --only {} --seed {}", question_.reproduce,
                                        flags_for(lane), item.id, question_.seed);
        attempt.started_utc = world_.time_utc();
        return attempt;
    }

    // The same device several times is asked for with --ranks.
    static std::string flags_for(const Lane& lane) {
        std::string flags;
        std::set<std::string> named;
        for (const checks::DeviceInfo& info : lane.infos) {
            if (named.insert(info.name).second) flags += " --device " + info.name;
        }
        if (named.size() < lane.infos.size())
            flags += fmt::format(" --ranks {}", lane.infos.size());
        return flags;
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
        Running running;
        running.id = ++last_id_;
        running.item = &item;
        running.attempt = new_attempt(lane, item, move);
        running.began = world_.clock.now();
        // The table's own text, which a test has read.
        if (move.role == Role::kControl) running.tamper = Json::parse(item.definition->tamper);
        lane.running = std::move(running);
        world_.observer.attempt_began(item, move.role, move.number);
        step(lane);
    }

    void step(Lane& lane) {
        Running& running = *lane.running;
        // A control is asked the least that can fail.
        const bool control = is_control(running.attempt.role);
        const checks::Context context{.subject = *running.item->subject,
                                      .devices = lane.infos,
                                      .seed = running.attempt.seed,
                                      .profile = question_.profile,
                                      .budget = control ? Seconds{0.0} : running.item->budget};
        Step next = running.item->definition->step(context, running.state, running.answers);
        Attempt& attempt = running.attempt;
        if (auto* ask = std::get_if<Ask>(&next)) return send(lane, std::move(*ask));
        if (auto* done = std::get_if<Done>(&next)) {
            if (done->observation.empty()) return harness_error(lane, "the check found no number");
            attempt.outcome = Outcome::kCompleted;
            attempt.observation = std::move(done->observation);
            attempt.detail = std::move(done->detail);
            return end(lane);
        }
        auto& reason = std::get<GiveUp>(next);
        attempt.outcome = outcome_of(reason.reason);
        attempt.message = std::move(reason.message);
        if (reason.reason == GiveUp::Reason::kOutOfMemory) attempt.category = "resources";
        end(lane);
    }

    void send(Lane& lane, Ask ask) {
        Running& running = *lane.running;
        running.state = std::move(ask.state);
        running.requests = std::move(ask.requests);
        running.answers.clear();
        running.ends.clear();
        running.missing = 0;
        std::vector<std::pair<std::size_t, Letter>> letters;
        for (std::size_t request = 0; request < running.requests.size(); ++request) {
            for (const std::size_t index : running.requests[request].members) {
                ++running.missing;
                const std::size_t member =
                    index < lane.members.size() ? lane.members[index] : question_.reference;
                letters.emplace_back(member, letter(running, request, index));
            }
        }
        if (letters.empty()) return harness_error(lane, "the check asked nothing and is not done");
        const auto known = told_before(lane);
        if (known)
            return answer(lane, letters.front().second,
                          Reply{.ending = Ending::kResult, .result = *known});
        for (auto& [member, one] : letters) mail_.post(member, std::move(one));
    }

    [[nodiscard]] static Letter letter(const Running& running, std::size_t number,
                                       std::size_t index) {
        const checks::Request& request = running.requests[number];
        Letter result{.attempt = running.id,
                      .request = number,
                      .index = index,
                      .order = {request.kind, request.params, request.deadline}};
        if (request.members.size() > 1) {
            const auto place = std::ranges::find(request.members, index);
            result.order.params["rank"] = place - request.members.begin();
            result.order.params["ranks"] = request.members.size();
        }
        // Only what the device says is ever corrupted, never the reference; of a group its rank 0.
        const bool corrupts = !running.tamper.is_null() && !is_ours(running.tamper) && index == 0 &&
                              is_measuring(request.kind);
        if (corrupts) result.order.params["tamper"] = running.tamper;
        return result;
    }

    // ---- answers that a control may use again ----

    [[nodiscard]] static bool corrupted_here(const Running& running) {
        const std::string_view tamper = running.item->definition->tamper;
        return !tamper.empty() && is_ours(Json::parse(tamper));
    }
    [[nodiscard]] static std::string key_of(const checks::Request& request) {
        return fmt::format("{} {}", request.kind, request.params.dump());
    }
    [[nodiscard]] static std::optional<Json> told_before(const Lane& lane) {
        const Running& running = *lane.running;
        const bool single = running.requests.size() == 1 && running.missing == 1;
        if (!single || !is_control(running.attempt.role) || !corrupted_here(running)) {
            return std::nullopt;
        }
        const auto found = lane.told.find(key_of(running.requests[0]));
        return found == lane.told.end() ? std::nullopt : std::optional(found->second);
    }
    static void remember_answer(Lane& lane, const Letter& letter, const Json& result) {
        const checks::Request& request = lane.running->requests[letter.request];
        if (request.kind == "describe") lane.infos[letter.index].description = result;
        if (corrupted_here(*lane.running)) lane.told.insert_or_assign(key_of(request), result);
    }

    // ---- what comes back ----

    void take(Delivery delivery) {
        Lane* lane = lane_of(delivery.letter.attempt);
        if (const auto* progress = std::get_if<device::Progress>(&delivery.what)) {
            if (lane == nullptr) return;
            Running& running = *lane->running;
            running.last_words[delivery.letter.index] = progress->text;
            world_.observer.progressed(*running.item, running.attempt.role, *progress);
            return;
        }
        Reply& reply = std::get<Reply>(delivery.what);
        note_life(delivery.member, reply);
        if (lane != nullptr) answer(*lane, delivery.letter, std::move(reply));
    }

    // Null when the attempt has ended before its last answer came.
    Lane* lane_of(std::uint64_t attempt) {
        for (Lane& lane : lanes_) {
            if (lane.running && lane.running->id == attempt) return &lane;
        }
        return nullptr;
    }

    // Whether there is a device at all, whatever the attempt makes of it.
    void note_life(std::size_t member, const Reply& reply) {
        for (Lane& lane : lanes_) {
            if (std::ranges::find(lane.members, member) == lane.members.end()) continue;
            if (reply.ending == Ending::kNotStarted) {
                lane.lost_category =
                    lane.answered ? "device_lost" : category_of_refusal(reply.error_kind);
                lane.lost_message = reply.message;
            } else {
                lane.answered = true;
                lane.lost_category.clear();
            }
        }
    }

    void answer(Lane& lane, const Letter& letter, Reply reply) {
        Running& running = *lane.running;
        const bool from_device = letter.index < lane.members.size();
        const bool died = reply.ending != Ending::kResult && reply.ending != Ending::kError;
        const bool check_sees_it = from_device && running.item->definition->sees_failures;
        if (died && !check_sees_it && !(from_device && lane.is_group())) {
            return fail(lane, reply, from_device);
        }
        if (from_device && lane.is_group()) note_end(lane, letter, reply);
        if (reply.ending == Ending::kResult && from_device) {
            remember_answer(lane, letter, reply.result);
            if (!running.tamper.is_null() && is_ours(running.tamper)) {
                auto changed = corrupted(running.tamper, std::move(reply.result));
                if (!changed) return harness_error(lane, changed.error().message);
                reply.result = *std::move(changed);
            }
        }
        running.answers.push_back({.request = letter.request,
                                   .member = letter.index,
                                   .kind = kind_of(reply.ending),
                                   .result = std::move(reply.result),
                                   .error_kind = std::move(reply.error_kind),
                                   .message = std::move(reply.message),
                                   .duration = reply.duration});
        if (--running.missing > 0) return;
        if (const auto end = end_of_company(running.ends);
            end && !running.item->definition->sees_failures) {
            return fail_group(lane, *end);
        }
        std::sort(running.answers.begin(), running.answers.end(),
                  [](const Answer& left, const Answer& right) {
                      return std::pair(left.request, left.member) <
                             std::pair(right.request, right.member);
                  });
        step(lane);
    }

    static void note_end(Lane& lane, const Letter& letter, const Reply& reply) {
        Running& running = *lane.running;
        RankEnd end;
        end.rank = letter.index;
        end.device = lane.infos[letter.index].name;
        end.ending = reply.ending;
        end.message = reply.message;
        end.last_word = running.last_words[letter.index];
        if (reply.result.is_object()) end.stopped = reply.result.value("stopped", Json());
        running.stderr_text += reply.stderr_text;
        running.ends.push_back(std::move(end));
    }

    void fail_group(Lane& lane, const CompanyEnd& end) {
        Attempt& attempt = lane.running->attempt;
        attempt.outcome = end.outcome;
        attempt.message = end.message;
        attempt.stderr_text = lane.running->stderr_text;
        if (!lane.lost_category.empty()) {
            attempt.outcome = Outcome::kDeviceLost;
            if (lane.lost_category != "device_lost") {
                attempt.outcome = Outcome::kSkipped;
                attempt.category = lane.lost_category;
            }
        }
        this->end(lane);
    }

    // A worker died under the attempt.
    void fail(Lane& lane, const Reply& reply, bool from_device) {
        Attempt& attempt = lane.running->attempt;
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
        } else if (lane.answered) {
            attempt.outcome = Outcome::kDeviceLost;
        } else {
            attempt.outcome = Outcome::kSkipped;
            attempt.category = category_of_refusal(reply.error_kind);
        }
        end(lane);
    }

    void harness_error(Lane& lane, std::string message) {
        lane.running->attempt.outcome = Outcome::kHarnessError;
        lane.running->attempt.message = std::move(message);
        end(lane);
    }

    // What was asked about when it went wrong, so that it can be asked again.
    static void keep_case(Attempt& attempt, const std::vector<checks::Request>& requests) {
        for (const checks::Request& request : requests) {
            const auto found = request.params.find("case");
            if (found != request.params.end()) attempt.detail["case"] = *found;
        }
    }

    void end(Lane& lane) {
        mail_.recall(lane.running->id);
        const Item& item = *lane.running->item;
        Attempt attempt = std::move(lane.running->attempt);
        if (attempt.outcome != Outcome::kCompleted) keep_case(attempt, lane.running->requests);
        attempt.duration = world_.clock.now() - lane.running->began;
        lane.running.reset();
        record(lane, item, std::move(attempt));
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
    Mailroom mail_;
    std::uint64_t last_id_ = 0;
    std::size_t attempts_made_ = 0;
    std::optional<Error> failure_;
};

}  // namespace

Result<RunSummary> run_plan(const Plan& plan, const RunQuestion& question, const World& world) {
    ASCERTAIN_ASSERT(question.reference < world.workers.size());
    ASCERTAIN_ASSERT(question.devices.size() <= world.workers.size());
    for (const Rank& rank : question.group) ASCERTAIN_ASSERT(rank.member < world.workers.size());
    return Runner(plan, question, world).run();
}

}  // namespace ascertain::qualification
