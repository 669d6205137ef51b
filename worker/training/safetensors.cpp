#include "worker/training/safetensors.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>
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
constexpr std::array kDtypes{DtypeName{"F32", at::kFloat},
                             DtypeName{"F64", at::kDouble},
                             DtypeName{"BF16", at::kBFloat16},
                             DtypeName{"F16", at::kHalf},
                             DtypeName{"I64", at::kLong},
                             DtypeName{"I32", at::kInt},
                             DtypeName{"I16", at::kShort},
                             DtypeName{"I8", at::kChar},
                             DtypeName{"U8", at::kByte},
                             DtypeName{"BOOL", at::kBool},
                             DtypeName{"F8_E4M3", at::kFloat8_e4m3fn},
                             DtypeName{"F8_E5M2", at::kFloat8_e5m2}};

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

// A whole file in memory, read when touched and let go with the last tensor that lies in it. What
// is written to it stays private.
class Mapping {
public:
    Mapping(void* place, std::size_t size) : place_(place), size_(size) {}
    ~Mapping() { ::munmap(place_, size_); }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    [[nodiscard]] char* data() const { return static_cast<char*>(place_); }
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    void* place_;
    std::size_t size_;
};

Result<std::shared_ptr<const Mapping>> map_file(const std::filesystem::path& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return environment(path, "cannot be read");
    struct stat status {};
    const bool known = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    const auto size = known ? static_cast<std::size_t>(status.st_size) : 0;
    void* place = MAP_FAILED;
    if (size >= sizeof(std::uint64_t)) {
        place = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0);
    }
    ::close(descriptor);
    if (!known) return malformed(path, "", "is not a regular file");
    if (size < sizeof(std::uint64_t)) return malformed(path, "", "is too short for a header");
    if (place == MAP_FAILED) return environment(path, "cannot be mapped");
    ::madvise(place, size, MADV_SEQUENTIAL);
    return std::make_shared<const Mapping>(place, size);
}

// The tensors that the header describes, in the order in which they lie, after checking that every
// byte belongs to exactly one.
Result<std::vector<Entry>> entries_of(const std::filesystem::path& path, std::string_view header,
                                      std::uint64_t data_bytes) {
    const auto document = parse_json(header, path.string(), {.size_bytes_max = kHeaderBytesMax});
    if (!document) return document.error();
    if (!document->is_object()) return malformed(path, "", "its header is no object");
    std::vector<Entry> entries;
    for (const auto& member : document->items()) {
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
    if (reached != data_bytes) {
        return malformed(path, "", "its tensors do not end where the file does");
    }
    return entries;
}

// The bytes of an entry as a tensor, in place; copied where they lie too crooked for their type.
at::Tensor tensor_at(const Entry& entry, char* place, std::shared_ptr<const Mapping> mapping) {
    const auto options = at::TensorOptions().dtype(entry.dtype);
    if (reinterpret_cast<std::uintptr_t>(place) % c10::elementSize(entry.dtype) == 0) {
        return at::from_blob(
            place, entry.shape, [mapping = std::move(mapping)](void*) {}, options);
    }
    at::Tensor copy = at::empty(entry.shape, options);
    if (copy.nbytes() > 0) std::memcpy(copy.mutable_data_ptr(), place, copy.nbytes());
    return copy;
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
    auto mapped = map_file(path);
    if (!mapped) return mapped.error();
    const std::shared_ptr<const Mapping> mapping = *std::move(mapped);
    std::uint64_t length = 0;
    std::memcpy(&length, mapping->data(), sizeof length);
    const std::uint64_t rest = mapping->size() - sizeof length;
    if (length > kHeaderBytesMax || length > rest) {
        return malformed(path, "", "its header is longer than the file or than 100 MB");
    }
    char* data = mapping->data() + sizeof length + length;
    const auto entries = entries_of(path, {mapping->data() + sizeof length, length}, rest - length);
    if (!entries) return entries.error();
    std::vector<NamedTensor> tensors;
    for (const Entry& entry : *entries) {
        tensors.push_back({entry.name, tensor_at(entry, data + entry.begin, mapping)});
    }
    return tensors;
}

}  // namespace ascertain::training
