// Is a run directory still what was written? And what of it can be handed on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "decide/evidence/chain.hpp"

namespace ascertain::evidence {

struct Verification {
    std::uint64_t records = 0;
    std::uint64_t segments = 0;
    std::uint64_t blobs = 0;
    std::string head;              // hash of the last record
    std::optional<TornTail> torn;  // a write cut short, which never counted
    bool complete = false;         // the last session ended by "finished" with complete = true
};

// Holds every record against the chain, and every blob that a record names against its name.
// kEvidence names the first record, in order, that does not fit, or whose blob is missing or
// damaged. O(bytes of segments and blobs).
[[nodiscard]] Result<Verification> verify(const std::filesystem::path& directory);

// Writes the verified run (segments and blobs, no lock and no index) as one tar file (POSIX.1-1988
// ustar) of fixed times and owners: the same evidence gives the same bytes. kEvidence when the run
// does not verify or `file` exists already or cannot be written.
[[nodiscard]] Result<void> export_tar(const std::filesystem::path& directory,
                                      const std::filesystem::path& file);

// All records as one document `ascertain.evidence/1`: {schema, head, records[]}. Same errors.
[[nodiscard]] Result<Json> export_json(const std::filesystem::path& directory);

// One thing in which two runs differ. `left` and `right` are null where one has nothing.
struct Difference {
    std::string check;
    std::string device;
    std::string role;
    std::string field;  // "outcome", or the name of a metric
    Json left;
    Json right;
};

// The last attempts of two runs, held against each other by check, device and role: outcomes and
// the values of metrics. In the order of the left run; what only the right has comes last.
[[nodiscard]] Result<std::vector<Difference>> diff(const std::vector<Record>& left,
                                                   const std::vector<Record>& right);

}  // namespace ascertain::evidence
