#include "measure/device/endpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ascertain::device {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Endpoint, AnAddressIsNoDeviceAndADeviceNoAddress) {
    EXPECT_TRUE(is_endpoint("http://127.0.0.1:8000/v1"));
    EXPECT_TRUE(is_endpoint("https://host/v1"));
    for (const char* name : {"cpu", "npu:3", "node1/cuda:0", "ftp://host"}) {
        EXPECT_FALSE(is_endpoint(name)) << name;
    }
}

TEST(Endpoint, TheSlashAtTheEndIsLeftOut) {
    EXPECT_EQ(*parse_endpoint("http://host:8000/v1/"), "http://host:8000/v1");
    EXPECT_EQ(*parse_endpoint("https://host"), "https://host");
}

TEST(Endpoint, WhatMayHoldASecretIsRefusedAndNotRepeated) {
    for (const char* address :
         {"http://me:hunter2@host/v1", "http://host/v1?key=hunter2", "http://host/v1#hunter2"}) {
        const auto read = parse_endpoint(address);
        ASSERT_FALSE(read.ok()) << address;
        EXPECT_EQ(read.error().code, ErrorCode::kUsage);
        EXPECT_THAT(read.error().text(), Not(HasSubstr("hunter2")));
        EXPECT_THAT(read.error().text(), HasSubstr("ASCERTAIN_API_KEY"));
    }
}

TEST(Endpoint, WhatIsNoAddressIsRefused) {
    for (const char* address : {"http://", "http:///v1", "http://:80", "http://a b", "http://a,b",
                                "http://a\\b", "cpu"}) {
        EXPECT_FALSE(parse_endpoint(address).ok()) << address;
    }
    EXPECT_FALSE(parse_endpoint("http://" + std::string(3000, 'a')).ok());
}

}  // namespace
}  // namespace ascertain::device
