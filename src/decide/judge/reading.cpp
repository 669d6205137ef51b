#include "decide/judge/reading.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace ascertain::judge {
namespace {

using evidence::Record;

// Collects one run; every oddity becomes a problem and reading goes on.
class Reader {
public:
    explicit Reader(const CriteriaSet& criteria) : criteria_(criteria) {}

    void take(const Record& record) {
        follow_chain(record);
        run_.last_time_utc = std::max(run_.last_time_utc, record.time_utc);
        if (record.kind == "context") return take_context(record);
        if (record.kind == "required") return take_required(record);
        if (record.kind == "prediction") return take_prediction(record);
        if (record.kind == "attempt") return take_attempt(record);
        if (record.kind == "interrupted" || record.kind == "finished") return take_end(record);
        if (record.kind == "projection") return take_projection(record);
        if (record.kind == "plan" || record.kind == "reused") return;
        problem(record,
                fmt::format("a record of the unknown kind \"{}\"", shortened(record.kind, 40)),
                "judge it with the version of ascertain that wrote it");
    }

    Run finish() {
        if (run_.planned.empty()) {
            problem("required", "nothing was required, so nothing can be shown",
                    "run ascertain qualify without filters that match nothing", {});
        }
        return std::move(run_);
    }

private:
    void problem(std::string check, std::string reason, std::string remedy,
                 std::vector<std::string> records) {
        run_.problems.push_back(
            {std::move(check), std::move(reason), std::move(remedy), std::move(records)});
    }
    void problem(const Record& record, std::string reason, std::string remedy) {
        problem("evidence", std::move(reason), std::move(remedy), {record.id()});
    }

    void follow_chain(const Record& record) {
        const bool follows = record.sequence == count_ + 1 && record.previous == head_;
        if (!follows && !broken_) {
            broken_ = true;
            problem(record, fmt::format("{} does not follow the record before it", record.id()),
                    "find the missing records; ascertain evidence verify names the first misfit");
        }
        count_ = record.sequence;
        head_ = record.hash;
    }

    // The body in its kind's form; otherwise the record becomes a problem.
    template <typename Body>
    std::optional<Body> body_of(const Record& record,
                                Result<Body> (*read)(const Json&, std::string_view)) {
        auto body = read(record.body, record.id());
        if (body) return std::move(*body);
        problem(record, fmt::format("{} cannot be read: {}", record.id(), body.error().message),
                "judge it with the version of ascertain that wrote it");
        return std::nullopt;
    }

    void take_context(const Record& record) {
        auto context = body_of(record, evidence::context_from_json);
        if (!context) return;
        if (run_.context && run_.context->software != context->software) {
            problem(record, "the software changed between two sessions of one run",
                    "run it again with one set of versions");
        }
        for (const auto& device : context->devices) run_.devices.push_back(device);
        run_.context = std::move(*context);
        run_.end.reset();  // a session that has begun has not ended
    }

    void take_required(const Record& record) {
        auto required = body_of(record, evidence::required_from_json);
        if (!required) return;
        if (!run_.attempts.empty() && run_.planned.empty()) {
            problem(record, "the required set was written after the first check had run",
                    "run it again");
        }
        if (required_seen_ && (required->profile != run_.profile || required->rung != run_.rung ||
                               required->part != run_.part)) {
            problem(record, "profile, rung or part changed between two sessions of one run",
                    "run each in a directory of its own");
        }
        run_.profile = required->profile;
        run_.rung = required->rung;
        run_.part = required->part;
        for (auto& check : required->checks) {
            const auto same = std::ranges::find_if(run_.planned, [&](const auto& known) {
                return known.id == check.id && known.device == check.device;
            });
            if (same != run_.planned.end()) {
                // What was required once stays required.
                same->required = same->required || check.required;
                same->has_control = same->has_control || check.has_control;
                continue;
            }
            if (required_seen_) {
                problem(record,
                        fmt::format("{} joined the required set after it was fixed", check.id),
                        "run it in a directory of its own");
            }
            run_.planned.push_back(std::move(check));
        }
        for (auto& item : required->left_out) run_.left_out.push_back(std::move(item));
        required_seen_ = true;
    }

    void take_prediction(const Record& record) {
        auto prediction = body_of(record, evidence::prediction_from_json);
        if (!prediction) return;
        const auto known = std::ranges::find_if(run_.predictions, [&](const Foretold& foretold) {
            return foretold.prediction.id == prediction->id &&
                   foretold.prediction.device == prediction->device;
        });
        // The first telling counts: a later one could know the answer.
        if (known != run_.predictions.end()) return;
        run_.predictions.push_back({std::move(*prediction), record.id(), record.sequence});
    }

    void take_attempt(const Record& record) {
        auto attempt = body_of(record, evidence::attempt_from_json);
        if (!attempt) return;
        if (attempt->detail.contains("reused")) {
            const std::string& oldest = run_.oldest_reused_utc;
            run_.oldest_reused_utc =
                oldest.empty() ? attempt->started_utc : std::min(oldest, attempt->started_utc);
        }
        Opinion said{Holds::kWeak, "it did not complete", {"", Json::array(), ""}};
        if (attempt->outcome == evidence::Outcome::kCompleted) {
            said = opinion(criteria_, attempt->check, attempt->observation);
        }
        run_.attempts.push_back(
            {std::move(*attempt), record.id(), record.sequence, std::move(said)});
    }

    void take_end(const Record& record) {
        auto end = body_of(record, evidence::session_end_from_json);
        if (!end) return;
        if (record.kind == "interrupted") end->complete = false;
        run_.end = std::move(*end);
    }

    void take_projection(const Record& record) {
        const auto document = record.body.find("document");
        if (document != record.body.end() && document->is_object()) {
            run_.projection = *document;
            return;
        }
        problem(record, fmt::format("{} holds no projection", record.id()),
                "judge it with the version of ascertain that wrote it");
    }

    const CriteriaSet& criteria_;
    Run run_;
    std::uint64_t count_ = 0;
    std::string head_{evidence::kChainStart};
    bool broken_ = false;
    bool required_seen_ = false;
};

}  // namespace

Run read_run(const std::vector<Record>& records, const CriteriaSet& criteria) {
    Reader reader(criteria);
    for (const auto& record : records) reader.take(record);
    return reader.finish();
}

}  // namespace ascertain::judge
