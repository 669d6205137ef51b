// The innermost loops of products that are summed term by term: a tile of rows and columns whose
// sums stay in registers.
#pragma once

#include <cstdint>

namespace ascertain::simulated::arithmetic {

inline constexpr std::int64_t kTileRows = 6;
inline constexpr std::int64_t kTileColumns = 16;

struct Tile {
    const float* left;   // [kTileRows, k]
    const float* right;  // [k, kTileColumns]
    std::int64_t k;
};

// Terms [begin, end) of k: each product is rounded to fp32 and added to the block's sum, which is
// then added to `accumulator` [kTileRows, kTileColumns].
void add_rounded(const Tile& tile, std::int64_t begin, std::int64_t end, float* accumulator);

// The same terms with exact products and 53 bits for their sum with the accumulator, which is then
// cut off to fp32 towards zero.
void add_truncated(const Tile& tile, std::int64_t begin, std::int64_t end, float* accumulator);

}  // namespace ascertain::simulated::arithmetic
