// The results of a proof on disk, one line of JSON each, so that an interrupted one can go on.
#pragma once

#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "app/prove/results.hpp"

namespace ascertain::app {

class ProofLog {
public:
    // Opens `directory`/results.jsonl; no directory: keeps nothing. `question` says what the
    // results depend on; a log that is resumed must have been made under the same. Errors: kUsage
    // when the directory holds a proof and `resume` is off, or another one's; kEvidence.
    [[nodiscard]] static Result<std::unique_ptr<ProofLog>> open(const std::string& directory,
                                                                bool resume, const Json& question);

    // What an earlier session found; of a defect that was shown to both profiles, at the last.
    [[nodiscard]] const DefectResult* find(const std::string& id) const;
    [[nodiscard]] const HealthyResult* find(const std::string& variant, std::uint64_t seed,
                                            const std::string& profile) const;

    // Safe to call from any thread. Error: kEvidence.
    [[nodiscard]] Result<void> keep(const DefectResult& result);
    [[nodiscard]] Result<void> keep(const HealthyResult& result);

private:
    [[nodiscard]] Result<void> write(const Json& line);
    [[nodiscard]] Result<void> read_earlier(const Json& question);

    std::mutex mutex_;
    std::string path_;
    std::ofstream file_;
    std::vector<DefectResult> defects_;
    std::vector<HealthyResult> healthy_;
};

}  // namespace ascertain::app
