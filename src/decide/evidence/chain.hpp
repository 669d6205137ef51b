// The chain of records: how one record becomes one line, and how a directory of segments is read
// back and held against its hashes. Needs no lock: a run may be read while it goes on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::evidence {

// A record line longer than this is refused; large data belongs into blobs.
inline constexpr std::uint64_t kRecordBytesMax = 32u << 20;
// No segment is ever larger: a new one begins long before.
inline constexpr std::uint64_t kSegmentBytesMax = 1u << 30;
// `previous` of the first record.
inline constexpr std::string_view kChainStart =
    "0000000000000000000000000000000000000000000000000000000000000000";

struct Record {
    std::uint64_t sequence = 0;  // 1, 2, 3 … without gaps
    std::string kind;            // "attempt"; decide/evidence/records.hpp lists the bodies
    std::string time_utc;        // when it was written
    std::string previous;        // hash of the record before
    std::string hash;            // SHA-256 of this record's line up to `,"hash":`
    Json body;

    // "r000012": how verdict and report refer to it.
    [[nodiscard]] std::string id() const;
};

// The bytes of the record's line, newline included, and `record.hash` set to what they carry.
// kEvidence when the line would be longer than kRecordBytesMax or could not be read back.
[[nodiscard]] Result<std::string> to_line(Record& record);

// The reverse, without the newline. kEvidence when it is no record or its hash is wrong.
[[nodiscard]] Result<Record> from_line(std::string_view line, std::string_view name);

// Where a record stands in the segments.
struct Position {
    std::uint64_t segment = 0;  // 1 is segments/000001.jsonl
    std::uint64_t offset_bytes = 0;
    std::uint64_t size_bytes = 0;  // with its newline
};

// Bytes after the last complete record: a write that a crash or a full disk cut short.
struct TornTail {
    std::uint64_t segment = 0;
    std::uint64_t offset_bytes = 0;
    std::uint64_t size_bytes = 0;
};

struct Chain {
    std::vector<Record> records;
    std::vector<Position> positions;  // one for each record
    std::optional<TornTail> torn;
    std::uint64_t segment_count = 0;
    std::uint64_t last_segment_bytes = 0;  // without the torn tail

    // Hash of the last record: who notes it down can later prove that nothing was cut off the end.
    [[nodiscard]] std::string head() const;
};

[[nodiscard]] std::filesystem::path segment_path(const std::filesystem::path& directory,
                                                 std::uint64_t segment);

// Every record of the run in `directory`, held against the chain. kEvidence names the first record
// that does not fit and its place. A torn tail is reported in the result, not an error. O(bytes).
[[nodiscard]] Result<Chain> read_chain(const std::filesystem::path& directory);

// The records alone: what the judge and the report start from.
[[nodiscard]] Result<std::vector<Record>> read_all(const std::filesystem::path& directory);

// One record, from its place; its own hash is checked, its neighbours are not.
[[nodiscard]] Result<Record> read_record(const std::filesystem::path& directory,
                                         const Position& position);

}  // namespace ascertain::evidence
