// How often each defect of a file matched and fired, kept in a file while the process runs, so that
// it survives a crash. Several engines, and the processes that follow one another after a crash,
// add to the same file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace ascertain::defects {

inline constexpr const char* kFileVariable = "ASCERTAIN_DEFECTS";
inline constexpr const char* kCountsVariable = "ASCERTAIN_DEFECTS_COUNTS";

struct Count {
    std::string id;
    std::int64_t matched = 0;
    std::int64_t fired = 0;
};

class Counts {
public:
    // Keeps nothing.
    Counts() = default;
    // One line per id, "id matched fired". A file that already has these ids is added to, any other
    // is begun anew; "%p" in `path` becomes the process's number. Errors: kEnvironment.
    [[nodiscard]] static Result<Counts> open(const std::string& path,
                                             const std::vector<std::string>& ids);

    Counts(Counts&& other) noexcept;
    Counts& operator=(Counts&& other) noexcept;
    ~Counts();

    // Adds to the line of the defect at `place`. Not for two threads at once.
    void add(std::size_t place, std::int64_t matched, std::int64_t fired);

private:
    int file_ = -1;
    std::vector<std::string> ids_;
};

// What such a file says. Errors: kBadInput with file and line.
[[nodiscard]] Result<std::vector<Count>> read_counts(std::string_view text,
                                                     const std::string& path);

}  // namespace ascertain::defects
