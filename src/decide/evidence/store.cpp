#include "decide/evidence/store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "decide/evidence/blobs.hpp"

namespace ascertain::evidence {
namespace {

Error taken(const std::filesystem::path& directory) {
    return {ErrorCode::kEvidence,
            "already holds a run; go on with it by --resume, or choose another --out",
            directory.string()};
}

}  // namespace

Result<Store> Store::create(const std::filesystem::path& directory, StoreOptions options) {
    ASCERTAIN_ASSERT(options.now_utc != nullptr);
    if (auto made = make_directory(directory); !made) return made.error();
    std::error_code problem;
    const auto segments = directory / "segments";
    auto lock = Lock::take(directory, options.now_utc());
    if (!lock) return lock.error();
    if (std::filesystem::exists(segments, problem)) return taken(directory);
    if (auto made = make_directory(segments); !made) return made.error();
    Store store(directory, std::move(options), std::move(*lock));
    if (auto started = store.start_segment(); !started) {
        // Nothing was recorded, so nothing may look like a run.
        std::filesystem::remove_all(segments, problem);
        return started.error();
    }
    if (auto flushed = flush_directory(directory); !flushed) return flushed.error();
    return store;
}

Result<Store> Store::open(const std::filesystem::path& directory, StoreOptions options) {
    ASCERTAIN_ASSERT(options.now_utc != nullptr);
    std::error_code problem;
    if (!std::filesystem::is_directory(directory, problem)) {
        return file_error("open the evidence", directory, problem ? problem.value() : ENOTDIR);
    }
    auto lock = Lock::take(directory, options.now_utc());
    if (!lock) return lock.error();
    const auto chain = read_chain(directory);
    if (!chain) return chain.error();
    Store store(directory, std::move(options), std::move(*lock));
    remove_partial_blobs(directory);
    if (chain->torn) {
        if (auto done = store.repair(*chain); !done) return done.error();
    }
    store.sequence_ = chain->records.size();
    store.head_ = chain->head();
    store.segment_number_ = chain->segment_count;
    if (store.segment_number_ == 0) {
        if (auto started = store.start_segment(); !started) return started.error();
        return store;
    }
    auto segment = open_file(segment_path(directory, store.segment_number_), O_WRONLY | O_APPEND);
    if (!segment) return segment.error();
    store.segment_ = std::move(*segment);
    store.segment_bytes_ = chain->last_segment_bytes;
    return store;
}

Result<void> Store::repair(const Chain& chain) {
    const TornTail& torn = *chain.torn;
    const auto path = segment_path(directory_, torn.segment);
    const auto bytes = read_file(path, kSegmentBytesMax);
    if (!bytes) return bytes.error();
    // The bytes are kept for whoever wants to see them; they count as nothing.
    const auto kept =
        directory_ / "torn" / fmt::format("{:06}-{}.part", torn.segment, torn.offset_bytes);
    if (auto made = make_directory(kept.parent_path()); !made) return made.error();
    if (auto saved = write_atomically(kept, std::string_view(*bytes).substr(torn.offset_bytes));
        !saved) {
        return saved;
    }
    const auto file = open_file(path, O_WRONLY);
    if (!file) return file.error();
    if (::ftruncate(file->number(), static_cast<off_t>(torn.offset_bytes)) != 0) {
        return file_error("cut off a torn record", path, errno);
    }
    if (auto flushed = flush(*file, path); !flushed) return flushed;
    repaired_ = fmt::format(
        "the write after record {} was cut short ({} bytes); it never counted and was moved to {}",
        chain.records.size(), torn.size_bytes, kept.string());
    return {};
}

Result<void> Store::start_segment() {
    const auto path = segment_path(directory_, segment_number_ + 1);
    auto file = open_file(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL);
    if (!file) return file.error();
    if (auto flushed = flush_directory(path.parent_path()); !flushed) {
        ::unlink(path.c_str());
        return flushed;
    }
    segment_ = std::move(*file);
    segment_number_ += 1;
    segment_bytes_ = 0;
    return {};
}

Result<void> Store::write_line(std::string_view line) {
    const auto path = segment_path(directory_, segment_number_);
    auto written = write_all(segment_, line, path);
    if (!written) {
        // The disk may have room again later; a record in pieces must not stand in the way.
        if (::ftruncate(segment_.number(), static_cast<off_t>(segment_bytes_)) != 0) {
            broken_ = written.error().message;
        }
        return written;
    }
    if (auto flushed = flush(segment_, path); !flushed) {
        // After a failed flush the kernel may forget what it could not write: nothing later in
        // this file could be trusted (Rebello et al., "Can applications recover from fsync
        // failures?", USENIX ATC 2020).
        broken_ = flushed.error().message;
        static_cast<void>(::ftruncate(segment_.number(), static_cast<off_t>(segment_bytes_)));
        return flushed;
    }
    segment_bytes_ += line.size();
    return {};
}

Result<std::string> Store::append(std::string_view kind, const Json& body) {
    if (!broken_.empty()) {
        return Error{ErrorCode::kEvidence,
                     fmt::format("nothing more can be recorded after an earlier failure ({}); mend "
                                 "it and go on with --resume",
                                 broken_),
                     directory_.string()};
    }
    Record record{sequence_ + 1, std::string(kind), options_.now_utc(), head_, {}, body};
    const auto line = to_line(record);
    if (!line) return line.error();
    if (segment_bytes_ > 0 && segment_bytes_ + line->size() > options_.segment_bytes_max) {
        if (auto started = start_segment(); !started) return started.error();
    }
    if (auto written = write_line(*line); !written) return written.error();
    sequence_ = record.sequence;
    head_ = record.hash;
    return record.id();
}

Result<std::string> Store::put_blob(std::string_view content) {
    return evidence::put_blob(directory_, content);
}

Result<std::string> Store::get_blob(std::string_view name) const {
    return evidence::get_blob(directory_, name);
}

Result<std::vector<Record>> Store::read_all() const {
    return evidence::read_all(directory_);
}

}  // namespace ascertain::evidence
