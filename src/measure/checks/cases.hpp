// What can be read off an operator case (data/schema/case.schema.json) without running it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/units.hpp"

namespace ascertain::checks {

// "mm" for "aten::mm"; "vendor.fused" for "vendor::fused": the last part of a check's id.
[[nodiscard]] std::string operator_name(std::string_view full_name);
// The case's operator as above; empty when the case names none.
[[nodiscard]] std::string case_operator(const Json& operator_case);
[[nodiscard]] std::string case_id(const Json& operator_case);

// [batch, m, k] times [batch, k, n] gives [batch, m, n].
struct Gemm {
    std::int64_t m = 0;
    std::int64_t n = 0;
    std::int64_t k = 0;
    std::int64_t batch = 1;
    std::string dtype;

    bool operator==(const Gemm&) const = default;
    // 2 m n k for each of the batch (docs/formulas.md#gemm-flops).
    [[nodiscard]] Flops flops() const;
};

// The matrix product that a case of mm, addmm, bmm, baddbmm, matmul or linear is; nothing for every
// other operator and for shapes that do not multiply.
[[nodiscard]] std::optional<Gemm> gemm_of(const Json& operator_case);

// What an element-by-element case must move at least: every input read and the output written once.
// Nothing for operators that are not known to be of this kind.
[[nodiscard]] std::optional<Bytes> streamed_bytes(const Json& operator_case);

// Elements of all tensors that the case takes: its size, for ranking.
[[nodiscard]] double elements_of(const Json& operator_case);

// "mm bf16 [4096, 7168] [7168, 1536]", for people.
[[nodiscard]] std::string case_label(const Json& operator_case);

}  // namespace ascertain::checks
