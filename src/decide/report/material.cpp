#include "decide/report/material.hpp"

#include <fmt/format.h>

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

std::string key_of(std::string_view check, std::string_view device) {
    return fmt::format("{}\n{}", check, device);
}

void add(Material& material, const Record& record) {
    if (record.kind == "attempt") {
        if (auto attempt = read_body(material, record, evidence::attempt_from_json)) {
            const bool counts = attempt->outcome == evidence::Outcome::kCompleted &&
                                attempt->role == evidence::Role::kMeasure;
            const std::string key = key_of(attempt->check, attempt->device);
            material.attempts.push_back({&record, std::move(*attempt)});
            if (counts) material.measured_index[key] = material.attempts.size() - 1;
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
        material.plans.push_back(&record);
    } else if (record.kind == "projection") {
        material.projection = &record;
    }
}

}  // namespace

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
    const auto found = material.measured_index.find(key_of(check, device));
    return found == material.measured_index.end() ? nullptr : &material.attempts[found->second];
}

}  // namespace ascertain::report
