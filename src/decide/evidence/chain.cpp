#include "decide/evidence/chain.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/text.hpp"
#include "decide/evidence/files.hpp"

namespace ascertain::evidence {
namespace {

constexpr std::string_view kSchema = "ascertain.record/1";
constexpr std::string_view kHashKey = ",\"hash\":\"";
constexpr std::size_t kHashDigits = 64;
constexpr JsonLimits kLineLimits{.size_bytes_max = kRecordBytesMax, .depth_max = 64};

Error misfit(std::string message, std::string_view name) {
    return {ErrorCode::kEvidence, std::move(message), std::string(name)};
}

// The numbers of the segments in `directory`, which must be 1 to n.
Result<std::uint64_t> count_segments(const std::filesystem::path& directory) {
    const auto folder = directory / "segments";
    std::error_code problem;
    std::set<std::string> names;
    std::filesystem::directory_iterator entries(folder, problem);
    if (problem) {
        if (problem.value() == ENOENT && std::filesystem::is_directory(directory)) {
            return misfit("holds no evidence: there is no segments/ in it", directory.string());
        }
        return file_error("read the evidence", directory, problem.value());
    }
    for (; entries != std::filesystem::directory_iterator(); entries.increment(problem)) {
        if (problem) break;
        const auto name = entries->path().filename().string();
        if (name.ends_with(".jsonl") && !name.starts_with(".")) names.insert(name);
    }
    if (problem) return file_error("read the evidence", folder, problem.value());
    std::uint64_t count = 0;
    for (const auto& name : names) {
        const auto expected = segment_path(directory, ++count).filename().string();
        if (name != expected) {
            return misfit(
                fmt::format("{} is missing: the next segment found is {}", expected, name),
                folder.string());
        }
    }
    return count;
}

// Length of what follows the last complete record of the last segment. Only a line without its
// newline, or the zeros that some file systems leave after a power cut, can be a torn write.
std::size_t torn_size(std::string_view bytes) {
    std::size_t end = bytes.size();
    while (end > 0 && bytes[end - 1] == '\0') --end;
    const auto newline = bytes.substr(0, end).rfind('\n');
    const std::size_t complete = newline == std::string_view::npos ? 0 : newline + 1;
    return bytes.size() - complete;
}

Result<void> read_segment(std::string_view bytes, std::uint64_t segment, std::string_view path,
                          Chain& chain) {
    std::size_t start = 0;
    std::size_t line_number = 0;
    while (start < bytes.size()) {
        ++line_number;
        const std::uint64_t sequence = chain.records.size() + 1;
        const std::string name = fmt::format("{}:{}: record {}", path, line_number, sequence);
        const auto newline = bytes.find('\n', start);
        if (newline == std::string_view::npos) return misfit("the line has no end", name);
        auto record = from_line(bytes.substr(start, newline - start), name);
        if (!record) return record.error();
        if (record->sequence != sequence) {
            return misfit(fmt::format("is numbered {}: records are missing or out of order",
                                      record->sequence),
                          name);
        }
        if (record->previous != chain.head()) {
            return misfit("does not follow the record before it: one of the two was changed", name);
        }
        chain.records.push_back(std::move(*record));
        chain.positions.push_back({segment, start, newline + 1 - start});
        start = newline + 1;
    }
    return {};
}

}  // namespace

std::string Record::id() const {
    return fmt::format("r{:06}", sequence);
}

std::string Chain::head() const {
    return records.empty() ? std::string(kChainStart) : records.back().hash;
}

std::filesystem::path segment_path(const std::filesystem::path& directory, std::uint64_t segment) {
    return directory / "segments" / fmt::format("{:06}.jsonl", segment);
}

Result<std::string> to_line(Record& record) {
    const Json open{{"schema", kSchema},           {"sequence", record.sequence},
                    {"kind", record.kind},         {"time_utc", record.time_utc},
                    {"previous", record.previous}, {"body", record.body}};
    // Text that is no UTF-8 (a library's message, say) is mended rather than lost.
    std::string line = open.dump(-1, ' ', false, Json::error_handler_t::replace);
    line.pop_back();
    record.hash = sha256(line);
    line += fmt::format("{}{}\"}}\n", kHashKey, record.hash);
    const auto name = fmt::format("record {}", record.sequence);
    const auto readable = from_line(std::string_view(line).substr(0, line.size() - 1), name);
    if (!readable) return readable.error();
    return line;
}

Result<Record> from_line(std::string_view line, std::string_view name) {
    const std::size_t tail = kHashKey.size() + kHashDigits + 2;
    const auto document = parse_json(line, name, kLineLimits);
    if (!document) return misfit("is no record: " + document.error().message, name);
    if (line.size() < tail || line.substr(line.size() - tail, kHashKey.size()) != kHashKey) {
        return misfit("is no record: it does not end in its hash", name);
    }
    Record record;
    record.hash = std::string(line.substr(line.size() - 2 - kHashDigits, kHashDigits));
    if (sha256(line.substr(0, line.size() - tail)) != record.hash) {
        return misfit("does not fit its hash: it was changed after it was written", name);
    }
    const auto schema = text_at(*document, "schema", name);
    if (!schema) return misfit(schema.error().message, name);
    if (*schema != kSchema) {
        return misfit(fmt::format("has the schema \"{}\"; this version reads \"{}\"",
                                  shortened(*schema, 40), kSchema),
                      name);
    }
    const auto sequence = integer_at(*document, "sequence", name);
    if (!sequence) return misfit(sequence.error().message, name);
    if (*sequence < 1) return misfit("has a sequence below 1", name);
    record.sequence = static_cast<std::uint64_t>(*sequence);
    for (auto [key, field] : {std::pair{"kind", &record.kind},
                              {"time_utc", &record.time_utc},
                              {"previous", &record.previous}}) {
        auto text = text_at(*document, key, name);
        if (!text) return misfit(text.error().message, name);
        *field = std::move(*text);
    }
    const auto body = document->find("body");
    if (body == document->end() || !body->is_object()) return misfit("has no body", name);
    record.body = *body;
    return record;
}

Result<Chain> read_chain(const std::filesystem::path& directory) {
    const auto count = count_segments(directory);
    if (!count) return count.error();
    Chain chain;
    chain.segment_count = *count;
    for (std::uint64_t segment = 1; segment <= *count; ++segment) {
        const auto path = segment_path(directory, segment);
        const auto bytes = read_file(path, kSegmentBytesMax);
        if (!bytes) return bytes.error();
        std::string_view complete = *bytes;
        if (segment == *count) {
            const auto torn = torn_size(complete);
            complete.remove_suffix(torn);
            chain.last_segment_bytes = complete.size();
            if (torn > 0) chain.torn = TornTail{segment, complete.size(), torn};
        }
        if (auto done = read_segment(complete, segment, path.string(), chain); !done) {
            return done.error();
        }
    }
    return chain;
}

Result<std::vector<Record>> read_all(const std::filesystem::path& directory) {
    auto chain = read_chain(directory);
    if (!chain) return chain.error();
    return std::move(chain->records);
}

Result<Record> read_record(const std::filesystem::path& directory, const Position& position) {
    const auto path = segment_path(directory, position.segment);
    const auto name = fmt::format("{} at byte {}", path.string(), position.offset_bytes);
    if (position.size_bytes < 2 || position.size_bytes > kRecordBytesMax + 1) {
        return misfit("no record has this size", name);
    }
    const auto file = open_file(path, O_RDONLY);
    if (!file) return file.error();
    std::string line(position.size_bytes, '\0');
    std::size_t filled = 0;
    while (filled < line.size()) {
        const ssize_t got = ::pread(file->number(), line.data() + filled, line.size() - filled,
                                    static_cast<off_t>(position.offset_bytes + filled));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return file_error("read", path, errno);
        if (got == 0) return misfit("the segment ends before the record does", name);
        filled += static_cast<std::size_t>(got);
    }
    return from_line(std::string_view(line).substr(0, line.size() - 1), name);
}

}  // namespace ascertain::evidence
