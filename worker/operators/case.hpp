// An operator case: one operator call as a model really makes it, without its tensors' contents,
// which are made again from a description and a seed. data/schema/case.schema.json.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/host/torch.hpp"

namespace ascertain::operators {

enum class FillFamily {
    kNormal,       // mean, std, cut off at low and high
    kUniform,      // in [low, high)
    kPositive,     // low + exponential of that mean, at most high; normal where std < mean / 2
    kConstant,     // mean everywhere
    kIntegers,     // whole numbers in [low, high], in any dtype
    kIndex,        // whole numbers in [low, high] that point into another tensor
    kProbability,  // non-negative, the last dimension sums to one
    kMask,  // bool: true with probability share; floating: -inf with probability share, else 0
    kPermutation,  // 0 ... n - 1 in random order along the last dimension
    kOffsets,      // non-decreasing, the last one equals high
    kSorted,       // non-decreasing in [low, high]
};

// What capture saw of a tensor's values, and how they are made again.
struct Fill {
    FillFamily family = FillFamily::kNormal;
    double mean = 0.0;
    double std = 1.0;  // >= 0
    double low = 0.0;  // low <= high
    double high = 0.0;
    // Normal, uniform, positive: the share of elements that are not zero. Index: the share that is
    // not `sentinel`. Mask: see there. In [0, 1].
    double share = 1.0;
    bool distinct = false;  // index: no value twice along the last dimension
    std::optional<std::int64_t> sentinel =
        std::nullopt;           // index: the value that means "none", such as -100
    std::int64_t multiple = 1;  // offsets: all are multiples of it; >= 1

    bool operator==(const Fill&) const = default;
};

struct TensorSpec {
    c10::ScalarType dtype = c10::ScalarType::Float;
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> strides;  // in elements, one per dimension, >= 0
    std::int64_t storage_offset = 0;    // in elements
    // Tensors of one case with the same number are views of the same memory.
    std::int64_t storage = 0;
    Fill fill;

    bool operator==(const TensorSpec&) const = default;
};

[[nodiscard]] std::int64_t element_count(const TensorSpec& spec);
// Elements of memory from the start of the storage to the last element of the view.
[[nodiscard]] std::int64_t extent(const TensorSpec& spec);

struct None {
    bool operator==(const None&) const = default;
};
struct DeviceHere {  // the device under test
    bool operator==(const DeviceHere&) const = default;
};
struct GeneratorHere {  // the device's default random generator
    bool operator==(const GeneratorHere&) const = default;
};
using TensorList = std::vector<std::optional<TensorSpec>>;
using Scalar = std::variant<bool, std::int64_t, double>;
using Integers = std::vector<std::int64_t>;
using Floats = std::vector<double>;
using Argument = std::variant<None, TensorSpec, TensorList, Scalar, Integers, Floats,
                              c10::ScalarType, std::string, DeviceHere, GeneratorHere>;

// What was made smaller for time.
struct Cut {
    std::string dimension;  // "tensors" (of a list), "rows" ...
    std::int64_t from = 0;
    std::int64_t to = 0;

    bool operator==(const Cut&) const = default;
};

struct Case {
    std::string id;          // short_hash of the canonical text
    std::string op;          // "aten::mm"
    std::string overload;    // "" or "Tensor"
    std::string phase;       // "forward", "backward", "clip", "optimizer"
    std::string module;      // where it was first seen, "" when unknown
    std::int64_t count = 1;  // calls per step
    std::vector<Argument> arguments;
    std::vector<Cut> cuts;
    std::vector<std::string> writes;  // names of the arguments that the call changes

    bool operator==(const Case&) const = default;
};

// The document of the schema; to_json fills in `id`.
[[nodiscard]] Json to_json(const Case& operator_case);

// Reads a document from anywhere. Errors: kBadInput with `where` = "name: field" for what is
// missing, unknown, of the wrong type, out of range or absurd (more than 2^40 elements, more than 8
// dimensions ...). An `id` that does not fit the content is refused too: cases are named by what
// they are. An absent `id` is filled in.
[[nodiscard]] Result<Case> case_from_json(const Json& document, std::string_view name);

// The id that belongs to the content.
[[nodiscard]] std::string id_of(const Case& operator_case);

[[nodiscard]] std::string_view name_of(FillFamily family);

}  // namespace ascertain::operators
