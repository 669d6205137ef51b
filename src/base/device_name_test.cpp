#include "base/device_name.hpp"

#include <gtest/gtest.h>

namespace ascertain {
namespace {

TEST(DeviceName, ADeviceOfAnotherNodeHasTheNodesNameBeforeItsOwn) {
    EXPECT_EQ(node_of("node1/cuda:0"), "node1");
    EXPECT_EQ(local_part("node1/cuda:0"), "cuda:0");
}

TEST(DeviceName, ADeviceOfThisMachineHasNoNode) {
    EXPECT_EQ(node_of("cuda:0"), "");
    EXPECT_EQ(local_part("cuda:0"), "cuda:0");
}

}  // namespace
}  // namespace ascertain
