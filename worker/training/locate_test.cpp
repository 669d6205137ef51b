#include "worker/training/locate.hpp"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "worker/training/sides.hpp"
#include "worker/training/task.hpp"
#include "worker/training/test_architectures.hpp"
#include "worker/training/trainer.hpp"

namespace ascertain::training {
namespace {

struct Models {
    Model reference, twin, device;

    explicit Models(const model::Architecture& architecture)
        : reference(architecture, {.seed = 1}),
          twin(architecture, {.arithmetic = twin_side(at::kFloat).arithmetic, .seed = 1}),
          device(architecture,
                 {.arithmetic = device_side(at::kCPU, at::kFloat).arithmetic, .seed = 1}) {}

    std::optional<Located> find(const GradientHook& hook) {
        const Batch batch = pretraining_batch(1, Split::kTraining, 0, 4, 32);
        return locate(reference, twin, device, batch, {}, hook);
    }
};

const at::Tensor& weight_named(Model& model, const std::string& name) {
    for (const Parameter& parameter : model.parameters().all()) {
        if (parameter.name == name) return parameter.value;
    }
    ADD_FAILURE() << name;
    return model.parameters().all().front().value;
}

TEST(Locate, FindsNothingInAHealthyDevice) {
    Models dense(dense_architecture());
    EXPECT_FALSE(dense.find({}).has_value());
    Models deepseek(deepseek_architecture());
    EXPECT_FALSE(deepseek.find({}).has_value());
}

TEST(Locate, NamesTheFirstModuleWhoseOutputDiffers) {
    // One module that multiplies 0.1 % too much; all later outputs differ as well.
    for (const auto& [weight, module] :
         {std::pair{"model.layers.1.self_attn.o_proj.weight", "layers.1.attention"},
          std::pair{"model.layers.2.mlp.down_proj.weight", "layers.2.mlp"}}) {
        Models models(dense_architecture());
        {
            const c10::AutoGradMode no_gradients(false);
            weight_named(models.device, weight).mul_(1.001);
        }
        const std::optional<Located> found = models.find({});
        ASSERT_TRUE(found.has_value());
        EXPECT_EQ(found->module, module);
        EXPECT_EQ(found->phase, "forward");
        EXPECT_NEAR(found->relative_error, 1e-3, 1e-5);
    }
}

TEST(Locate, NamesTheHeadWhenOnlyWhatComesAfterAllLayersDiffers) {
    Models models(dense_architecture());
    {
        const c10::AutoGradMode no_gradients(false);
        weight_named(models.device, "lm_head.weight").mul_(1.01);
    }
    const std::optional<Located> found = models.find({});
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->module, "head");
    EXPECT_EQ(found->phase, "backward");
}

TEST(Locate, NamesTheWeightWhoseGradientAloneDiffers) {
    Models models(deepseek_architecture());
    const std::string name = "model.layers.1.mlp.gate.weight";
    const std::optional<Located> found = models.find([&](Parameters& parameters) {
        for (const Parameter& parameter : parameters.all()) {
            if (parameter.name == name) parameter.value.mutable_grad().mul_(1.01);
        }
    });
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->module, name);
    EXPECT_EQ(found->phase, "weight_gradient");
}

}  // namespace
}  // namespace ascertain::training
