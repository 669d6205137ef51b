#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "model/architecture.hpp"
#include "model/names.hpp"

namespace ascertain::model {
namespace {

constexpr std::string_view kSchema = "ascertain.architecture/1";

// One list of the fields, walked by a writer and by a reader, so that the two cannot differ.
template <typename Visitor, typename Part>
void visit_scaling(Visitor& v, Part& s) {
    v.choice("kind", s.kind, names::kRopeScalingKinds);
    v.field("factor", s.factor);
    v.field("original_length_max", s.original_length_max);
    v.field("beta_fast", s.beta_fast);
    v.field("beta_slow", s.beta_slow);
    v.field("mscale", s.mscale);
    v.field("mscale_all_dim", s.mscale_all_dim);
    v.field("attention_factor", s.attention_factor);
    v.field("low_frequency_factor", s.low_frequency_factor);
    v.field("high_frequency_factor", s.high_frequency_factor);
}

template <typename Visitor, typename Part>
void visit_position(Visitor& v, Part& p) {
    v.choice("kind", p.kind, names::kPositionKinds);
    v.field("length_max", p.length_max);
    v.field("theta", p.theta);
    v.field("interleaved", p.interleaved);
    v.part("scaling", [&](auto& inner) { visit_scaling(inner, p.scaling); });
}

template <typename Visitor, typename Part>
void visit_attention(Visitor& v, Part& t) {
    v.choice("kind", t.kind, names::kAttentionKinds);
    v.field("heads", t.heads);
    v.field("kv_heads", t.kv_heads);
    v.field("head_dim", t.head_dim);
    v.field("q_lora_rank", t.q_lora_rank);
    v.field("kv_lora_rank", t.kv_lora_rank);
    v.field("qk_nope_head_dim", t.qk_nope_head_dim);
    v.field("qk_rope_head_dim", t.qk_rope_head_dim);
    v.field("v_head_dim", t.v_head_dim);
    v.field("qk_norm", t.qk_norm);
    v.field("qkv_bias", t.qkv_bias);
    v.field("output_bias", t.output_bias);
    v.field("sliding_window", t.sliding_window);
    v.field("dropout", t.dropout);
}

template <typename Visitor, typename Part>
void visit_moe(Visitor& v, Part& m) {
    v.field("experts", m.experts);
    v.field("local_experts", m.local_experts);
    v.field("topk", m.topk);
    v.field("expert_intermediate_size", m.expert_intermediate_size);
    v.field("shared_experts", m.shared_experts);
    v.field("shared_intermediate_size", m.shared_intermediate_size);
    v.choice("router", m.router, names::kRouterKinds);
    v.field("normalise_topk", m.normalise_topk);
    v.field("scaling_factor", m.scaling_factor);
    v.field("groups", m.groups);
    v.field("topk_groups", m.topk_groups);
    v.field("bias_balancing", m.bias_balancing);
    v.field("auxiliary_loss_coefficient", m.auxiliary_loss_coefficient);
}

template <typename Visitor, typename Part>
void visit_architecture(Visitor& v, Part& a) {
    v.field("name", a.name);
    v.choice("family", a.family, names::kFamilies);
    v.field("vocab_size", a.vocab_size);
    v.field("hidden_size", a.hidden_size);
    v.list("layers", a.layers, [](auto& inner, auto& run) {
        inner.choice("kind", run.kind, names::kLayerKinds);
        inner.field("count", run.count);
    });
    v.part("attention", [&](auto& inner) { visit_attention(inner, a.attention); });
    v.part("mlp", [&](auto& inner) {
        inner.choice("kind", a.mlp.kind, names::kMlpKinds);
        inner.field("intermediate_size", a.mlp.intermediate_size);
        inner.field("bias", a.mlp.bias);
    });
    v.part("moe", [&](auto& inner) { visit_moe(inner, a.moe); });
    v.part("norm", [&](auto& inner) {
        inner.choice("kind", a.norm.kind, names::kNormKinds);
        inner.field("epsilon", a.norm.epsilon);
        inner.field("sandwich", a.norm.sandwich);
    });
    v.part("position", [&](auto& inner) { visit_position(inner, a.position); });
    v.field("tied_embeddings", a.tied_embeddings);
    v.field("mtp_layers", a.mtp_layers);
    v.field("hidden_dropout", a.hidden_dropout);
    v.field("embedding_dropout", a.embedding_dropout);
    v.field("initializer_range", a.initializer_range);
    v.choice("dtype", a.dtype, names::kDtypes);
    v.part("quantisation", [&](auto& inner) {
        inner.field("method", a.quantisation.method);
        inner.field("block_rows", a.quantisation.block_rows);
        inner.field("block_columns", a.quantisation.block_columns);
    });
}

class Writer {
public:
    explicit Writer(Json& out) : out_(out) {}

    template <typename T>
    void field(const char* key, const T& value) {
        out_[key] = value;
    }
    template <typename T, typename Names>
    void choice(const char* key, T value, const Names& table) {
        out_[key] = names::text(table, value);
    }
    template <typename Walk>
    void part(const char* key, Walk walk) {
        Json inner = Json::object();
        Writer writer(inner);
        walk(writer);
        out_[key] = std::move(inner);
    }
    template <typename T, typename Walk>
    void list(const char* key, const std::vector<T>& items, Walk walk) {
        Json array = Json::array();
        for (const T& item : items) {
            Json inner = Json::object();
            Writer writer(inner);
            walk(writer, item);
            array.push_back(std::move(inner));
        }
        out_[key] = std::move(array);
    }

private:
    Json& out_;
};

class Reader {
public:
    // `prefix` is "name: " or "name: attention.".
    Reader(const Json& in, std::string prefix, std::optional<Error>& error)
        : in_(in), prefix_(std::move(prefix)), error_(error) {}

    void field(const char* key, std::int64_t& value) { read(key, value, integer_at); }
    void field(const char* key, double& value) { read(key, value, number_at); }
    void field(const char* key, bool& value) { read(key, value, flag_at); }
    void field(const char* key, std::string& value) { read(key, value, text_at); }
    template <typename T, typename Names>
    void choice(const char* key, T& value, const Names& table) {
        std::string text;
        read(key, text, text_at);
        if (error_) return;
        if (const auto found = names::value(table, text)) {
            value = *found;
        } else {
            refuse(key, fmt::format("unknown value \"{}\"{}", shortened(text, 60),
                                    did_you_mean(text, names::all(table))));
        }
    }
    template <typename Walk>
    void part(const char* key, Walk walk) {
        if (const Json* inner = find(key)) {
            Reader reader(*inner, fmt::format("{}{}.", prefix_, key), error_);
            if (!inner->is_object()) return refuse(key, "must be an object");
            walk(reader);
            reader.refuse_unknown();
        }
    }
    template <typename T, typename Walk>
    void list(const char* key, std::vector<T>& items, Walk walk) {
        const Json* array = find(key);
        if (array == nullptr) return;
        constexpr std::size_t kItemsMax = 10'000;
        if (!array->is_array() || array->size() > kItemsMax) {
            return refuse(key, fmt::format("must be a list of at most {} items", kItemsMax));
        }
        items.clear();
        for (const Json& inner : *array) {
            Reader reader(inner, fmt::format("{}{}[{}].", prefix_, key, items.size()), error_);
            if (!inner.is_object()) return refuse(key, "must hold objects");
            walk(reader, items.emplace_back());
            reader.refuse_unknown();
        }
    }
    void refuse(std::string_view key, std::string message) {
        if (!error_)
            error_ =
                Error{ErrorCode::kBadInput, std::move(message), fmt::format("{}{}", prefix_, key)};
    }
    void refuse_unknown() {
        for (const auto& item : in_.items()) {
            if (error_) return;
            if (std::ranges::find(known_, item.key()) == known_.end()) {
                refuse(item.key(), "unknown field" + did_you_mean(item.key(), known_));
            }
        }
    }

private:
    const Json* find(const char* key) {
        known_.emplace_back(key);
        if (error_) return nullptr;
        const auto found = in_.find(key);
        if (found != in_.end()) return &*found;
        refuse(key, "is missing");
        return nullptr;
    }
    template <typename T, typename Get>
    void read(const char* key, T& value, Get get) {
        known_.emplace_back(key);
        if (error_) return;
        const auto found = get(in_, key, fmt::format("{}{}", prefix_, key));
        if (found) {
            value = static_cast<T>(*found);
        } else {
            error_ = found.error();
        }
    }

    const Json& in_;
    std::string prefix_;
    std::optional<Error>& error_;
    std::vector<std::string> known_;
};

}  // namespace

Json to_json(const Architecture& architecture) {
    Json document = Json::object();
    document["schema"] = kSchema;
    Writer writer(document);
    visit_architecture(writer, architecture);
    return document;
}

Result<Architecture> architecture_from_json(const Json& document, std::string_view name) {
    if (!document.is_object()) {
        return Error{ErrorCode::kBadInput, "an architecture is an object", std::string(name)};
    }
    std::optional<Error> error;
    Reader reader(document, fmt::format("{}: ", name), error);
    std::string schema;
    reader.field("schema", schema);
    if (schema != kSchema) reader.refuse("schema", fmt::format("must be \"{}\"", kSchema));
    Architecture architecture;
    visit_architecture(reader, architecture);
    reader.refuse_unknown();
    if (error) return *error;
    if (const auto valid = validate(architecture); !valid) {
        Error invalid = valid.error();
        invalid.where = fmt::format("{}{}", name, invalid.where.substr(architecture.name.size()));
        return invalid;
    }
    return architecture;
}

}  // namespace ascertain::model
