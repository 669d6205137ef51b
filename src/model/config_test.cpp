#include "model/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "model/parameters.hpp"
#include "model/testing.hpp"

namespace ascertain::model {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using testing_support::kModelFiles;
using testing_support::model_of;
using testing_support::model_text;

Json document_of(const std::string& file) {
    return parse_json(model_text(file), file).value();
}

Result<Architecture> read(const Json& document) {
    return read_config(document.dump(), "x");
}

// The error of a published config with some members changed; null removes a member.
Error error_of(const std::string& file, const std::vector<std::pair<std::string, Json>>& changes) {
    Json document = document_of(file);
    for (const auto& [key, value] : changes) {
        document[key] = value;
        if (value.is_null()) document.erase(key);
    }
    const auto result = read(document);
    return result.ok() ? Error{ErrorCode::kInternal, "accepted", ""} : result.error();
}

TEST(ReadConfig, OfR1GivesEveryFieldThatItsModulesNeed) {
    const Architecture a = model_of("deepseek-r1.json");
    EXPECT_EQ(a.family, Family::kDeepseekV3);
    EXPECT_EQ(a.vocab_size, 129'280);
    EXPECT_EQ(a.hidden_size, 7168);
    EXPECT_EQ(a.layers, (std::vector<LayerRun>{{LayerKind::kDense, 3}, {LayerKind::kMoe, 58}}));
    EXPECT_EQ(a.attention.kind, AttentionKind::kMla);
    EXPECT_EQ(a.attention.heads, 128);
    EXPECT_EQ(a.attention.head_dim, 192);
    EXPECT_EQ(a.attention.q_lora_rank, 1536);
    EXPECT_EQ(a.attention.kv_lora_rank, 512);
    EXPECT_EQ(a.attention.v_head_dim, 128);
    EXPECT_EQ(a.mlp.intermediate_size, 18'432);
    EXPECT_EQ(a.moe.experts, 256);
    EXPECT_EQ(a.moe.topk, 8);
    EXPECT_EQ(a.moe.shared_intermediate_size, 2048);
    EXPECT_EQ(a.moe.router, RouterKind::kSigmoid);
    EXPECT_TRUE(a.moe.normalise_topk);
    EXPECT_TRUE(a.moe.bias_balancing);
    EXPECT_DOUBLE_EQ(a.moe.scaling_factor, 2.5);
    EXPECT_EQ(a.moe.groups, 8);
    EXPECT_EQ(a.moe.topk_groups, 4);
    EXPECT_EQ(a.position.scaling.kind, RopeScalingKind::kYarn);
    EXPECT_DOUBLE_EQ(a.position.scaling.factor, 40.0);
    EXPECT_EQ(a.position.scaling.original_length_max, 4096);
    EXPECT_TRUE(a.position.interleaved);
    EXPECT_EQ(a.mtp_layers, 1);
    EXPECT_FALSE(a.tied_embeddings);
    EXPECT_EQ(a.quantisation.method, "fp8");
    EXPECT_EQ(a.quantisation.block_rows, 128);
    EXPECT_EQ(a.dtype, Dtype::kBf16);
}

TEST(ReadConfig, KnowsWhatFamiliesDoWithoutSayingSo) {
    // The traps listed in data/models/README.md.
    EXPECT_EQ(model_of("qwen3-30b-a3b.json").attention.head_dim, 128);  // 32 x 128 is not 2048
    EXPECT_EQ(model_of("qwen3-30b-a3b.json").moe.expert_intermediate_size, 768);
    EXPECT_EQ(layer_count(model_of("qwen3-30b-a3b.json"), LayerKind::kDense), 0);
    EXPECT_TRUE(model_of("qwen3-8b.json").attention.qk_norm);
    EXPECT_TRUE(model_of("qwen2.5-7b.json").attention.qkv_bias);  // no key announces it
    EXPECT_FALSE(model_of("qwen2.5-7b.json").attention.output_bias);
    EXPECT_EQ(model_of("qwen2.5-7b.json").attention.sliding_window, 0);      // switched off
    EXPECT_DOUBLE_EQ(model_of("llama-2-7b.json").position.theta, 10'000.0);  // not published
    EXPECT_EQ(model_of("llama-2-7b.json").dtype, Dtype::kFp16);
    EXPECT_EQ(model_of("llama-3.1-8b.json").position.scaling.kind, RopeScalingKind::kLlama3);
    EXPECT_EQ(model_of("mixtral-8x7b.json").moe.experts, 8);
    EXPECT_TRUE(model_of("mixtral-8x7b.json").moe.normalise_topk);
    EXPECT_EQ(model_of("mixtral-8x7b.json").moe.expert_intermediate_size, 14'336);
    EXPECT_EQ(model_of("kimi-k2.json").family, Family::kKimiK2);
    EXPECT_EQ(model_of("kimi-k2.json").moe.groups, 1);
    EXPECT_EQ(model_of("kimi-k2.json").mtp_layers, 0);
    EXPECT_EQ(model_of("deepseek-v2-lite.json").attention.q_lora_rank, 0);
    EXPECT_EQ(model_of("deepseek-v2-lite.json").moe.router, RouterKind::kSoftmax);
    EXPECT_EQ(model_of("deepseek-v2-lite.json").moe.shared_intermediate_size, 2816);
    EXPECT_FALSE(model_of("deepseek-v2-lite.json").moe.bias_balancing);
    EXPECT_EQ(model_of("pangu-ultra-moe-718b.json").attention.kv_lora_rank, 512);
    EXPECT_EQ(model_of("pangu-ultra-moe-718b.json").moe.experts, 256);
    EXPECT_EQ(layer_count(model_of("pangu-ultra-moe-718b.json"), LayerKind::kDense), 3);
    EXPECT_FALSE(model_of("pangu-ultra-moe-718b.json").moe.bias_balancing);
    const Architecture gpt = model_of("gpt3-175b.json");
    EXPECT_TRUE(gpt.tied_embeddings && gpt.attention.qkv_bias && gpt.attention.output_bias);
    EXPECT_TRUE(gpt.mlp.bias);
    EXPECT_EQ(gpt.position.kind, PositionKind::kLearned);
    EXPECT_EQ(gpt.norm.kind, NormKind::kLayer);
    EXPECT_EQ(gpt.mlp.kind, MlpKind::kGeluTanh);
}

TEST(ReadConfig, UnderstandsTheKeysOfTransformers5) {
    for (const char* file : kModelFiles) {
        Json document = document_of(file);
        if (document["model_type"] == "gpt2") continue;
        const auto old_form = read(document);
        Json rope = document.value("rope_scaling", Json(nullptr));
        if (rope.is_null()) rope = Json{{"rope_type", "default"}};
        if (rope.contains("type")) {
            rope["rope_type"] = rope["type"];
            rope.erase("type");
        }
        if (document.contains("rope_theta")) rope["rope_theta"] = document["rope_theta"];
        if (document.contains("torch_dtype")) document["dtype"] = document["torch_dtype"];
        document["rope_parameters"] = rope;
        if (document["model_type"] == "qwen3_moe") {
            document["num_local_experts"] = document["num_experts"];
            document.erase("num_experts");
        }
        for (const char* key : {"rope_scaling", "rope_theta", "torch_dtype"}) document.erase(key);
        const auto new_form = read(document);
        ASSERT_TRUE(old_form.ok() && new_form.ok()) << file << new_form.error().text();
        EXPECT_EQ(*old_form, *new_form) << file;
    }
}

TEST(ReadConfig, RefusesTwoFormsThatDisagree) {
    EXPECT_EQ(error_of("llama-3.1-8b.json", {{"dtype", "float32"}}).where, "x: dtype");
    EXPECT_EQ(error_of("llama-3.1-8b.json", {{"rope_parameters", {{"rope_theta", 1e4}}}}).where,
              "x: rope_parameters.rope_theta");
}

TEST(ReadConfig, ReadsWhichLayersAreSparse) {
    Json document = document_of("qwen3-30b-a3b.json");
    document["num_hidden_layers"] = 6;
    document["decoder_sparse_step"] = 2;  // counted from 1: layers 1, 3, 5
    EXPECT_EQ(layer_count(*read(document), LayerKind::kMoe), 3);
    EXPECT_EQ(layer_kind(*read(document), 0), LayerKind::kDense);
    document["decoder_sparse_step"] = 1;
    document["mlp_only_layers"] = {0, 5};
    EXPECT_EQ(read(document)->layers,
              (std::vector<LayerRun>{
                  {LayerKind::kDense, 1}, {LayerKind::kMoe, 4}, {LayerKind::kDense, 1}}));
    Json dense = document_of("deepseek-v3.json");
    dense["first_k_dense_replace"] = 61;
    ASSERT_TRUE(read(dense).ok());
    EXPECT_EQ(read(dense)->moe, Moe{});
}

TEST(ReadConfig, NamesTheFieldOfEveryContradiction) {
    using Changes = std::vector<std::pair<std::string, Json>>;
    struct Case {
        const char* file;
        Changes changes;
        const char* field;
    };
    const std::vector<Case> cases{
        {"llama-3.1-8b.json", {{"num_key_value_heads", 7}}, "num_key_value_heads"},
        {"llama-3.1-8b.json", {{"num_attention_heads", 33}}, "num_attention_heads"},
        {"llama-3.1-8b.json", {{"head_dim", 127}}, "head_dim"},
        {"llama-3.1-8b.json", {{"head_dim", 20'000}}, "head_dim"},
        {"llama-3.1-8b.json", {{"num_hidden_layers", 0}}, "num_hidden_layers"},
        {"llama-3.1-8b.json", {{"num_hidden_layers", -1}}, "num_hidden_layers"},
        {"llama-3.1-8b.json", {{"num_hidden_layers", 1'000'000'000}}, "num_hidden_layers"},
        {"llama-3.1-8b.json", {{"hidden_size", std::int64_t{1} << 62}}, "hidden_size"},
        {"llama-3.1-8b.json", {{"vocab_size", 1}}, "vocab_size"},
        {"llama-3.1-8b.json", {{"rms_norm_eps", 0}}, "rms_norm_eps"},
        {"llama-3.1-8b.json", {{"rope_theta", -1}}, "rope_theta"},
        {"llama-3.1-8b.json", {{"hidden_act", "relu"}}, "hidden_act"},
        {"llama-3.1-8b.json", {{"torch_dtype", "bfloat61"}}, "torch_dtype"},
        {"llama-3.1-8b.json",
         {{"rope_scaling", {{"rope_type", "longrope"}, {"factor", 2}}}},
         "rope_scaling.rope_type"},
        {"llama-3.1-8b.json",
         {{"rope_scaling", {{"rope_type", "linear"}, {"factor", 0}}}},
         "rope_scaling.factor"},
        {"llama-3.1-8b.json", {{"rope_scaling", {{"rope_type", "linear"}}}}, "rope_scaling.factor"},
        {"qwen2.5-7b.json",
         {{"use_sliding_window", true}, {"max_window_layers", 14}},
         "max_window_layers"},
        {"mixtral-8x7b.json", {{"num_experts_per_tok", 9}}, "num_experts_per_tok"},
        {"mixtral-8x7b.json", {{"num_local_experts", 0}}, "num_local_experts"},
        {"qwen3-30b-a3b.json", {{"decoder_sparse_step", 0}}, "decoder_sparse_step"},
        {"qwen3-30b-a3b.json", {{"mlp_only_layers", {48}}}, "mlp_only_layers"},
        {"deepseek-v3.json", {{"n_group", 7}}, "n_group"},
        {"deepseek-v3.json", {{"topk_group", 9}}, "topk_group"},
        {"deepseek-v3.json", {{"n_group", 128}, {"topk_group", 3}}, "topk_group"},
        {"deepseek-v3.json", {{"first_k_dense_replace", 62}}, "first_k_dense_replace"},
        {"deepseek-v3.json", {{"qk_rope_head_dim", 63}}, "qk_rope_head_dim"},
        {"deepseek-v3.json", {{"qk_rope_head_dim", 1 << 21}}, "qk_rope_head_dim"},
        {"deepseek-v3.json", {{"num_key_value_heads", 64}}, "num_key_value_heads"},
        {"deepseek-v3.json", {{"scoring_func", "sigmoidal"}}, "scoring_func"},
        {"deepseek-v3.json", {{"topk_method", "noaux"}}, "topk_method"},
        {"deepseek-v3.json", {{"n_shared_experts", -1}}, "n_shared_experts"},
        {"deepseek-v3.json", {{"num_nextn_predict_layers", 1000}}, "num_nextn_predict_layers"},
        {"deepseek-v3.json",
         {{"quantization_config", {{"weight_block_size", {128}}}}},
         "quantization_config.weight_block_size"},
        {"gpt3-175b.json", {{"n_head", 95}}, "n_head"},
        {"gpt3-175b.json", {{"attn_pdrop", 1.0}}, "attn_pdrop"},
        {"gpt3-175b.json", {{"activation_function", "relu"}}, "activation_function"},
        {"pangu-ultra-moe-718b.json", {{"attention_kv_lora_dim", 0}}, "attention_kv_lora_dim"},
        {"pangu-ultra-moe-718b.json", {{"num_dense_layers", -3}}, "num_dense_layers"},
    };
    for (const Case& c : cases) {
        const Error error = error_of(c.file, c.changes);
        EXPECT_EQ(error.where, std::string("x: ") + c.field) << c.file << ": " << error.text();
        EXPECT_FALSE(error.message.empty());
    }
}

TEST(ReadConfig, NamesUnknownModelTypesWithTheirNeighbours) {
    const Error error = error_of("deepseek-v3.json", {{"model_type", "deepseek_v5"}});
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    EXPECT_EQ(error.where, "x: model_type");
    EXPECT_THAT(error.message, HasSubstr("did you mean \"deepseek_v2\", \"deepseek_v3\""));
    EXPECT_EQ(error_of("deepseek-v3.json", {{"model_type", nullptr}}).where, "x: model_type");
    EXPECT_EQ(error_of("deepseek-v3.json", {{"model_type", 3}}).code, ErrorCode::kBadInput);
}

TEST(ReadConfig, NamesEveryMissingFieldAndSuggestsTheMistypedOne) {
    const std::pair<const char*, std::vector<const char*>> required[] = {
        {"llama-2-7b.json",
         {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
          "intermediate_size", "max_position_embeddings"}},
        {"qwen3-30b-a3b.json",
         {"num_key_value_heads", "num_experts", "num_experts_per_tok", "moe_intermediate_size"}},
        {"deepseek-v3.json",
         {"kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
          "moe_intermediate_size", "num_experts_per_tok"}},
        {"gpt3-175b.json", {"n_embd", "n_layer", "n_head", "n_positions", "vocab_size"}},
        {"pangu-ultra-moe-718b.json", {"attention_v_dim", "attention_qk_dim"}},
    };
    for (const auto& [file, keys] : required) {
        for (const char* key : keys) {
            const Error error = error_of(file, {{key, nullptr}});
            EXPECT_EQ(error.where, std::string("x: ") + key) << file << ": " << error.text();
            EXPECT_THAT(error.message, HasSubstr("missing"));
        }
    }
    const Error mistyped =
        error_of("llama-2-7b.json", {{"hidden_size", nullptr}, {"hiden_size", 4096}});
    EXPECT_THAT(mistyped.message, HasSubstr("did you mean \"hiden_size\""));
}

TEST(ReadConfig, SurvivesEveryWrongTypeAndAbsurdNumberInEveryField) {
    const std::vector<Json> hostile{"text",
                                    Json::array(),
                                    Json::object(),
                                    Json::array({1, "a", nullptr}),
                                    true,
                                    -1,
                                    0,
                                    1.5,
                                    1e300,
                                    -1e300,
                                    std::int64_t{1} << 62,
                                    INT64_MIN,
                                    INT64_MAX,
                                    UINT64_MAX,
                                    Json{{"rope_type", 3}},
                                    nullptr};
    int refused = 0;
    for (const char* file : kModelFiles) {
        const Json published = document_of(file);
        for (const auto& member : published.items()) {
            for (const Json& value : hostile) {
                Json document = published;
                document[member.key()] = value;
                const auto result = read(document);
                if (result.ok()) {
                    // Then the field is not read, or the value makes sense: the rest must hold.
                    EXPECT_TRUE(validate(*result).ok()) << file << " " << member.key();
                    EXPECT_GT(count_parameters(*result).total, 0) << file << " " << member.key();
                } else {
                    EXPECT_THAT(result.error().where, StartsWith("x: ")) << result.error().text();
                    EXPECT_NE(result.error().code, ErrorCode::kInternal);
                    ++refused;
                }
            }
        }
    }
    EXPECT_GT(refused, 2000);  // most fields are read, and most of these values are wrong
}

TEST(ReadConfig, RefusesWrongTypesInTheFieldsItReadsByTheirName) {
    for (const char* key :
         {"vocab_size",          "hidden_size",           "num_hidden_layers",
          "num_attention_heads", "intermediate_size",     "max_position_embeddings",
          "rms_norm_eps",        "tie_word_embeddings",   "hidden_act",
          "initializer_range",   "kv_lora_rank",          "n_routed_experts",
          "norm_topk_prob",      "routed_scaling_factor", "rope_scaling",
          "rope_theta",          "quantization_config",   "torch_dtype",
          "scoring_func",        "attention_bias"}) {
        const Error error = error_of("deepseek-v3.json", {{key, Json::array({"wrong"})}});
        EXPECT_EQ(error.where, std::string("x: ") + key) << error.text();
    }
}

TEST(ReadConfig, RefusesEveryTruncation) {
    const std::string text = model_text("deepseek-r1.json");
    const std::size_t last = text.find_last_of('}');
    for (std::size_t length = 0; length <= last; ++length) {
        const auto result = read_config(std::string_view(text).substr(0, length), "x");
        ASSERT_FALSE(result.ok()) << length;
        EXPECT_THAT(result.error().where, StartsWith("x"));
    }
}

TEST(ReadConfig, RefusesWhatIsNoConfig) {
    EXPECT_FALSE(read_config("", "x").ok());
    EXPECT_FALSE(read_config("[]", "x").ok());
    EXPECT_FALSE(read_config("null", "x").ok());
    EXPECT_FALSE(read_config(std::string(4096, '\0'), "x").ok());
    EXPECT_FALSE(read_config("\x7f"
                             "ELF\x02\x01\x01",
                             "x")
                     .ok());
    EXPECT_FALSE(read_config("\x89PNG\r\n\x1a\n", "x").ok());
    const std::string deep = "{\"rope_scaling\":" + std::string(100'000, '[');
    EXPECT_THAT(read_config(deep, "x").error().message, HasSubstr("nested deeper"));
    EXPECT_THAT(read_config(R"({"model_type":"llama","hidden_size":1,"hidden_size":2})", "x")
                    .error()
                    .message,
                HasSubstr("appears twice"));
    const std::string large(100u << 20, ' ');
    EXPECT_THAT(read_config(large, "x").error().message, HasSubstr("bytes allowed"));
}

}  // namespace
}  // namespace ascertain::model
