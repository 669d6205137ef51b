#include "worker/host/requests.hpp"

#include <gtest/gtest.h>

#include <set>

namespace ascertain::worker {
namespace {

TEST(Requests, EveryNameStandsOnceAndLeadsToItself) {
    std::set<std::string_view> names;
    for (const Request& request : requests()) {
        EXPECT_TRUE(names.insert(request.name).second) << request.name;
        EXPECT_EQ(*find_request(request.name), &request);
    }
    for (const char* name : {"describe", "capture", "replay", "repeat", "time"}) {
        EXPECT_TRUE(names.contains(name)) << name;
    }
}

TEST(Requests, AnUnknownNameIsRefusedWithTheNearOne) {
    const Result<const Request*> found = find_request("replai");
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().code, ErrorCode::kBadInput);
    EXPECT_NE(found.error().message.find("\"replay\""), std::string::npos);
}

}  // namespace
}  // namespace ascertain::worker
