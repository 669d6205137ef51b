#include "decide/evidence/index.hpp"

#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <optional>

#include "decide/evidence/files.hpp"

namespace ascertain::evidence {
namespace {

// Changes with the table, so that an index of another version is made afresh.
constexpr int kVersion = 1;
constexpr const char* kTables =
    "CREATE TABLE meta (version INTEGER, segments INTEGER, last_bytes INTEGER);"
    "CREATE TABLE record (sequence INTEGER PRIMARY KEY, kind TEXT, check_id TEXT, device TEXT,"
    " role TEXT, outcome TEXT, segment INTEGER, offset_bytes INTEGER, size_bytes INTEGER);"
    "CREATE INDEX by_check ON record (check_id, device);";

struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

Error sqlite_error(sqlite3* database, std::string_view action) {
    return {ErrorCode::kEvidence,
            fmt::format("cannot {} the index: {}; delete index.sqlite, it will be made again",
                        action, database != nullptr ? sqlite3_errmsg(database) : "no memory"),
            "index.sqlite"};
}

Statement prepare(sqlite3* database, const char* sql) {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(database, sql, -1, &statement, nullptr);
    return Statement(statement);
}

void put(const Statement& statement, int column, std::string_view text) {
    // Copied: the source may be gone before the statement runs.
    sqlite3_bind_text(statement.get(), column, text.data(), static_cast<int>(text.size()),
                      SQLITE_TRANSIENT);  // NOLINT: the macro's cast is SQLite's
}
void put(const Statement& statement, int column, std::uint64_t number) {
    sqlite3_bind_int64(statement.get(), column, static_cast<sqlite3_int64>(number));
}

std::string text_in(const Statement& statement, int column) {
    const auto* text = sqlite3_column_text(statement.get(), column);
    return text == nullptr ? "" : reinterpret_cast<const char*>(text);
}
std::uint64_t number_in(const Statement& statement, int column) {
    return static_cast<std::uint64_t>(sqlite3_column_int64(statement.get(), column));
}

// How far the segments reach: what an index must agree with to be used.
struct Extent {
    std::uint64_t segments = 0;
    std::uint64_t last_bytes = 0;
    friend bool operator==(const Extent&, const Extent&) = default;
};

Extent extent_of(const std::filesystem::path& directory) {
    Extent extent;
    std::error_code missing;
    for (;;) {
        const auto size =
            std::filesystem::file_size(segment_path(directory, extent.segments + 1), missing);
        if (missing) return extent;
        extent = {extent.segments + 1, size};
    }
}

std::optional<Extent> extent_in(sqlite3* database) {
    const auto statement = prepare(database, "SELECT version, segments, last_bytes FROM meta");
    if (!statement || sqlite3_step(statement.get()) != SQLITE_ROW) return std::nullopt;
    if (sqlite3_column_int(statement.get(), 0) != kVersion) return std::nullopt;
    return Extent{number_in(statement, 1), number_in(statement, 2)};
}

std::string field(const Record& record, const char* key) {
    const auto found = record.body.find(key);
    return found != record.body.end() && found->is_string() ? found->get<std::string>() : "";
}

bool insert_all(sqlite3* database, const Chain& chain) {
    const auto insert = prepare(database, "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    if (!insert) return false;
    for (std::size_t i = 0; i < chain.records.size(); ++i) {
        const auto& record = chain.records[i];
        const auto& position = chain.positions[i];
        put(insert, 1, record.sequence);
        put(insert, 2, record.kind);
        put(insert, 3, field(record, "check"));
        put(insert, 4, field(record, "device"));
        put(insert, 5, field(record, "role"));
        put(insert, 6, field(record, "outcome"));
        put(insert, 7, position.segment);
        put(insert, 8, position.offset_bytes);
        put(insert, 9, position.size_bytes);
        if (sqlite3_step(insert.get()) != SQLITE_DONE) return false;
        sqlite3_reset(insert.get());
    }
    return true;
}

bool fill(sqlite3* database, const Chain& chain, const Extent& extent) {
    const auto run = [&](const char* sql) {
        return sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK;
    };
    if (!run("PRAGMA journal_mode = OFF") || !run("BEGIN") || !run(kTables)) return false;
    if (!insert_all(database, chain)) return false;
    const auto meta = prepare(database, "INSERT INTO meta VALUES (?, ?, ?)");
    if (!meta) return false;
    put(meta, 1, static_cast<std::uint64_t>(kVersion));
    put(meta, 2, extent.segments);
    put(meta, 3, extent.last_bytes);
    return sqlite3_step(meta.get()) == SQLITE_DONE && run("COMMIT");
}

// "unix-none" takes no locks, which network file systems may not have: nobody ever writes to an
// index that others can see.
sqlite3* open_database(const std::string& path, int flags) {
    sqlite3* database = nullptr;
    const bool good = sqlite3_open_v2(path.c_str(), &database, flags, "unix-none") == SQLITE_OK;
    if (good) return database;
    sqlite3_close(database);
    return nullptr;
}

}  // namespace

void Index::Close::operator()(sqlite3* database) const {
    sqlite3_close(database);
}

Result<Index> Index::open(const std::filesystem::path& directory) {
    const auto path = directory / "index.sqlite";
    const Extent extent = extent_of(directory);
    std::error_code problem;
    if (std::filesystem::is_regular_file(path, problem)) {
        Database existing(open_database(path.string(), SQLITE_OPEN_READONLY));
        if (existing && extent_in(existing.get()) == extent) return Index(std::move(existing));
    }
    const auto chain = read_chain(directory);
    if (!chain) return chain.error();
    constexpr int kNew = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    const auto aside = directory / fmt::format(".index.{}.part", ::getpid());
    std::filesystem::remove(aside, problem);
    Database built(open_database(aside.string(), kNew));
    const bool kept = built && fill(built.get(), *chain, extent);
    built.reset();
    if (kept && ::rename(aside.c_str(), path.c_str()) == 0) {
        Database database(open_database(path.string(), SQLITE_OPEN_READONLY));
        if (database) return Index(std::move(database));
    }
    std::filesystem::remove(aside, problem);
    Database in_memory(open_database(":memory:", kNew));
    if (!in_memory || !fill(in_memory.get(), *chain, extent)) {
        return sqlite_error(in_memory.get(), "make");
    }
    return Index(std::move(in_memory));
}

Result<std::vector<IndexedRecord>> Index::find(const IndexQuery& query) const {
    const auto statement = prepare(
        database_.get(),
        "SELECT sequence, kind, check_id, device, role, outcome, segment, offset_bytes, size_bytes"
        " FROM record WHERE (?1 = '' OR kind = ?1) AND (?2 = '' OR check_id GLOB ?2)"
        " AND (?3 = '' OR device = ?3) AND (?4 = '' OR outcome = ?4) ORDER BY sequence");
    if (!statement) return sqlite_error(database_.get(), "read");
    put(statement, 1, query.kind);
    put(statement, 2, query.check);
    put(statement, 3, query.device);
    put(statement, 4, query.outcome);
    std::vector<IndexedRecord> found;
    for (;;) {
        const int step = sqlite3_step(statement.get());
        if (step == SQLITE_DONE) return found;
        if (step != SQLITE_ROW) return sqlite_error(database_.get(), "read");
        found.push_back(
            {number_in(statement, 0),
             text_in(statement, 1),
             text_in(statement, 2),
             text_in(statement, 3),
             text_in(statement, 4),
             text_in(statement, 5),
             {number_in(statement, 6), number_in(statement, 7), number_in(statement, 8)}});
    }
}

}  // namespace ascertain::evidence
