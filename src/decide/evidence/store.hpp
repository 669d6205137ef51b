// The writer of a run's evidence: append-only, hash-chained, one writer at a time. What `append`
// has returned survives kill -9 and a crash of the machine.
//
//     auto store = Store::create(directory, {.now_utc = utc_now});
//     auto id = store->append("attempt", to_json(attempt));
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "decide/evidence/chain.hpp"
#include "decide/evidence/files.hpp"
#include "decide/evidence/lock.hpp"

namespace ascertain::evidence {

struct StoreOptions {
    std::function<std::string()> now_utc;        // the clock; `utc_now` outside tests
    std::uint64_t segment_bytes_max = 8u << 20;  // a record that would pass it opens a new segment
};

class Store {
public:
    // A new run in `directory`, which is made when missing. kEvidence when it already holds a run,
    // is in use, is no directory, or cannot be written.
    [[nodiscard]] static Result<Store> create(const std::filesystem::path& directory,
                                              StoreOptions options);
    // Goes on with the run in `directory`. Checks its chain first; a torn last write is moved to
    // torn/ and reported by `repaired()`, anything else that does not fit is kEvidence. O(bytes).
    [[nodiscard]] static Result<Store> open(const std::filesystem::path& directory,
                                            StoreOptions options);

    Store(Store&&) noexcept = default;

    // Writes one record and flushes it to disk; returns its id ("r000012"). On failure the record
    // does not count: its bytes are taken back, or, where that fails too, every later append is
    // refused and the next `open` repairs the tail. One caller at a time.
    [[nodiscard]] Result<std::string> append(std::string_view kind, const Json& body);

    [[nodiscard]] Result<std::string> put_blob(std::string_view content);
    [[nodiscard]] Result<std::string> get_blob(std::string_view name) const;

    // Every record so far, read back from disk and checked.
    [[nodiscard]] Result<std::vector<Record>> read_all() const;

    [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
    [[nodiscard]] std::uint64_t record_count() const { return sequence_; }
    [[nodiscard]] const std::string& head() const { return head_; }
    // One sentence about what `open` had to repair; empty when nothing.
    [[nodiscard]] const std::string& repaired() const { return repaired_; }

private:
    Store(std::filesystem::path directory, StoreOptions options, Lock lock)
        : directory_(std::move(directory)), options_(std::move(options)), lock_(std::move(lock)) {}

    Result<void> repair(const Chain& chain);
    Result<void> start_segment();
    Result<void> write_line(std::string_view line);

    std::filesystem::path directory_;
    StoreOptions options_;
    Lock lock_;
    Descriptor segment_;
    std::uint64_t segment_number_ = 0;
    std::uint64_t segment_bytes_ = 0;
    std::uint64_t sequence_ = 0;
    std::string head_{kChainStart};
    std::string repaired_;
    std::string broken_;  // why nothing more may be written; empty while all is well
};

}  // namespace ascertain::evidence
