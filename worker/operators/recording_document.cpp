#include "worker/operators/recording_document.hpp"

#include <fmt/format.h>

#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace ascertain::operators {
namespace {

struct OperatorRow {
    std::int64_t count = 0;
    double seconds = 0.0;
    bool compute = true;
    std::int64_t host_copies = 0;
    double host_copy_bytes = 0.0;
    Json case_ids = Json::array();
    std::string without_case_reason;
};

// An operator that reads a list of sizes or offsets on the host copies a few numbers; a fallback
// copies operands. Of smaller operands only the tables can tell.
constexpr double kNumbersPerCopy_bytes = 4096.0;

// What the registration tables say and what was seen: operands that an operator copies between host
// and device are those of a fallback, whatever the tables say.
void put_support(Json& item, const OperatorRow& row, std::string_view registered) {
    const bool copied =
        row.host_copy_bytes > kNumbersPerCopy_bytes * static_cast<double>(row.host_copies);
    item["support"] = copied ? "fallback" : registered;
    item["support_registered"] = registered;
    item["host_copies"] = row.host_copies;
    item["host_copy_bytes"] = row.host_copy_bytes;
    const bool falls_back = registered == "fallback";
    if (!copied && !falls_back) return;
    item["support_reason"] = fmt::format(
        "registration tables: {}; recorder: {} copies between host and device, {:.0f} bytes{}",
        registered, row.host_copies, row.host_copy_bytes,
        copied == falls_back ? "" : "; the two disagree");
}

}  // namespace

Json gemms_document(const Recording& recording) {
    using Key = std::tuple<std::string, std::string, std::int64_t, std::int64_t, std::int64_t,
                           std::int64_t>;
    std::map<Key, std::int64_t> counts;
    for (const RecordedCall& call : recording.calls) {
        if (!call.gemm || call.phase == kGeneration) continue;
        counts[{call.op, call.phase, call.gemm->m, call.gemm->n, call.gemm->k, call.gemm->batch}] +=
            call.count;
    }
    Json list = Json::array();
    for (const auto& [key, count] : counts) {
        const auto& [name, phase, m, n, k, batch] = key;
        list.push_back({{"name", name},
                        {"phase", phase},
                        {"m", m},
                        {"n", n},
                        {"k", k},
                        {"batch", batch},
                        {"count", count}});
    }
    return list;
}

Json operators_document(const Recording& recording, std::optional<double> step_s) {
    using Key = std::tuple<std::string, std::string, std::string>;
    std::map<Key, OperatorRow> rows;
    std::vector<Key> order;
    for (const RecordedCall& call : recording.calls) {
        const Key key{call.op, call.overload, call.phase};
        const auto [found, is_new] = rows.try_emplace(key);
        if (is_new) order.push_back(key);
        OperatorRow& row = found->second;
        row.count += call.count;
        row.seconds += call.seconds;
        row.host_copies += call.host_copies;
        row.host_copy_bytes += call.host_copy_bytes;
        row.compute = call.compute;
        if (call.call_case) row.case_ids.push_back(id_of(*call.call_case));
        if (!call.without_case_reason.empty()) row.without_case_reason = call.without_case_reason;
    }
    Json list = Json::array();
    for (const Key& key : order) {
        const auto& [name, overload, phase] = key;
        const OperatorRow& row = rows.at(key);
        Json item = {{"name", name},
                     {"overload", overload},
                     {"phase", phase},
                     {"compute", row.compute},
                     {"count", row.count}};
        put_support(item, row, support_of(name, overload, recording.device));
        const bool in_step = phase != kGeneration;
        item["seconds"] = step_s ? Json(row.seconds) : Json(nullptr);
        item["share_of_step"] = step_s && in_step ? Json(row.seconds / *step_s) : Json(nullptr);
        if (!step_s) item["share_of_step_reason"] = "times were not kept";
        if (!in_step) item["share_of_step_reason"] = "generation is no part of the training step";
        item["case_ids"] = row.case_ids;
        item["without_case_reason"] =
            row.without_case_reason.empty() ? Json(nullptr) : Json(row.without_case_reason);
        list.push_back(std::move(item));
    }
    return list;
}

Json cases_document(const Recording& recording) {
    Json list = Json::array();
    for (const RecordedCall& call : recording.calls) {
        if (call.call_case) list.push_back(to_json(*call.call_case));
    }
    return list;
}

}  // namespace ascertain::operators
