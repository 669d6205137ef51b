#include "app/prove/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "app/files.hpp"

namespace ascertain::app {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kLogBytesMax = 256u << 20;

}  // namespace

Result<std::unique_ptr<ProofLog>> ProofLog::open(const std::string& directory, bool resume,
                                                 const Json& question) {
    auto log = std::make_unique<ProofLog>();
    if (directory.empty()) return log;
    std::error_code failed;
    fs::create_directories(directory, failed);
    log->path_ = directory + "/results.jsonl";
    const bool there = fs::exists(log->path_);
    if (there && !resume) {
        return Error{ErrorCode::kUsage,
                     "this directory holds a proof already; --resume goes on with it", directory};
    }
    if (there) {
        if (const auto read = log->read_earlier(question); !read) return read.error();
    }
    log->file_.open(log->path_, std::ios::app);
    if (!there) {
        if (const auto written = log->write({{"question", question}}); !written) {
            return written.error();
        }
    }
    return log;
}

Result<void> ProofLog::read_earlier(const Json& question) {
    const auto text = read_file(path_, kLogBytesMax);
    if (!text) return text.error();
    std::istringstream lines(*text);
    std::size_t number = 0;
    std::uintmax_t whole_bytes = 0;
    for (std::string line; std::getline(lines, line);) {
        const std::string place = fmt::format("{}:{}", path_, ++number);
        // A line without its end was being written when the session was cut off.
        if (lines.eof()) break;
        whole_bytes += line.size() + 1;
        const auto body = parse_json(line, place);
        if (!body) return body.error();
        if (body->contains("question")) {
            if ((*body)["question"] == question) continue;
            return Error{
                ErrorCode::kUsage,
                "was made with another seed, --all-checks or --profile standard, or by other "
                "checks or criteria; begin anew in another --out",
                place};
        }
        if (body->contains("variant")) {
            auto result = healthy_result_from_json(*body, place);
            if (!result) return result.error();
            healthy_.push_back(*std::move(result));
        } else {
            auto result = defect_result_from_json(*body, place);
            if (!result) return result.error();
            defects_.push_back(*std::move(result));
        }
    }
    std::error_code failed;
    fs::resize_file(path_, whole_bytes, failed);
    return {};
}

const DefectResult* ProofLog::find(const std::string& id) const {
    const auto found = std::ranges::find(defects_.rbegin(), defects_.rend(), id, &DefectResult::id);
    return found == defects_.rend() ? nullptr : &*found;
}

const HealthyResult* ProofLog::find(const std::string& variant, std::uint64_t seed,
                                    const std::string& profile) const {
    const auto found = std::ranges::find_if(healthy_, [&](const HealthyResult& result) {
        return result.variant == variant && result.seed == seed && result.profile == profile;
    });
    return found == healthy_.end() ? nullptr : &*found;
}

Result<void> ProofLog::write(const Json& line) {
    if (path_.empty()) return {};
    const std::lock_guard lock(mutex_);
    file_ << line.dump() << '\n' << std::flush;
    if (file_) return {};
    return Error{ErrorCode::kEvidence, fmt::format("cannot be written: {}", std::strerror(errno)),
                 path_};
}

Result<void> ProofLog::keep(const DefectResult& result) {
    return write(to_json(result));
}

Result<void> ProofLog::keep(const HealthyResult& result) {
    return write(to_json(result));
}

}  // namespace ascertain::app
