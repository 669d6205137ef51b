#include "base/random.hpp"

#include <cmath>
#include <numbers>

#include "base/assert.hpp"

namespace ascertain {
namespace {

constexpr std::uint32_t low(std::uint64_t value) {
    return static_cast<std::uint32_t>(value);
}
constexpr std::uint32_t high(std::uint64_t value) {
    return static_cast<std::uint32_t>(value >> 32u);
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
    constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
    constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
    constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
    constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t product0 = kMultiplier0 * counter[0];
        const std::uint64_t product1 = kMultiplier1 * counter[2];
        counter = {high(product1) ^ counter[1] ^ key[0], low(product1),
                   high(product0) ^ counter[3] ^ key[1], low(product0)};
        key[0] += kWeyl0;
        key[1] += kWeyl1;
    }
    return counter;
}

std::uint64_t Random::next_u64() {
    if (used_ > 2) {
        block_ = philox4x32({low(counter_), high(counter_), low(stream_), high(stream_)},
                            {low(seed_), high(seed_)});
        ++counter_;
        used_ = 0;
    }
    const std::uint64_t value =
        (static_cast<std::uint64_t>(block_[used_ + 1]) << 32u) | block_[used_];
    used_ += 2;
    return value;
}

double Random::uniform() {
    return static_cast<double>(next_u64() >> 11u) * 0x1.0p-53;
}

std::uint64_t Random::below(std::uint64_t bound) {
    ASCERTAIN_ASSERT(bound >= 1);
    __extension__ using Wide = unsigned __int128;
    Wide product = static_cast<Wide>(next_u64()) * bound;
    auto fraction = static_cast<std::uint64_t>(product);
    if (fraction < bound) {
        const std::uint64_t threshold = (0 - bound) % bound;
        while (fraction < threshold) {
            product = static_cast<Wide>(next_u64()) * bound;
            fraction = static_cast<std::uint64_t>(product);
        }
    }
    return static_cast<std::uint64_t>(product >> 64u);
}

double Random::normal() {
    const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

double Random::exponential() {
    return -std::log1p(-uniform());
}

}  // namespace ascertain
