#include "model/shard.hpp"

#include <fmt/format.h>

#include <optional>
#include <string_view>

namespace ascertain::model {
namespace {

// Divides sizes by degrees and remembers the first that does not divide.
class Divider {
public:
    explicit Divider(const Architecture& a) : name_(a.name) {}

    void degree(std::int64_t value, std::string_view field) {
        if (value >= 1 || error_) return;
        error_ = Error{ErrorCode::kOutOfRange, fmt::format("a degree of {} is below 1", value),
                       fmt::format("{}: {}", name_, field)};
    }
    void divide(std::int64_t& size, std::int64_t degree, std::string_view degree_name,
                std::string_view field, std::string_view remedy = "") {
        if (error_) return;
        if (size % degree != 0) {
            refuse(field,
                   fmt::format("{} does not divide by {} {}{}", size, degree_name, degree, remedy));
            return;
        }
        size /= degree;
    }
    void refuse(std::string_view field, std::string message) {
        if (error_) return;
        error_ =
            Error{ErrorCode::kBadInput, std::move(message), fmt::format("{}: {}", name_, field)};
    }
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }

private:
    std::string_view name_;
    std::optional<Error> error_;
};

// Megatron-core repeats key-value heads when the TP group is larger than their number.
void divide_kv_heads(Divider& divider, std::int64_t& kv_heads, std::int64_t tp) {
    if (kv_heads < tp && tp % kv_heads == 0) {
        kv_heads = 1;
        return;
    }
    divider.divide(kv_heads, tp, "tp", "attention.kv_heads");
}

}  // namespace

Result<Architecture> shard_architecture(const Architecture& architecture, const Shard& shard) {
    Divider divider(architecture);
    divider.degree(shard.tp, "tp");
    divider.degree(shard.ep, "ep");
    divider.degree(shard.etp, "etp");
    divider.degree(shard.cp, "cp");
    if (divider.error()) return *divider.error();

    Architecture rank = architecture;
    divider.divide(rank.attention.heads, shard.tp, "tp", "attention.heads");
    divide_kv_heads(divider, rank.attention.kv_heads, shard.tp);
    divider.divide(rank.vocab_size, shard.tp, "tp", "vocab_size",
                   "; trainers pad the vocabulary to a multiple");
    if (layer_count(architecture, LayerKind::kDense) > 0) {
        divider.divide(rank.mlp.intermediate_size, shard.tp, "tp", "mlp.intermediate_size");
    }
    if (architecture.moe.experts > 0) {
        divider.divide(rank.moe.shared_intermediate_size, shard.tp, "tp",
                       "moe.shared_intermediate_size");
        divider.divide(rank.moe.local_experts, shard.ep, "ep", "moe.local_experts");
        divider.divide(rank.moe.expert_intermediate_size, shard.etp, "etp",
                       "moe.expert_intermediate_size");
    } else if (shard.ep > 1 || shard.etp > 1) {
        divider.refuse(shard.ep > 1 ? "ep" : "etp", "the model has no experts to spread");
    }
    if (divider.error()) return *divider.error();
    return rank;
}

}  // namespace ascertain::model
