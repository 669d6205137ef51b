#include "model/text.hpp"

#include "base/random.hpp"

namespace ascertain::model {

std::vector<std::vector<std::int64_t>> unpredictable_text(std::int64_t rows, std::int64_t length,
                                                          std::int64_t vocab_size,
                                                          std::uint64_t seed) {
    constexpr std::uint64_t kStream = 0x7e87;
    Random random(seed, kStream);
    std::vector<std::vector<std::int64_t>> texts;
    for (std::int64_t row = 0; row < rows; ++row) {
        auto& text = texts.emplace_back();
        for (std::int64_t i = 0; i < length; ++i) {
            text.push_back(
                static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(vocab_size))));
        }
    }
    return texts;
}

}  // namespace ascertain::model
