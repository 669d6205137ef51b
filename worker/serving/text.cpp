#include "worker/serving/text.hpp"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "model/text.hpp"
#include "worker/training/job.hpp"

namespace ascertain::serving {
namespace {

constexpr std::int64_t kTokensMax = std::int64_t{1} << 24;
constexpr std::int64_t kSeedMax = (std::int64_t{1} << 53) - 1;

Error bad(std::string what, std::string where) {
    return {ErrorCode::kBadInput, std::move(what), std::move(where)};
}

Result<at::Tensor> given(const Json& lists, std::int64_t vocab_size) {
    if (!lists.is_array() || lists.empty() || !lists.front().is_array()) {
        return bad("is not a list of token lists", "tokens");
    }
    const auto rows = static_cast<std::int64_t>(lists.size());
    const auto length = static_cast<std::int64_t>(lists.front().size());
    if (length < 2 || rows * length > kTokensMax) {
        return bad(fmt::format("{} lists of {} tokens: at least 2 and at most {} in all are read",
                               rows, length, kTokensMax),
                   "tokens");
    }
    at::Tensor tokens = at::empty({rows, length}, at::TensorOptions().dtype(at::kLong));
    std::int64_t* place = tokens.mutable_data_ptr<std::int64_t>();
    for (std::int64_t row = 0; row < rows; ++row) {
        const Json& list = lists[static_cast<std::size_t>(row)];
        if (!list.is_array() || static_cast<std::int64_t>(list.size()) != length) {
            return bad(fmt::format("is not a list of {} tokens like the first", length),
                       fmt::format("tokens[{}]", row));
        }
        std::size_t column = 0;
        for (const Json& token : list) {
            const bool known = token.is_number_integer() && token.get<std::int64_t>() >= 0 &&
                               token.get<std::int64_t>() < vocab_size;
            if (!known) {
                return bad(fmt::format("is no token below the vocabulary of {}", vocab_size),
                           fmt::format("tokens[{}][{}]", row, column));
            }
            *place++ = token.get<std::int64_t>();
            ++column;
        }
    }
    return tokens;
}

Result<at::Tensor> drawn(const Json& text, std::int64_t vocab_size) {
    if (!text.is_object()) return bad("is not {rows, length, seed}", "text");
    const auto rows = training::bounded_integer(text, "rows", 1, 65'536, std::nullopt);
    if (!rows) return rows.error();
    const auto length = training::bounded_integer(text, "length", 2, kTokensMax, std::nullopt);
    if (!length) return length.error();
    const auto seed = training::bounded_integer(text, "seed", 0, kSeedMax, std::nullopt);
    if (!seed) return seed.error();
    if (*rows > kTokensMax / *length) return bad("asks for too many tokens", "text");
    at::Tensor tokens = at::empty({*rows, *length}, at::TensorOptions().dtype(at::kLong));
    std::int64_t* place = tokens.mutable_data_ptr<std::int64_t>();
    for (const auto& row :
         model::unpredictable_text(*rows, *length, vocab_size, static_cast<std::uint64_t>(*seed))) {
        place = std::ranges::copy(row, place).out;
    }
    return tokens;
}

}  // namespace

Result<at::Tensor> text_from_json(const Json& params, std::int64_t vocab_size) {
    const auto tokens = params.find("tokens");
    const auto text = params.find("text");
    if ((tokens == params.end()) == (text == params.end())) {
        return bad("needs tokens or text, one of the two", "params");
    }
    return tokens != params.end() ? given(*tokens, vocab_size) : drawn(*text, vocab_size);
}

}  // namespace ascertain::serving
