#include "worker/host/failure.hpp"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

namespace ascertain::worker {
namespace {

template <typename Throw>
std::string_view kind_when(Throw thrower) {
    const Result<int> outcome = guarded("place", [&]() -> int {
        thrower();
        return 1;
    });
    EXPECT_EQ(outcome.error().where, "place");
    return kind_of(outcome.error().code);
}

TEST(Failure, WhatTorchThrowsBecomesTheKindThatTheCoreReads) {
    EXPECT_EQ(kind_when([] { TORCH_CHECK_NOT_IMPLEMENTED(false, "no kernel"); }), "unsupported");
    EXPECT_EQ(kind_when([] { TORCH_CHECK_WITH(OutOfMemoryError, false, "full"); }),
              "out_of_memory");
    EXPECT_EQ(kind_when([] { TORCH_CHECK(false, "DefaultCPUAllocator: not enough memory"); }),
              "out_of_memory");
    EXPECT_EQ(kind_when([] { TORCH_CHECK(false, "shapes cannot be multiplied"); }), "device_error");
    EXPECT_EQ(kind_when([] { throw std::bad_alloc(); }), "out_of_memory");
    EXPECT_EQ(kind_when([] { throw std::runtime_error("ours"); }), "internal");
    EXPECT_EQ(kind_when([] { throw 7; }), "internal");
}

TEST(Failure, AMessageHasNoBacktrace) {
    const Result<void> outcome = guarded("", [] { TORCH_CHECK(false, "plain words"); });
    EXPECT_EQ(outcome.error().message, "plain words");
}

TEST(Failure, EveryExpectedErrorHasAKind) {
    EXPECT_EQ(kind_of(ErrorCode::kBadInput), "invalid_request");
    EXPECT_EQ(kind_of(ErrorCode::kUnknownValue), "no_reference");
    EXPECT_EQ(failure_document({ErrorCode::kBadInput, "must be set", "params"}),
              (Json{{"kind", "invalid_request"}, {"message", "params: must be set"}}));
}

}  // namespace
}  // namespace ascertain::worker
