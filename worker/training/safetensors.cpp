#include "worker/training/safetensors.hpp"

#include <ATen/ops/empty.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "base/assert.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

namespace ascertain::training {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::uint64_t kHeaderBytesMax = 100'000'000;
constexpr std::size_t kNameShown = 80;

struct DtypeName {
    std::string_view name;
    at::ScalarType dtype;
};
constexpr std::array kDtypes{DtypeName{"F32", at::kFloat}, DtypeName{"F64", at::kDouble},
                             DtypeName{"BF16", at::kBFloat16}, DtypeName{"F16", at::kHalf},
                             DtypeName{"I64", at::kLong}};

Error environment(const std::filesystem::path& path, std::string_view what) {
    return {ErrorCode::kEnvironment, fmt::format("{}: {}", what, std::strerror(errno)),
            path.string()};
}

Error malformed(const std::filesystem::path& path, std::string_view tensor, std::string what) {
    return {ErrorCode::kBadInput, std::move(what),
            tensor.empty() ? path.string()
                           : fmt::format("{}: {}", path.string(), shortened(tensor, kNameShown))};
}

// A file that is being written; closed whatever happens.
class Output {
public:
    explicit Output(const std::filesystem::path& path)
        : descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {}
    ~Output() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    [[nodiscard]] bool open() const { return descriptor_ >= 0; }
    [[nodiscard]] bool write(const void* data, std::size_t size) const {
        const char* place = static_cast<const char*>(data);
        while (size > 0) {
            const ssize_t written = ::write(descriptor_, place, size);
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) return false;
            place += written;
            size -= static_cast<std::size_t>(written);
        }
        return true;
    }
    [[nodiscard]] bool flush() const { return ::fsync(descriptor_) == 0; }

private:
    int descriptor_;
};

std::string header_of(const std::vector<NamedTensor>& tensors) {
    Json header = Json::object();
    std::uint64_t offset = 0;
    for (const NamedTensor& tensor : tensors) {
        std::string_view dtype;
        for (const DtypeName& known : kDtypes) {
            if (known.dtype == tensor.value.scalar_type()) dtype = known.name;
        }
        ASCERTAIN_ASSERT(!dtype.empty() && !header.contains(tensor.name));
        const std::uint64_t end = offset + tensor.value.nbytes();
        header[tensor.name] = {{"dtype", dtype},
                               {"shape", tensor.value.sizes().vec()},
                               {"data_offsets", {offset, end}}};
        offset = end;
    }
    std::string text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');  // readers like aligned data
    return text;
}

struct Entry {
    std::string name;
    at::ScalarType dtype = at::kFloat;
    std::vector<std::int64_t> shape;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

// Elements times bytes of one, or nothing where that overflows.
std::optional<std::uint64_t> bytes_of(const Entry& entry) {
    std::uint64_t bytes = c10::elementSize(entry.dtype);
    for (const std::int64_t size : entry.shape) {
        const auto factor = static_cast<std::uint64_t>(size);
        if (factor != 0 && bytes > std::numeric_limits<std::uint64_t>::max() / factor) return {};
        bytes *= factor;
    }
    return bytes;
}

bool is_count(const Json& value) {
    return value.is_number_unsigned() &&
           value.get<std::uint64_t>() <=
               static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

Result<Entry> entry_from(const std::filesystem::path& path, const std::string& name,
                         const Json& member) {
    const auto dtype = member.find("dtype");
    const auto shape = member.find("shape");
    const auto offsets = member.find("data_offsets");
    const bool whole = member.is_object() && dtype != member.end() && dtype->is_string() &&
                       shape != member.end() && shape->is_array() && offsets != member.end() &&
                       offsets->is_array() && offsets->size() == 2 && member.size() == 3;
    if (!whole || !std::all_of(shape->begin(), shape->end(), is_count) ||
        !std::all_of(offsets->begin(), offsets->end(), is_count)) {
        return malformed(path, name, "not {dtype, shape, data_offsets}");
    }
    Entry entry{.name = name, .shape = shape->get<std::vector<std::int64_t>>()};
    bool known = false;
    for (const DtypeName& candidate : kDtypes) {
        if (candidate.name != dtype->get<std::string>()) continue;
        entry.dtype = candidate.dtype;
        known = true;
    }
    if (!known) {
        return malformed(path, name,
                         fmt::format("dtype \"{}\" is not read here",
                                     shortened(dtype->get<std::string>(), kNameShown)));
    }
    entry.begin = (*offsets)[0].get<std::uint64_t>();
    entry.end = (*offsets)[1].get<std::uint64_t>();
    if (entry.end < entry.begin || bytes_of(entry) != entry.end - entry.begin) {
        return malformed(path, name, "its offsets do not hold what its shape says");
    }
    return entry;
}

}  // namespace

Result<void> write_safetensors(const std::filesystem::path& path,
                               const std::vector<NamedTensor>& tensors) {
    const Output output(path);
    if (!output.open()) return environment(path, "cannot be written");
    const std::string header = header_of(tensors);
    const std::uint64_t length = header.size();
    bool written = output.write(&length, sizeof length) && output.write(header.data(), length);
    for (const NamedTensor& tensor : tensors) {
        const at::Tensor host = tensor.value.detach().to(at::kCPU).contiguous();
        written = written && output.write(host.const_data_ptr(), host.nbytes());
    }
    if (!written || !output.flush()) return environment(path, "could not be written whole");
    return {};
}

Result<std::vector<NamedTensor>> read_safetensors(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) return environment(path, "cannot be read");
    const auto size = static_cast<std::uint64_t>(file.tellg());
    file.seekg(0);
    std::uint64_t length = 0;
    if (size < sizeof length) return malformed(path, "", "is too short for a header");
    file.read(reinterpret_cast<char*>(&length), sizeof length);
    if (length > kHeaderBytesMax || length > size - sizeof length) {
        return malformed(path, "", "its header is longer than the file or than 100 MB");
    }
    std::string text(length, '\0');
    file.read(text.data(), static_cast<std::streamsize>(length));
    auto header = parse_json(text, path.string(), {.size_bytes_max = kHeaderBytesMax});
    if (!header) return header.error();
    if (!header->is_object()) return malformed(path, "", "its header is no object");

    std::vector<Entry> entries;
    for (const auto& member : header->items()) {
        if (member.key() == "__metadata__") continue;
        auto entry = entry_from(path, member.key(), member.value());
        if (!entry) return entry.error();
        entries.push_back(*std::move(entry));
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
        return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    std::uint64_t reached = 0;
    for (const Entry& entry : entries) {
        if (entry.begin != reached) {
            return malformed(path, entry.name, "bytes belong to no tensor or to two");
        }
        reached = entry.end;
    }
    if (reached != size - sizeof length - length) {
        return malformed(path, "", "its tensors do not end where the file does");
    }
    std::vector<NamedTensor> tensors;
    for (Entry& entry : entries) {
        at::Tensor value = at::empty(entry.shape, at::TensorOptions().dtype(entry.dtype));
        file.read(static_cast<char*>(value.mutable_data_ptr()),
                  static_cast<std::streamsize>(value.nbytes()));
        if (!file) return environment(path, "could not be read whole");
        tensors.push_back({std::move(entry.name), std::move(value)});
    }
    return tensors;
}

}  // namespace ascertain::training
