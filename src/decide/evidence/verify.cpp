#include "decide/evidence/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "decide/evidence/blobs.hpp"
#include "decide/evidence/records.hpp"

namespace ascertain::evidence {
namespace {

// The blobs an attempt names; a body of another form names none, which is the judge's business.
std::vector<std::string> blobs_of(const Record& record) {
    std::vector<std::string> names;
    const auto list = record.body.find("blobs");
    if (record.kind != "attempt" || list == record.body.end() || !list->is_array()) return names;
    for (const auto& name : *list) {
        if (name.is_string()) names.push_back(name.get<std::string>());
    }
    return names;
}

Result<void> verify_blobs(const std::filesystem::path& directory, const Chain& chain) {
    std::set<std::string> seen;
    for (const auto& record : chain.records) {
        for (auto& name : blobs_of(record)) {
            if (!seen.insert(name).second) continue;
            const auto content = get_blob(directory, name);
            if (content) continue;
            return Error{ErrorCode::kEvidence,
                         fmt::format("record {} names a blob that does not fit: {}",
                                     record.sequence, content.error().message),
                         content.error().where};
        }
    }
    // A blob no record names was put down just before a crash; it still must be what it says.
    const auto names = list_blobs(directory);
    if (!names) return names.error();
    for (const auto& name : *names) {
        if (seen.contains(name)) continue;
        if (const auto content = get_blob(directory, name); !content) return content.error();
    }
    return {};
}

using Key = std::tuple<std::string, std::string, std::string>;

struct LastAttempts {
    std::vector<Key> order;
    std::map<Key, Attempt> by_key;
};

Result<LastAttempts> last_attempts(const std::vector<Record>& records) {
    LastAttempts last;
    for (const auto& record : records) {
        if (record.kind != "attempt") continue;
        auto attempt = attempt_from_json(record.body, record.id());
        if (!attempt) return attempt.error();
        Key key{attempt->check, attempt->device, std::string(name_of(attempt->role))};
        const auto [place, fresh] = last.by_key.try_emplace(key);
        if (fresh) last.order.push_back(key);
        place->second = std::move(*attempt);
    }
    return last;
}

Json value_of(const Metric* metric) {
    return metric != nullptr && metric->value ? finite_or_null(*metric->value) : Json();
}

void compare(const Key& key, const Attempt* left, const Attempt* right,
             std::vector<Difference>& differences) {
    const auto& [check, device, role] = key;
    const auto note = [&](std::string field, Json one, Json other) {
        if (one == other) return;
        differences.push_back(
            {check, device, role, std::move(field), std::move(one), std::move(other)});
    };
    const auto outcome = [](const Attempt* attempt) {
        return attempt != nullptr ? Json(name_of(attempt->outcome)) : Json();
    };
    note("outcome", outcome(left), outcome(right));
    if (left == nullptr || right == nullptr) return;
    for (const auto& metric : left->observation) {
        note(metric.metric, value_of(&metric),
             value_of(find_metric(right->observation, metric.metric)));
    }
    for (const auto& metric : right->observation) {
        if (find_metric(left->observation, metric.metric) != nullptr) continue;
        note(metric.metric, Json(), value_of(&metric));
    }
}

}  // namespace

Result<Verification> verify(const std::filesystem::path& directory) {
    const auto chain = read_chain(directory);
    if (!chain) return chain.error();
    if (auto good = verify_blobs(directory, *chain); !good) return good.error();
    const auto blobs = list_blobs(directory);
    if (!blobs) return blobs.error();
    Verification found{chain->records.size(), chain->segment_count, blobs->size(),
                       chain->head(),         chain->torn,          false};
    if (!chain->records.empty() && chain->records.back().kind == "finished") {
        const auto end = session_end_from_json(chain->records.back().body, "finished");
        found.complete = end && end->complete;
    }
    return found;
}

Result<Json> export_json(const std::filesystem::path& directory) {
    if (auto good = verify(directory); !good) return good.error();
    const auto chain = read_chain(directory);
    if (!chain) return chain.error();
    Json records = Json::array();
    for (const auto& record : chain->records) {
        records.push_back({{"schema", "ascertain.record/1"},
                           {"sequence", record.sequence},
                           {"kind", record.kind},
                           {"time_utc", record.time_utc},
                           {"previous", record.previous},
                           {"body", record.body},
                           {"hash", record.hash}});
    }
    return Json{{"schema", "ascertain.evidence/1"},
                {"head", chain->head()},
                {"records", std::move(records)}};
}

Result<std::vector<Difference>> diff(const std::vector<Record>& left,
                                     const std::vector<Record>& right) {
    const auto one = last_attempts(left);
    if (!one) return one.error();
    const auto other = last_attempts(right);
    if (!other) return other.error();
    std::vector<Difference> differences;
    for (const auto& key : one->order) {
        const auto match = other->by_key.find(key);
        compare(key, &one->by_key.at(key), match == other->by_key.end() ? nullptr : &match->second,
                differences);
    }
    for (const auto& key : other->order) {
        if (one->by_key.contains(key)) continue;
        compare(key, nullptr, &other->by_key.at(key), differences);
    }
    return differences;
}

}  // namespace ascertain::evidence
