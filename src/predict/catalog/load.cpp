#include "predict/catalog/load.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <system_error>

namespace ascertain::catalog {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kFileBytesMax = 1u << 20;

Result<SourceText> read_file(const fs::path& path) {
    std::error_code failure;
    const std::uintmax_t size = fs::file_size(path, failure);
    if (failure) return Error{ErrorCode::kBadInput, failure.message(), path.string()};
    if (size > kFileBytesMax)
        return Error{ErrorCode::kBadInput, "larger than 1 MiB: no catalog file", path.string()};
    std::ifstream stream(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    if (!stream.good() && !stream.eof())
        return Error{ErrorCode::kBadInput, "cannot be read", path.string()};
    return SourceText{path.string(), std::move(text)};
}

Result<std::vector<SourceText>> read_folder(const fs::path& folder) {
    std::error_code failure;
    std::vector<fs::path> paths;
    for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
         entry.increment(failure))
        if (entry->path().extension() == ".toml") paths.push_back(entry->path());
    if (failure) return Error{ErrorCode::kBadInput, failure.message(), folder.string()};
    std::sort(paths.begin(), paths.end());
    std::vector<SourceText> texts;
    for (const fs::path& path : paths) {
        Result<SourceText> text = read_file(path);
        if (!text) return text.error();
        texts.push_back(std::move(text).value());
    }
    return texts;
}

}  // namespace

Result<Catalog> load_catalog(const fs::path& data, const std::vector<fs::path>& own_chips,
                             const std::vector<fs::path>& own_networks) {
    Result<std::vector<SourceText>> chips = read_folder(data / "chips");
    if (!chips) return chips.error();
    Result<std::vector<SourceText>> networks = read_folder(data / "networks");
    if (!networks) return networks.error();
    for (const fs::path& path : own_chips) {
        Result<SourceText> text = read_file(path);
        if (!text) return text.error();
        chips->push_back(std::move(text).value());
    }
    for (const fs::path& path : own_networks) {
        Result<SourceText> text = read_file(path);
        if (!text) return text.error();
        networks->push_back(std::move(text).value());
    }
    return Catalog::from_texts(*chips, *networks);
}

}  // namespace ascertain::catalog
