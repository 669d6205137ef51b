#include "worker/collectives/payload.hpp"

#include <algorithm>

#include "base/random.hpp"

namespace ascertain::collectives {
namespace {

// Larger contributions would show nothing more, and make every dtype's data alike.
constexpr std::int64_t kLargestContribution = 1000;

// The finaliser of MurmurHash3 (A. Appleby, public domain): every bit of the word moves every bit
// of the result.
std::uint32_t mixed(std::uint32_t word) {
    word = (word ^ (word >> 16U)) * 0x85ebca6bU;
    word = (word ^ (word >> 13U)) * 0xc2b2ae35U;
    return word ^ (word >> 16U);
}

// The key of one rank's data in one iteration.
std::uint32_t key_of(const Payload& payload, std::int64_t iteration, int from, int to) {
    const auto low = [](auto number) { return static_cast<std::uint32_t>(number & 0xffffffff); };
    return philox4x32({low(iteration), low(from), low(to), low(static_cast<int>(payload.kind))},
                      {low(payload.seed), low(payload.seed >> 32U)})[0];
}

std::uint32_t word_at(std::uint32_t key, std::int64_t index) {
    return mixed(key + static_cast<std::uint32_t>(index) * 0x9e3779b9U);
}

bool each_gets_the_same(Kind kind) {
    return kind == Kind::kAllGather || kind == Kind::kBroadcast || kind == Kind::kSendRecv;
}

// Where more ranks add up than the dtype can count, only every so-manieth contributes, another
// set of ranks at each element.
std::int32_t contributed(const Payload& payload, std::uint32_t word, int rank, std::int64_t index) {
    const std::int64_t share = payload.exact_limit / payload.ranks;
    if (share >= 1) {
        const std::int64_t levels = std::min(share, kLargestContribution) + 1;
        return static_cast<std::int32_t>(word % static_cast<std::uint32_t>(levels));
    }
    const std::int64_t stride = (payload.ranks + payload.exact_limit - 1) / payload.exact_limit;
    return (index + rank) % stride == 0 ? static_cast<std::int32_t>(word & 1U) : 0;
}

// Booleans: half of the results are true, by the word of one rank that another word draws. Were all
// ranks to draw, nearly every result would be true, and one that is old or lacks a rank be right.
std::uint32_t key_of_booleans(const Payload& payload, std::int64_t iteration) {
    return key_of(payload, iteration, 0, payload.ranks);
}
bool is_true(std::uint32_t word) {
    return (word & 1U) != 0;
}
bool is_said_by(std::uint32_t word, int rank, const Payload& payload) {
    return is_true(word) && (word >> 1U) % static_cast<std::uint32_t>(payload.ranks) ==
                                static_cast<std::uint32_t>(rank);
}

}  // namespace

std::int64_t elements_in(const Payload& payload) {
    const bool many = payload.kind == Kind::kReduceScatter || payload.kind == Kind::kAllToAll;
    return payload.elements * (many ? payload.ranks : 1);
}

std::int64_t elements_out(const Payload& payload) {
    const bool many = payload.kind == Kind::kAllGather || payload.kind == Kind::kAllToAll;
    return payload.elements * (many ? payload.ranks : 1);
}

std::int32_t contribution(const Payload& payload, std::int64_t iteration, int rank,
                          std::int64_t index) {
    if (payload.exact_limit == 1) {
        const std::uint32_t word = word_at(key_of_booleans(payload, iteration), index);
        return is_said_by(word, rank, payload) ? 1 : 0;
    }
    return contributed(payload, word_at(key_of(payload, iteration, rank, 0), index), rank, index);
}

std::vector<std::int32_t> reduced(const Payload& payload, std::int64_t iteration, int rank) {
    const std::int64_t begin =
        payload.kind == Kind::kReduceScatter ? payload.elements * rank : std::int64_t{0};
    std::vector<std::int32_t> sums(static_cast<std::size_t>(payload.elements), 0);
    if (payload.exact_limit == 1) {
        const std::uint32_t key = key_of_booleans(payload, iteration);
        for (std::int64_t i = 0; i < payload.elements; ++i) {
            sums[static_cast<std::size_t>(i)] = is_true(word_at(key, begin + i)) ? 1 : 0;
        }
        return sums;
    }
    for (int from = 0; from < payload.ranks; ++from) {
        const std::uint32_t key = key_of(payload, iteration, from, 0);
        for (std::int64_t i = 0; i < payload.elements; ++i) {
            auto& sum = sums[static_cast<std::size_t>(i)];
            const std::int32_t own = contributed(payload, word_at(key, begin + i), from, begin + i);
            sum += own;
        }
    }
    return sums;
}

std::vector<std::uint8_t> piece(const Payload& payload, std::int64_t iteration, int from, int to) {
    const std::uint32_t key =
        key_of(payload, iteration, from, each_gets_the_same(payload.kind) ? 0 : to);
    std::vector<std::uint8_t> bytes(
        static_cast<std::size_t>(payload.elements * payload.element_bytes));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const std::uint32_t word = word_at(key, static_cast<std::int64_t>(i / 4));
        bytes[i] = static_cast<std::uint8_t>(word >> (8U * (i % 4)));
    }
    return bytes;
}

std::vector<int> senders(const Payload& payload, int rank) {
    switch (payload.kind) {
        case Kind::kBroadcast: return {0};
        case Kind::kSendRecv: return {(rank + payload.ranks - 1) % payload.ranks};
        case Kind::kAllGather:
        case Kind::kAllToAll: {
            std::vector<int> all;
            for (int from = 0; from < payload.ranks; ++from) all.push_back(from);
            return all;
        }
        case Kind::kAllReduce:
        case Kind::kReduceScatter:
        case Kind::kBarrier: break;
    }
    return {};
}

}  // namespace ascertain::collectives
