// A run as one tar file. Format: POSIX.1-1988 ustar, "tar Interchange Format": 512-byte blocks, a
// header of octal texts, the content padded to whole blocks, two blocks of zeros at the end.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "decide/evidence/blobs.hpp"
#include "decide/evidence/files.hpp"
#include "decide/evidence/verify.hpp"

namespace ascertain::evidence {
namespace {

constexpr std::size_t kBlockBytes = 512;
constexpr std::uint64_t kFileBytesMax = (1ULL << 33) - 1;  // eleven octal digits

using Block = std::array<char, kBlockBytes>;

void put(Block& block, std::size_t offset, std::string_view text) {
    std::ranges::copy(text, block.begin() + static_cast<std::ptrdiff_t>(offset));
}

Block header_of(std::string_view name, std::uint64_t size_bytes) {
    // Our names are at most 75 characters: blobs/ab/<62 digits>.zst.
    ASCERTAIN_ASSERT(name.size() < 100 && size_bytes <= kFileBytesMax);
    Block block{};
    put(block, 0, name);
    put(block, 100, "0000644");                           // mode
    put(block, 108, "0000000");                           // owner
    put(block, 116, "0000000");                           // group
    put(block, 124, fmt::format("{:011o}", size_bytes));  // size
    put(block, 136, "00000000000");                       // time: fixed, for the same bytes
    put(block, 148, "        ");                          // checksum, taken over spaces
    put(block, 156, "0");                                 // an ordinary file
    put(block, 257, std::string_view("ustar\00000", 8));  // magic and version
    const auto sum = std::accumulate(block.begin(), block.end(), 0U, [](unsigned total, char c) {
        return total + static_cast<unsigned char>(c);
    });
    put(block, 148, fmt::format("{:06o}", sum));
    block[154] = '\0';
    return block;
}

Result<void> add_file(const Descriptor& tar, const std::filesystem::path& tar_path,
                      std::string_view name, std::string_view content) {
    const auto header = header_of(name, content.size());
    if (auto done = write_all(tar, {header.data(), header.size()}, tar_path); !done) return done;
    if (auto done = write_all(tar, content, tar_path); !done) return done;
    const std::string padding((kBlockBytes - content.size() % kBlockBytes) % kBlockBytes, '\0');
    return write_all(tar, padding, tar_path);
}

// Names of everything in a verified run, in their order.
Result<std::vector<std::string>> names_in(const std::filesystem::path& directory,
                                          std::uint64_t segments) {
    std::vector<std::string> names;
    for (std::uint64_t segment = 1; segment <= segments; ++segment) {
        names.push_back(segment_path(directory, segment).lexically_relative(directory).string());
    }
    const auto blobs = list_blobs(directory);
    if (!blobs) return blobs.error();
    for (const auto& blob : *blobs) {
        names.push_back(blob_path(directory, blob).lexically_relative(directory).string());
    }
    return names;
}

Result<void> write_tar(const Descriptor& tar, const std::filesystem::path& file,
                       const std::filesystem::path& directory, const Verification& verified) {
    const auto names = names_in(directory, verified.segments);
    if (!names) return names.error();
    for (const auto& name : *names) {
        auto content = read_file(directory / name, kFileBytesMax);
        if (!content) return content.error();
        // What was cut short never counted, so it does not travel.
        const bool last = name == names->at(verified.segments - 1);
        if (last && verified.torn) content->resize(verified.torn->offset_bytes);
        if (auto done = add_file(tar, file, name, *content); !done) return done;
    }
    if (auto done = write_all(tar, std::string(2 * kBlockBytes, '\0'), file); !done) return done;
    return flush(tar, file);
}

}  // namespace

Result<void> export_tar(const std::filesystem::path& directory, const std::filesystem::path& file) {
    const auto verified = verify(directory);
    if (!verified) return verified.error();
    const auto tar = open_file(file, O_WRONLY | O_CREAT | O_EXCL);
    if (!tar) return tar.error();
    auto written = write_tar(*tar, file, directory, *verified);
    if (!written) ::unlink(file.c_str());
    return written;
}

}  // namespace ascertain::evidence
