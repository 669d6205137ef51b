// The arithmetic that a simulated chip declares before any run: a variant file, as plain data. With
// nothing declared it is the CPU's own. docs/variants.md is the reference for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::simulated::arithmetic {

inline constexpr const char* kSchema = "ascertain.variant/1";
inline constexpr const char* kFileVariable = "ASCERTAIN_VARIANT";

enum class BlockOrder { kAscending, kDescending, kInterleaved };

// Matrix products. Blocks of k are summed on their own and then join an fp32 accumulator.
struct Products {
    bool declared = false;
    std::int64_t block = 0;  // terms; 0: as many as a part has
    BlockOrder order = BlockOrder::kAscending;
    std::int64_t parts = 1;        // split-K: so many accumulators, added at the end
    bool product_rounded = false;  // a term is rounded to fp32 before it is added: no FMA
    bool truncated = false;        // blocks are summed exactly; the accumulator rounds towards zero
};

// Sums over dimensions: sum, mean, softmax, norms. Term i of 4,096 goes to lane i modulo `lanes`;
// lanes are added pairwise, and so are the 4,096s.
struct Sums {
    bool declared = false;
    std::int64_t lanes = 8;
};

enum class Attention { kHost, kMath, kFlash };

struct Declared {
    std::string id;  // empty: nothing is declared
    std::string summary;
    Products products;
    Sums sums;
    Attention attention = Attention::kHost;
    std::int64_t attention_block = 0;   // keys of one block of kFlash
    bool functions_polynomial = false;  // exp, log, tanh ... of another library, up to 2 ulp off
    bool subnormals_flushed = false;    // fp32 and bf16 arithmetic reads and writes them as 0
    bool index_sums_any_order = false;  // contributions to one index are added as they come
};

// `path` is what errors call the document. Errors: kBadInput with path:line:column and near
// matches.
[[nodiscard]] Result<Declared> read_declared(std::string_view text, const std::string& path);

// As `describe` tells it: {variant, summary, products, sums, attention, functions, subnormals,
// index_sums}.
[[nodiscard]] Json to_json(const Declared& declared);

}  // namespace ascertain::simulated::arithmetic
