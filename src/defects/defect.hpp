// A planted fault as plain data: where it sits, when it acts, what it does.
// docs/defects.md says what each field means.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ascertain::defects {

// The part of a cluster that a defect belongs to, for people and for statistics.
enum class Plane { kChip, kMemory, kFabric, kRuntime, kTrainer, kCheckpoint, kServing, kSite };

// What a rule waits for, and with it the engine that can arm it.
enum class Place { kOperator, kCollective, kPoint, kEvent };

enum class Phase { kAny, kForward, kBackward };
enum class Layout {
    kAny,
    kContiguous,     // every tensor is
    kTransposed,     // one is the transposed view of a matrix
    kStrided,        // one is not contiguous
    kOffset,         // one does not begin where its storage does
    kExpanded,       // one has a stride of 0
    kStridedOutput,  // a written argument is not contiguous
};

// A bound on the main tensor's shape: `quantity` is one of shape_quantities().
enum class Bound { kExactly, kAtLeast, kAtMost, kMultipleOf, kNotMultipleOf };
struct ShapeBound {
    std::string quantity;
    Bound bound = Bound::kAtLeast;
    std::int64_t value = 0;
};

// The value of an argument that is no tensor.
struct ArgumentIs {
    std::string name;
    double value = 0.0;
    bool differs = false;  // holds when the argument is anything else
};

struct Where {
    Place place = Place::kOperator;
    std::vector<std::string> names;      // as written: operators, collectives, point, event
    std::vector<std::string> operators;  // those that exist and match `names`, where known
    std::string overload;                // "": any
    std::string parameter;               // of a point; a wildcard; "": all
    std::string state;                   // of a point
    Phase phase = Phase::kAny;
    std::string dtype;          // of the main tensor; "": any
    bool mixed_dtypes = false;  // arguments of several floating dtypes
    Layout layout = Layout::kAny;
    std::vector<ShapeBound> shape;
    std::optional<ArgumentIs> argument;
    std::optional<double> input_above;  // some input is at least so large in size
    std::vector<std::string> row_of;    // some row of an input is all of one of these
    std::int64_t not_aligned_to = 0;    // bytes; 0: any
    std::optional<bool> in_place;       // writes one of its arguments
    std::int64_t device = -1;           // -1: any
    std::int64_t rank = -1;
    double bytes_at_least = 0.0;  // of a collective's message

    // Nothing is asked but the names.
    [[nodiscard]] bool bare() const;
};

struct When {
    std::int64_t after_calls = 0;  // so many matching calls go by first
    std::int64_t every = 1;        // then each so-manieth
    std::int64_t times = 0;        // at most so often; 0: no limit
    double probability = 1.0;      // of those, drawn from `seed` and the call's number
    std::uint64_t seed = 0;
    double process_share = 1.0;           // in this share of processes, drawn from seed and number
    double after_busy_s = 0.0;            // device seconds before it can act
    double without_sync_s = 0.0;          // no synchronisation for so long
    double after_sync_s = 0.0;            // only so soon after one; 0: whenever
    std::int64_t calls_without_sync = 0;  // so many device calls since the last one
    double memory_above_bytes = 0.0;      // allocated on the device
    bool new_shape = false;               // first call of this operator with these shapes
    bool reused_memory = false;           // the output lies where another one lay before
    bool overlap = false;                 // another call is running meanwhile
    bool deterministic = false;           // torch was told to be deterministic

    [[nodiscard]] bool always() const;
};

// The effect's name and its fields; those not given have their default, if there is one.
struct Does {
    std::string kind;
    std::map<std::string, double, std::less<>> numbers;
    std::map<std::string, std::string, std::less<>> words;

    // Asking for a field that the effect has not is a bug.
    [[nodiscard]] double number(std::string_view field) const;
    [[nodiscard]] std::int64_t whole(std::string_view field) const;
    [[nodiscard]] const std::string& word(std::string_view field) const;
    [[nodiscard]] bool given(std::string_view field) const;
};

struct Rule {
    Where where;
    When when;
    Does does;
};

struct Defect {
    std::string id;
    std::string summary;
    std::string source;
    std::string kind;  // `class` in the file: one of defect_classes(), or ""
    Plane plane = Plane::kChip;
    std::string remedy;
    std::string scaled;           // which thresholds were scaled down, and from what
    std::string not_expressible;  // why there are no rules; "" when there are
    std::vector<Rule> rules;

    [[nodiscard]] bool expressible() const { return not_expressible.empty(); }
};

[[nodiscard]] std::string_view name_of(Plane plane);
[[nodiscard]] std::string_view name_of(Place place);

}  // namespace ascertain::defects
