// Text that no model can predict, so that log-probabilities of it have their full spread.
#pragma once

#include <cstdint>
#include <vector>

namespace ascertain::model {

// `rows` texts of `length` tokens, drawn evenly from 0 .. vocab_size - 1: [rows][length]. The same
// arguments give the same text everywhere: each side of a comparison draws its own. All above 0.
[[nodiscard]] std::vector<std::vector<std::int64_t>> unpredictable_text(std::int64_t rows,
                                                                        std::int64_t length,
                                                                        std::int64_t vocab_size,
                                                                        std::uint64_t seed);

}  // namespace ascertain::model
