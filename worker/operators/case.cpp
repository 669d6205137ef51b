#include "worker/operators/case.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "base/text.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators {
namespace {

constexpr std::string_view kSchema = "ascertain.case/1";
constexpr std::int64_t kElementsMax = std::int64_t{1} << 40;
constexpr std::size_t kDimensionsMax = 8;
constexpr std::size_t kArgumentsMax = 64;
constexpr std::size_t kListMax = 1 << 16;
constexpr std::int64_t kWholeMax = std::int64_t{1} << 53;

constexpr std::array<std::pair<std::string_view, FillFamily>, 11> kFamilies = {{
    {"normal", FillFamily::kNormal},
    {"uniform", FillFamily::kUniform},
    {"positive", FillFamily::kPositive},
    {"constant", FillFamily::kConstant},
    {"integers", FillFamily::kIntegers},
    {"index", FillFamily::kIndex},
    {"probability", FillFamily::kProbability},
    {"mask", FillFamily::kMask},
    {"permutation", FillFamily::kPermutation},
    {"offsets", FillFamily::kOffsets},
    {"sorted", FillFamily::kSorted},
}};

// --- writing ---

Json document_of(const Fill& fill) {
    Json document = {{"family", name_of(fill.family)},
                     {"mean", fill.mean},
                     {"std", fill.std},
                     {"low", fill.low},
                     {"high", fill.high},
                     {"share", fill.share}};
    if (fill.distinct) document["distinct"] = true;
    if (fill.sentinel) document["sentinel"] = *fill.sentinel;
    if (fill.multiple != 1) document["multiple"] = fill.multiple;
    return document;
}

Json document_of(const TensorSpec& spec) {
    return {{"dtype", name_of(spec.dtype)}, {"shape", spec.shape},
            {"strides", spec.strides},      {"storage_offset", spec.storage_offset},
            {"storage", spec.storage},      {"fill", document_of(spec.fill)}};
}

// JSON has no infinities.
Json document_of(double number) {
    if (std::isfinite(number)) return number;
    return std::isnan(number) ? "nan" : (number > 0 ? "inf" : "-inf");
}

struct ArgumentWriter {
    Json operator()(const None&) const { return {{"none", true}}; }
    Json operator()(const DeviceHere&) const { return {{"device", true}}; }
    Json operator()(const GeneratorHere&) const { return {{"generator", true}}; }
    Json operator()(const TensorSpec& spec) const { return {{"tensor", document_of(spec)}}; }
    Json operator()(const TensorList& list) const {
        Json items = Json::array();
        for (const auto& item : list) items.push_back(item ? document_of(*item) : Json());
        return {{"tensors", std::move(items)}};
    }
    Json operator()(const Scalar& scalar) const {
        if (const bool* flag = std::get_if<bool>(&scalar)) return {{"scalar", *flag}};
        if (const auto* whole = std::get_if<std::int64_t>(&scalar)) return {{"scalar", *whole}};
        return {{"scalar", document_of(std::get<double>(scalar))}};
    }
    Json operator()(const Integers& integers) const { return {{"integers", integers}}; }
    Json operator()(const Floats& floats) const {
        Json items = Json::array();
        for (const double item : floats) items.push_back(document_of(item));
        return {{"floats", std::move(items)}};
    }
    Json operator()(c10::ScalarType dtype) const { return {{"dtype", name_of(dtype)}}; }
    Json operator()(const std::string& text) const { return {{"text", text}}; }
};

Json content_of(const Case& operator_case) {
    Json document = {{"operator", operator_case.op},
                     {"overload", operator_case.overload},
                     {"phase", operator_case.phase},
                     {"module", operator_case.module}};
    Json& arguments = document["arguments"] = Json::array();
    for (const Argument& argument : operator_case.arguments) {
        arguments.push_back(std::visit(ArgumentWriter{}, argument));
    }
    Json& cuts = document["cuts"] = Json::array();
    for (const Cut& cut : operator_case.cuts) {
        cuts.push_back({{"dimension", cut.dimension}, {"from", cut.from}, {"to", cut.to}});
    }
    document["writes"] = operator_case.writes;
    return document;
}

// --- reading ---

// Reads members of nested objects; the first thing that is wrong is kept and everything after it
// returns an empty value, so that the caller asks once, at the end.
class Reader {
public:
    explicit Reader(std::string_view name) : name_(name) {}

    [[nodiscard]] bool failed() const { return error_.has_value(); }
    [[nodiscard]] const Error& error() const { return *error_; }

    void fail(const std::string& path, std::string message) {
        if (!error_) {
            error_ =
                Error{ErrorCode::kBadInput, std::move(message), fmt::format("{}: {}", name_, path)};
        }
    }

    // The member, or null after noting what is wrong.
    const Json* member(const Json& object, const char* key, const std::string& path) {
        if (failed()) return nullptr;
        if (!object.is_object()) {
            fail(path, "must be an object");
            return nullptr;
        }
        const auto found = object.find(key);
        if (found == object.end()) {
            fail(path + "." + key, "is missing");
            return nullptr;
        }
        return &*found;
    }

    void only(const Json& object, std::span<const std::string_view> keys, const std::string& path) {
        if (failed()) return;
        if (!object.is_object()) return fail(path, "must be an object");
        const std::vector<std::string> known(keys.begin(), keys.end());
        for (const auto& [key, value] : object.items()) {
            if (std::find(known.begin(), known.end(), key) == known.end()) {
                return fail(path, fmt::format("unknown member \"{}\"{}", shortened(key, 32),
                                              did_you_mean(key, known)));
            }
        }
    }

    std::string text(const Json& value, const std::string& path, std::size_t length_max) {
        if (failed()) return {};
        if (!value.is_string()) {
            fail(path, "must be a text");
            return {};
        }
        std::string found = value.get<std::string>();
        if (found.size() > length_max)
            fail(path, fmt::format("is longer than {} bytes", length_max));
        return found;
    }

    std::int64_t whole(const Json& value, const std::string& path, std::int64_t low,
                       std::int64_t high) {
        if (failed()) return low;
        const bool fits = value.is_number_integer() &&
                          !(value.is_number_unsigned() &&
                            value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX));
        const std::int64_t found = fits ? value.get<std::int64_t>() : low;
        if (!fits || found < low || found > high) {
            fail(path, fmt::format("must be a whole number from {} to {}", low, high));
            return low;
        }
        return found;
    }

    double number(const Json& value, const std::string& path) {
        if (failed()) return 0.0;
        if (value.is_number()) return value.get<double>();
        if (value == "inf") return std::numeric_limits<double>::infinity();
        if (value == "-inf") return -std::numeric_limits<double>::infinity();
        if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
        fail(path, "must be a number, \"inf\", \"-inf\" or \"nan\"");
        return 0.0;
    }

    // The items of a list of at most `count_max`; empty after noting what is wrong.
    const Json& list(const Json& value, const std::string& path, std::size_t count_max) {
        static const Json kEmpty = Json::array();
        if (failed()) return kEmpty;
        if (!value.is_array()) {
            fail(path, "must be a list");
            return kEmpty;
        }
        if (value.size() > count_max) {
            fail(path, fmt::format("has more than {} items", count_max));
            return kEmpty;
        }
        return value;
    }

    std::vector<std::int64_t> wholes(const Json& value, const std::string& path,
                                     std::size_t count_max, std::int64_t low, std::int64_t high) {
        std::vector<std::int64_t> items;
        for (const Json& item : list(value, path, count_max)) {
            items.push_back(whole(item, fmt::format("{}[{}]", path, items.size()), low, high));
        }
        return items;
    }

private:
    std::string name_;
    std::optional<Error> error_;
};

double finite_member(Reader& reader, const Json& object, const char* key, const std::string& path) {
    const Json* value = reader.member(object, key, path);
    if (value == nullptr) return 0.0;
    if (!value->is_number()) reader.fail(path + "." + key, "must be a number");
    return value->is_number() ? value->get<double>() : 0.0;
}

Fill read_fill(Reader& reader, const Json& object, const std::string& path) {
    constexpr std::array<std::string_view, 9> kKeys = {
        "family", "mean", "std", "low", "high", "share", "distinct", "sentinel", "multiple"};
    reader.only(object, kKeys, path);
    Fill fill;
    const Json* family = reader.member(object, "family", path);
    if (family == nullptr) return fill;
    const std::string family_name = reader.text(*family, path + ".family", 32);
    const auto found = std::find_if(kFamilies.begin(), kFamilies.end(),
                                    [&](const auto& item) { return item.first == family_name; });
    if (found == kFamilies.end()) {
        std::vector<std::string> names;
        for (const auto& item : kFamilies) names.emplace_back(item.first);
        reader.fail(path + ".family", fmt::format("unknown family \"{}\"{}", family_name,
                                                  did_you_mean(family_name, names)));
        return fill;
    }
    fill.family = found->second;
    fill.mean = finite_member(reader, object, "mean", path);
    fill.std = finite_member(reader, object, "std", path);
    fill.low = finite_member(reader, object, "low", path);
    fill.high = finite_member(reader, object, "high", path);
    fill.share = finite_member(reader, object, "share", path);
    fill.distinct = object.value("distinct", Json(false)) == Json(true);
    if (object.contains("sentinel")) {
        fill.sentinel = reader.whole(object["sentinel"], path + ".sentinel", -kWholeMax, kWholeMax);
    }
    if (object.contains("multiple")) {
        fill.multiple = reader.whole(object["multiple"], path + ".multiple", 1, kWholeMax);
    }
    if (!reader.failed() && fill.std < 0.0) reader.fail(path + ".std", "must not be negative");
    if (!reader.failed() && fill.low > fill.high)
        reader.fail(path + ".low", "must not exceed high");
    if (!reader.failed() && (fill.share < 0.0 || fill.share > 1.0)) {
        reader.fail(path + ".share", "must be from 0 to 1");
    }
    const double whole_max = static_cast<double>(kWholeMax);
    const bool whole = fill.family == FillFamily::kIntegers || fill.family == FillFamily::kIndex ||
                       fill.family == FillFamily::kOffsets || fill.family == FillFamily::kSorted;
    if (!reader.failed() && whole &&
        (std::trunc(fill.low) != fill.low || std::trunc(fill.high) != fill.high ||
         fill.low < -whole_max || fill.high > whole_max)) {
        reader.fail(path, "low and high must be whole numbers within 2^53 for this family");
    }
    return fill;
}

TensorSpec read_tensor(Reader& reader, const Json& object, const std::string& path) {
    constexpr std::array<std::string_view, 6> kKeys = {"dtype",          "shape",   "strides",
                                                       "storage_offset", "storage", "fill"};
    reader.only(object, kKeys, path);
    TensorSpec spec;
    if (const Json* dtype = reader.member(object, "dtype", path)) {
        const Result<c10::ScalarType> known = dtype_from(reader.text(*dtype, path + ".dtype", 32));
        if (!reader.failed() && !known) reader.fail(path + ".dtype", known.error().message);
        if (known) spec.dtype = *known;
    }
    if (const Json* shape = reader.member(object, "shape", path)) {
        spec.shape = reader.wholes(*shape, path + ".shape", kDimensionsMax, 0, kElementsMax);
    }
    if (const Json* strides = reader.member(object, "strides", path)) {
        spec.strides = reader.wholes(*strides, path + ".strides", kDimensionsMax, 0, kElementsMax);
    }
    if (const Json* offset = reader.member(object, "storage_offset", path)) {
        spec.storage_offset = reader.whole(*offset, path + ".storage_offset", 0, kElementsMax);
    }
    if (const Json* storage = reader.member(object, "storage", path)) {
        spec.storage =
            reader.whole(*storage, path + ".storage", 0, static_cast<std::int64_t>(kListMax));
    }
    if (const Json* fill = reader.member(object, "fill", path)) {
        spec.fill = read_fill(reader, *fill, path + ".fill");
    }
    if (reader.failed()) return spec;
    if (spec.strides.size() != spec.shape.size()) {
        reader.fail(path + ".strides", "must have one item per dimension of shape");
        return spec;
    }
    // In floating point first: products of hostile sizes overflow.
    double count = 1.0;
    double last = static_cast<double>(spec.storage_offset);
    for (std::size_t i = 0; i < spec.shape.size(); ++i) {
        count *= static_cast<double>(spec.shape[i]);
        last += static_cast<double>(spec.shape[i]) * static_cast<double>(spec.strides[i]);
    }
    if (count > static_cast<double>(kElementsMax) || last > static_cast<double>(kElementsMax)) {
        reader.fail(path + ".shape", "describes more than 2^40 elements");
    }
    return spec;
}

Scalar read_scalar(Reader& reader, const Json& value, const std::string& path) {
    if (value.is_boolean()) return value.get<bool>();
    if (value.is_number_integer()) return reader.whole(value, path, INT64_MIN, INT64_MAX);
    return reader.number(value, path);
}

// Names of reductions, approximations, einsum equations: nothing that could be a path.
std::string read_text_argument(Reader& reader, const Json& value, const std::string& path) {
    std::string text = reader.text(value, path, 128);
    const bool plain = std::all_of(text.begin(), text.end(), [](char letter) {
        return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
               (letter >= '0' && letter <= '9') || letter == '_' || letter == '-' ||
               letter == '>' || letter == ',' || letter == ' ';
    });
    if (!plain) reader.fail(path, "holds a character that no operator's option has");
    return text;
}

Argument read_argument(Reader& reader, const Json& object, const std::string& path) {
    if (!object.is_object() || object.size() != 1) {
        reader.fail(path, "must be an object with one member");
        return None{};
    }
    const std::string key = object.begin().key();
    const Json& value = object.begin().value();
    const std::string inner = path + "." + shortened(key, 32);
    if (key == "tensor") return read_tensor(reader, value, inner);
    if (key == "tensors") {
        TensorList list;
        for (const Json& item : reader.list(value, inner, kListMax)) {
            const std::string place = fmt::format("{}[{}]", inner, list.size());
            list.push_back(item.is_null() ? std::nullopt
                                          : std::optional(read_tensor(reader, item, place)));
        }
        return list;
    }
    if (key == "scalar") return read_scalar(reader, value, inner);
    if (key == "integers") return reader.wholes(value, inner, kListMax, INT64_MIN, INT64_MAX);
    if (key == "floats") {
        Floats floats;
        for (const Json& item : reader.list(value, inner, kListMax)) {
            floats.push_back(reader.number(item, fmt::format("{}[{}]", inner, floats.size())));
        }
        return floats;
    }
    if (key == "dtype") {
        const Result<c10::ScalarType> dtype = dtype_from(reader.text(value, inner, 32));
        if (!dtype) reader.fail(inner, dtype.error().message);
        return dtype ? Argument(*dtype) : Argument(None{});
    }
    if (key == "text") return read_text_argument(reader, value, inner);
    if (value != Json(true)) reader.fail(inner, "must be true");
    if (key == "device") return DeviceHere{};
    if (key == "generator") return GeneratorHere{};
    if (key != "none") {
        const std::vector<std::string> known = {"tensor", "tensors", "scalar", "integers",
                                                "floats", "dtype",   "device", "generator",
                                                "text",   "none"};
        reader.fail(inner, fmt::format("is no kind of argument{}", did_you_mean(key, known)));
    }
    return None{};
}

std::string text_member(Reader& reader, const Json& object, const char* key) {
    const Json* value = reader.member(object, key, "case");
    return value == nullptr ? std::string() : reader.text(*value, key, 256);
}

void read_cuts(Reader& reader, const Json& document, Case& result) {
    const Json* cuts = reader.member(document, "cuts", "case");
    if (cuts == nullptr) return;
    constexpr std::array<std::string_view, 3> kKeys = {"dimension", "from", "to"};
    for (const Json& item : reader.list(*cuts, "cuts", kArgumentsMax)) {
        const std::string path = fmt::format("cuts[{}]", result.cuts.size());
        reader.only(item, kKeys, path);
        const Json* dimension = reader.member(item, "dimension", path);
        const Json* from = reader.member(item, "from", path);
        const Json* to = reader.member(item, "to", path);
        if (dimension == nullptr || from == nullptr || to == nullptr) return;
        result.cuts.push_back({reader.text(*dimension, path + ".dimension", 64),
                               reader.whole(*from, path + ".from", 0, kElementsMax),
                               reader.whole(*to, path + ".to", 0, kElementsMax)});
    }
}

}  // namespace

std::int64_t element_count(const TensorSpec& spec) {
    std::int64_t count = 1;
    for (const std::int64_t size : spec.shape) count *= size;
    return count;
}

std::int64_t extent(const TensorSpec& spec) {
    if (element_count(spec) == 0) return spec.storage_offset;
    std::int64_t last = spec.storage_offset + 1;
    for (std::size_t i = 0; i < spec.shape.size(); ++i) {
        last += (spec.shape[i] - 1) * spec.strides[i];
    }
    return last;
}

std::string_view name_of(FillFamily family) {
    return std::find_if(kFamilies.begin(), kFamilies.end(),
                        [&](const auto& item) { return item.second == family; })
        ->first;
}

std::string id_of(const Case& operator_case) {
    return short_hash(content_of(operator_case).dump());
}

Json to_json(const Case& operator_case) {
    Json document = {{"schema", kSchema}, {"id", id_of(operator_case)}};
    const Json content = content_of(operator_case);
    for (const auto& [key, value] : content.items()) document[key] = value;
    document["count"] = operator_case.count;
    return document;
}

Result<Case> case_from_json(const Json& document, std::string_view name) {
    constexpr std::array<std::string_view, 10> kKeys = {"schema", "id",     "operator", "overload",
                                                        "phase",  "module", "count",    "arguments",
                                                        "cuts",   "writes"};
    Reader reader(name);
    reader.only(document, kKeys, "case");
    const std::string schema = text_member(reader, document, "schema");
    if (!reader.failed() && schema != kSchema) {
        reader.fail("schema", fmt::format("must be \"{}\"", kSchema));
    }
    Case result;
    result.op = text_member(reader, document, "operator");
    result.overload = text_member(reader, document, "overload");
    result.phase = text_member(reader, document, "phase");
    result.module = text_member(reader, document, "module");
    if (const Json* count = reader.member(document, "count", "case")) {
        result.count = reader.whole(*count, "count", 1, kWholeMax);
    }
    if (const Json* arguments = reader.member(document, "arguments", "case")) {
        for (const Json& item : reader.list(*arguments, "arguments", kArgumentsMax)) {
            const std::string path = fmt::format("arguments[{}]", result.arguments.size());
            result.arguments.push_back(read_argument(reader, item, path));
        }
    }
    read_cuts(reader, document, result);
    if (const Json* writes = reader.member(document, "writes", "case")) {
        for (const Json& item : reader.list(*writes, "writes", kArgumentsMax)) {
            result.writes.push_back(reader.text(item, "writes", 64));
        }
    }
    result.id = document.contains("id") ? text_member(reader, document, "id") : std::string();
    if (reader.failed()) return reader.error();
    const std::string id = id_of(result);
    if (!result.id.empty() && result.id != id) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("\"{}\" does not fit the content, which is {}",
                                 shortened(result.id, 32), id),
                     fmt::format("{}: id", name)};
    }
    result.id = id;
    return result;
}

}  // namespace ascertain::operators
