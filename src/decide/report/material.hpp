// What the report draws from: the verdict beside the evidence, read and indexed once.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "decide/evidence/records.hpp"
#include "decide/report/html.hpp"
#include "decide/report/vendor_script.hpp"

namespace ascertain::report {

struct RecordedAttempt {
    const Record* record;
    evidence::Attempt attempt;
};

struct Unreadable {
    const Record* record;
    std::string why;
};

struct Material {
    const ReportInput& input;
    std::map<std::string, const Record*, std::less<>> by_id{};
    std::vector<RecordedAttempt> attempts{};
    std::vector<Unreadable> unreadable{};  // records whose body is not of its kind's form
    std::optional<evidence::SessionContext> context{};  // of the first session
    std::optional<evidence::RequiredSet> required{};
    std::optional<evidence::SessionEnd> end{};  // of the last session; absent while it runs
    std::vector<const Record*> plans{};         // one per stage of the campaign
    const Record* projection = nullptr;         // the last one
    std::map<std::string, std::size_t, std::less<>> measured_index{};  // see measured() below
    std::vector<VendorScript> scripts{};  // beside the report; filled by html() alone

    [[nodiscard]] const judge::Verdict& verdict() const { return input.verdict; }
    // The simulator's document, or null.
    [[nodiscard]] const Json& projection_document() const;
    // The campaign as read; null when no context was recorded.
    [[nodiscard]] const Json& campaign() const;
};

// The result points into `input`, which must outlive it.
[[nodiscard]] Material gather(const ReportInput& input);

// The last completed attempt at `check` that was a measurement, not a control; null when none was.
[[nodiscard]] const RecordedAttempt* measured(const Material& material, std::string_view check,
                                              std::string_view device);

}  // namespace ascertain::report
