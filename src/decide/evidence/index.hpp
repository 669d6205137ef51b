// A way to find records without reading all of them: SQLite in `index.sqlite`, made from the
// segments whenever it is missing, damaged or behind. Never the truth; deleting it loses nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "decide/evidence/chain.hpp"

struct sqlite3;

namespace ascertain::evidence {

// Empty fields match everything.
struct IndexQuery {
    std::string kind;
    std::string check;  // '*' stands for any run of characters
    std::string device;
    std::string outcome;  // of attempts: "completed", "timed_out" …
};

struct IndexedRecord {
    std::uint64_t sequence = 0;
    std::string kind;
    std::string check;
    std::string device;
    std::string role;
    std::string outcome;
    Position position;  // for read_record()
};

class Index {
public:
    // Opens the index of the run, made afresh from the segments when it does not fit them. Needs no
    // lock: it is built aside and renamed into place. Where the directory cannot be written the
    // index is kept in memory. kEvidence when the segments themselves do not fit.
    [[nodiscard]] static Result<Index> open(const std::filesystem::path& directory);

    // In the order of the chain. Whoever then reads a record checks its hash again.
    [[nodiscard]] Result<std::vector<IndexedRecord>> find(const IndexQuery& query) const;

private:
    struct Close {
        void operator()(sqlite3* database) const;
    };
    using Database = std::unique_ptr<sqlite3, Close>;

    explicit Index(Database database) : database_(std::move(database)) {}

    Database database_;
};

}  // namespace ascertain::evidence
