#include "measure/qualification/tamper.hpp"

#include <gtest/gtest.h>

#include "measure/checks/check.hpp"
#include "measure/qualification/testing.hpp"

namespace ascertain::qualification {
namespace {

TEST(Tamper, DropsTheFirstOperatorThatComputesInAllItsPhases) {
    const Json result = {{"operators",
                          {{{"name", "view"}, {"compute", false}},
                           {{"name", "mm"}, {"phase", "forward"}},
                           {{"name", "add"}, {"phase", "forward"}},
                           {{"name", "mm"}, {"phase", "backward"}}}}};
    const auto changed = corrupted({{"kind", "drop_operator"}}, result);
    ASSERT_TRUE(changed.ok());
    ASSERT_EQ((*changed)["operators"].size(), 2u);
    EXPECT_EQ((*changed)["operators"][0]["name"], "view");
    EXPECT_EQ((*changed)["operators"][1]["name"], "add");
}

TEST(Tamper, AControlThatWouldBeCleanIsAnError) {
    EXPECT_FALSE(corrupted({{"kind", "drop_operator"}}, Json::object()).ok());
    EXPECT_FALSE(corrupted({{"kind", "drop_operator"}}, {{"operators", Json::array()}}).ok());
    const Json same = {{"kind", "answer"},
                       {"patch", {{{"op", "replace"}, {"path", "/x"}, {"value", 1}}}}};
    EXPECT_FALSE(corrupted(same, {{"x", 1}}).ok());  // it is 1 already
    EXPECT_FALSE(corrupted(same, {{"y", 1}}).ok());  // there is no x
    EXPECT_EQ((*corrupted(same, {{"x", 2}}))["x"], 1);
}

TEST(Tamper, EveryTamperOfTheTableIsOursOrTheWorkers) {
    for (const checks::Definition& definition : checks::all()) {
        if (definition.tamper.empty()) continue;
        const Json tamper = Json::parse(definition.tamper);
        if (!is_ours(tamper)) continue;
        // Ours must find something to corrupt in a healthy answer.
        const char* request = definition.id == "device.identity"     ? "describe"
                              : definition.id == "trial.equivalence" ? "train"
                                                                     : "capture";
        const auto answer = testing::healthy("cpu", {request, Json::object(), Seconds{1.0}});
        EXPECT_TRUE(corrupted(tamper, answer.result).ok()) << definition.id;
    }
}

}  // namespace
}  // namespace ascertain::qualification
