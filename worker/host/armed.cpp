#include "worker/host/armed.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "defects/read.hpp"

namespace ascertain::worker {

Result<std::vector<defects::Defect>> armed_defects() {
    const char* path = std::getenv(defects::kFileVariable);
    if (path == nullptr || *path == '\0') return std::vector<defects::Defect>();
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file) return Error{ErrorCode::kEnvironment, "the defect file cannot be read", path};
    return defects::read_defects(text, path, {});
}

Result<defects::Counts> armed_counts(const std::vector<defects::Defect>& armed) {
    const char* path = std::getenv(defects::kCountsVariable);
    if (path == nullptr || *path == '\0') return defects::Counts();
    std::vector<std::string> ids;
    for (const defects::Defect& defect : armed) ids.push_back(defect.id);
    return defects::Counts::open(path, ids);
}

}  // namespace ascertain::worker
