#include "model/architecture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/shard.hpp"
#include "model/testing.hpp"
#include "model/trial.hpp"

namespace ascertain::model {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using testing_support::kModelFiles;
using testing_support::model_of;

TEST(ArchitectureJson, ComesBackEqualThroughText) {
    for (const char* file : kModelFiles) {
        SCOPED_TRACE(file);
        const Architecture whole = model_of(file);
        for (const Architecture& a : {whole, trial_scale(whole, {}).value()}) {
            const auto document = parse_json(to_json(a).dump(), "message");
            ASSERT_TRUE(document.ok());
            const auto back = architecture_from_json(*document, "message");
            ASSERT_TRUE(back.ok()) << back.error().text();
            EXPECT_EQ(*back, a);
        }
    }
}

TEST(ArchitectureJson, CarriesTheShareOfARank) {
    const Architecture rank =
        shard_architecture(model_of("deepseek-r1.json"), {.tp = 2, .ep = 64}).value();
    const auto back = architecture_from_json(to_json(rank), "message");
    ASSERT_TRUE(back.ok()) << back.error().text();
    EXPECT_EQ(back->moe.local_experts, 4);
    EXPECT_EQ(back->moe.experts, 256);
}

// Calls `visit(pointer)` for every member of the document, nested ones included.
template <typename Visit>
void for_each_member(const Json& document, Visit visit) {
    const Json flat = document.flatten();
    for (const auto& item : flat.items()) {
        visit(Json::json_pointer(item.key()));
    }
}

TEST(ArchitectureJson, RefusesEveryMissingUnknownOrMistypedField) {
    const Json good = to_json(model_of("deepseek-r1.json"));
    int fields = 0;
    for_each_member(good, [&](const Json::json_pointer& pointer) {
        ++fields;
        Json missing = good;
        missing.at(pointer.parent_pointer()).erase(pointer.back());
        const auto without = architecture_from_json(missing, "m");
        ASSERT_FALSE(without.ok()) << pointer.to_string();
        EXPECT_THAT(without.error().where, HasSubstr(pointer.back()));
        for (const Json& wrong :
             {Json(nullptr), Json::array(), Json::object(), Json("no such word")}) {
            if (wrong.is_string() && good.at(pointer).is_string() &&
                (pointer.back() == "name" || pointer.back() == "method")) {
                continue;  // free text
            }
            Json document = good;
            document.at(pointer) = wrong;
            const auto result = architecture_from_json(document, "m");
            ASSERT_FALSE(result.ok()) << pointer.to_string() << " = " << wrong.dump();
            EXPECT_THAT(result.error().where, StartsWith("m: "));
        }
        for (const Json& number : {Json(INT64_MIN), Json(INT64_MAX), Json(-1), Json(1e300)}) {
            Json document = good;
            document.at(pointer) = number;
            const auto result = architecture_from_json(document, "m");
            if (result.ok()) {
                EXPECT_TRUE(validate(*result).ok()) << pointer.to_string();
            }
        }
    });
    EXPECT_GT(fields, 50);
    Json unknown = good;
    unknown["attention"]["haeds"] = 3;
    EXPECT_EQ(architecture_from_json(unknown, "m").error().where, "m: attention.haeds");
    EXPECT_THAT(architecture_from_json(unknown, "m").error().message, HasSubstr("\"heads\""));
    Json other = good;
    other["schema"] = "ascertain.architecture/2";
    EXPECT_EQ(architecture_from_json(other, "m").error().where, "m: schema");
    EXPECT_FALSE(architecture_from_json(Json(3), "m").ok());
}

TEST(ArchitectureJson, WritesExactlyTheFieldsOfItsSchema) {
    std::ifstream in(std::string(ASCERTAIN_SOURCE_DIR) + "/data/schema/architecture.schema.json");
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const auto schema = parse_json(text, "schema");
    ASSERT_TRUE(schema.ok());
    const Json document = to_json(model_of("deepseek-r1.json"));
    const auto same = [](const Json& object, const Json& described, const std::string& place) {
        EXPECT_EQ(described.value("additionalProperties", true), false) << place;
        EXPECT_EQ(object.size(), described.at("properties").size()) << place;
        EXPECT_EQ(object.size(), described.at("required").size()) << place;
        for (const auto& item : object.items()) {
            EXPECT_TRUE(described.at("properties").contains(item.key())) << place << item.key();
        }
    };
    same(document, *schema, "");
    for (const char* part : {"attention", "mlp", "moe", "norm", "position", "quantisation"}) {
        same(document[part], schema->at("properties").at(part), part);
    }
    same(document["position"]["scaling"],
         schema->at("properties").at("position").at("properties").at("scaling"), "scaling");
    same(document["layers"][0], schema->at("properties").at("layers").at("items"), "layers");
}

TEST(Validate, RefusesSizesWhoseSumsWouldOverflow) {
    Architecture a = model_of("deepseek-r1.json");
    a.layers = {{LayerKind::kMoe, 10'000}};
    a.hidden_size = 1 << 22;
    a.moe.experts = 1 << 16;
    a.moe.local_experts = 1 << 16;
    a.moe.expert_intermediate_size = 1 << 22;
    EXPECT_EQ(validate(a).error().where, "deepseek-r1.json: parameters");
}

TEST(LayerKindOf, FollowsTheRuns) {
    const Architecture a = model_of("deepseek-r1.json");
    EXPECT_EQ(layer_kind(a, 0), LayerKind::kDense);
    EXPECT_EQ(layer_kind(a, 2), LayerKind::kDense);
    EXPECT_EQ(layer_kind(a, 3), LayerKind::kMoe);
    EXPECT_EQ(layer_kind(a, 60), LayerKind::kMoe);
    EXPECT_EQ(mtp_layer_kind(a), LayerKind::kMoe);
    EXPECT_EQ(layer_count(a), 61);
}

TEST(PadVocabulary, RoundsUpToAMultiple) {
    const Architecture a = model_of("gpt3-175b.json");
    EXPECT_EQ(pad_vocabulary(a, 1024).vocab_size, 51'200);  // as Megatron pads it
    EXPECT_EQ(pad_vocabulary(a, 1).vocab_size, 50'257);
}

}  // namespace
}  // namespace ascertain::model
