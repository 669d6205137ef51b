#include "app/home.hpp"

#include <array>
#include <cstdlib>
#include <filesystem>

namespace ascertain::app {
namespace fs = std::filesystem;
namespace {

bool holds_data(const fs::path& folder) {
    return fs::is_directory(folder / "data" / "campaigns");
}

fs::path root_folder(const fs::path& executable) {
    if (const char* named = std::getenv("ASCERTAIN_HOME"); named != nullptr && *named != '\0')
        return named;
    for (fs::path folder = executable.parent_path(); folder.has_relative_path();
         folder = folder.parent_path()) {
        if (holds_data(folder)) return folder;
        if (holds_data(folder / "share" / "ascertain")) return folder / "share" / "ascertain";
    }
    return {};
}

// build/release/bin/ascertain has build/release/worker/ascertain-worker; an installed one has it
// in its own folder.
std::string worker_beside(const fs::path& executable) {
    const fs::path built = executable.parent_path().parent_path() / "worker" / "ascertain-worker";
    if (fs::exists(built)) return built.string();
    return (executable.parent_path() / "ascertain-worker").string();
}

std::string chart_js() {
    constexpr std::array kPlaces{"/usr/share/javascript/chart.js/chart.min.js",
                                 "/usr/share/javascript/chart.js/Chart.min.js",
                                 "/usr/share/nodejs/chart.js/dist/chart.min.js",
                                 "/usr/share/javascript/chart.js/chart.js"};
    for (const char* place : kPlaces) {
        if (fs::is_regular_file(place)) return place;
    }
    return {};
}

}  // namespace

Result<Home> find_home() {
    std::error_code failed;
    const fs::path executable = fs::read_symlink("/proc/self/exe", failed);
    const fs::path root = root_folder(executable);
    if (root.empty() || !holds_data(root)) {
        return Error{
            ErrorCode::kEnvironment,
            "the data folder was not found; set ASCERTAIN_HOME to the folder that holds data/",
            root.string()};
    }
    return Home{root.string(), worker_beside(executable), chart_js()};
}

}  // namespace ascertain::app
