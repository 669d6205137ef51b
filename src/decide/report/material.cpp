#include "decide/report/material.hpp"

#include "decide/report/numbers.hpp"

namespace ascertain::report {
namespace {

// Reads `record` by `read`; a record of the wrong form is kept aside, never passed over in silence.
template <typename T>
std::optional<T> read_body(Material& material, const Record& record,
                           Result<T> (*read)(const Json&, std::string_view)) {
    auto value = read(record.body, record.kind + " record " + record.id());
    if (value) return std::move(*value);
    material.unreadable.push_back({&record, value.error().text()});
    return std::nullopt;
}

void add(Material& material, const Record& record) {
    if (record.kind == "attempt") {
        if (auto attempt = read_body(material, record, evidence::attempt_from_json)) {
            material.attempts.push_back({&record, std::move(*attempt)});
        }
    } else if (record.kind == "context") {
        auto context = read_body(material, record, evidence::context_from_json);
        if (context && !material.context) material.context = std::move(context);
        material.end.reset();  // a new session began: the run is not at its end
    } else if (record.kind == "required") {
        if (auto set = read_body(material, record, evidence::required_from_json)) {
            material.required = std::move(set);
        }
    } else if (record.kind == "finished" || record.kind == "interrupted") {
        material.end = read_body(material, record, evidence::session_end_from_json);
    } else if (record.kind == "plan") {
        material.plan = &record;
    } else if (record.kind == "projection") {
        material.projection = &record;
    }
}

}  // namespace

const Json& Material::plan_document() const {
    static const Json kNone;
    return plan == nullptr ? kNone : member(plan->body, "document");
}

const Json& Material::projection_document() const {
    if (projection != nullptr) return member(projection->body, "document");
    return verdict().projection;
}

const Json& Material::campaign() const {
    return context ? context->campaign : member(verdict().context, "campaign");
}

Material gather(const ReportInput& input) {
    Material material{.input = input};
    for (const Record& record : input.records) {
        material.by_id.emplace(record.id(), &record);
        add(material, record);
    }
    return material;
}

const RecordedAttempt* measured(const Material& material, std::string_view check,
                                std::string_view device) {
    const RecordedAttempt* last = nullptr;
    for (const auto& recorded : material.attempts) {
        const auto& attempt = recorded.attempt;
        const bool counts = attempt.outcome == evidence::Outcome::kCompleted &&
                            attempt.role == evidence::Role::kMeasure;
        if (counts && attempt.check == check && attempt.device == device) last = &recorded;
    }
    return last;
}

}  // namespace ascertain::report
