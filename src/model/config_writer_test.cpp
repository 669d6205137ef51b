#include "model/config_writer.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"
#include "model/config.hpp"
#include "model/testing.hpp"
#include "model/trial.hpp"

namespace ascertain::model {
namespace {

using testing_support::kModelFiles;
using testing_support::model_of;

TEST(ConfigWriter, EveryModelAtTrialSizeAndAtItsOwnComesBackAsItWas) {
    for (const char* file : kModelFiles) {
        SCOPED_TRACE(file);
        for (const Architecture& whole : {model_of(file), *trial_scale(model_of(file), {})}) {
            const auto text = write_config(whole);
            ASSERT_TRUE(text.ok()) << text.error().text();
            auto again = read_config(*text, whole.name);
            ASSERT_TRUE(again.ok()) << again.error().text();
            EXPECT_EQ(again->dtype, Dtype::kFp32);
            EXPECT_TRUE(again->quantisation.method.empty());
            again->dtype = whole.dtype;
            again->quantisation = whole.quantisation;
            EXPECT_EQ(*again, whole);
        }
    }
}

TEST(ConfigWriter, TheClassIsTheOneThatTransformersHas) {
    const auto text = write_config(model_of("mixtral-8x7b.json"));
    ASSERT_TRUE(text.ok());
    const auto document = parse_json(*text, "config");
    EXPECT_EQ((*document)["architectures"], Json::array({"MixtralForCausalLM"}));
    EXPECT_EQ((*document)["model_type"], "mixtral");
    // That of the experts: the family has no other.
    EXPECT_EQ((*document)["intermediate_size"], 14336);
}

TEST(ConfigWriter, ARanksShareOfTheExpertsHasNoWords) {
    Architecture share = model_of("mixtral-8x7b.json");
    share.moe.local_experts = 2;
    const auto text = write_config(share);
    ASSERT_FALSE(text.ok());
    EXPECT_EQ(text.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace ascertain::model
