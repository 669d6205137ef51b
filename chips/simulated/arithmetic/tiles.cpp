#include "chips/simulated/arithmetic/tiles.hpp"

#include <array>
#include <cstring>

// One version for each width of vectors; the loader takes the widest that the processor has. All
// compute the same bits: nothing is contracted (CMakeLists.txt) and no sum changes its order.
// Sanitizers come to life after the loader, so they get one version.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ASCERTAIN_WIDEST \
    __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define ASCERTAIN_WIDEST
#endif

namespace ascertain::simulated::arithmetic {
namespace {

using Floats __attribute__((vector_size(kTileColumns * sizeof(float)))) = float;
using Doubles __attribute__((vector_size(kTileColumns * sizeof(double)))) = double;
using Ints __attribute__((vector_size(kTileColumns * sizeof(std::int32_t)))) = std::int32_t;
using Longs __attribute__((vector_size(kTileColumns * sizeof(std::int64_t)))) = std::int64_t;

constexpr std::size_t kRows = kTileRows;

}  // namespace

ASCERTAIN_WIDEST void add_rounded(const Tile& tile, std::int64_t begin, std::int64_t end,
                                  float* accumulator) {
    Floats sum[kRows] = {};
    for (std::int64_t i = begin; i < end; ++i) {
        Floats columns;
        std::memcpy(&columns, tile.right + i * kTileColumns, sizeof columns);
        for (std::size_t row = 0; row < kRows; ++row) {
            const Floats terms = tile.left[static_cast<std::int64_t>(row) * tile.k + i] * columns;
            sum[row] += terms;
        }
    }
    for (std::size_t row = 0; row < kRows; ++row) {
        float* place = accumulator + row * kTileColumns;
        Floats before;
        std::memcpy(&before, place, sizeof before);
        before += sum[row];
        std::memcpy(place, &before, sizeof before);
    }
}

ASCERTAIN_WIDEST void add_truncated(const Tile& tile, std::int64_t begin, std::int64_t end,
                                    float* accumulator) {
    Doubles sum[kRows];
    for (std::size_t row = 0; row < kRows; ++row) {
        Floats before;
        std::memcpy(&before, accumulator + row * kTileColumns, sizeof before);
        sum[row] = __builtin_convertvector(before, Doubles);
    }
    for (std::int64_t i = begin; i < end; ++i) {
        Floats narrow;
        std::memcpy(&narrow, tile.right + i * kTileColumns, sizeof narrow);
        const Doubles columns = __builtin_convertvector(narrow, Doubles);
        for (std::size_t row = 0; row < kRows; ++row) {
            const double factor = tile.left[static_cast<std::int64_t>(row) * tile.k + i];
            sum[row] += factor * columns;
        }
    }
    for (std::size_t row = 0; row < kRows; ++row) {
        const Floats nearest = __builtin_convertvector(sum[row], Floats);
        const Doubles rounded = __builtin_convertvector(nearest, Doubles);
        // True is -1: what was rounded away from zero goes one step back.
        const Longs too_far =
            ((rounded > sum[row]) & (sum[row] > 0.0)) | ((rounded < sum[row]) & (sum[row] < 0.0));
        Ints bits;
        std::memcpy(&bits, &nearest, sizeof bits);
        bits += __builtin_convertvector(too_far, Ints);
        std::memcpy(accumulator + row * kTileColumns, &bits, sizeof bits);
    }
}

}  // namespace ascertain::simulated::arithmetic
