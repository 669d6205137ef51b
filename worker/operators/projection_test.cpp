#include "worker/operators/projection.hpp"

#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "worker/operators/testing.hpp"

namespace ascertain::operators {
namespace {

struct Example {
    Case call = testing::matrix_product(300, 700, 200, at::kBFloat16);
    at::Tensor left = at::randn({300, 700}).to(at::kBFloat16);
    at::Tensor right = at::randn({700, 200}).to(at::kBFloat16);
    at::Tensor product = at::matmul(left, right);

    [[nodiscard]] double ratio() const {
        return projection_ratio(call, {left, right}, product, 3).value_or(-1.0);
    }
};

TEST(Projection, ARightProductStaysBelowOne) {
    const Example example;
    EXPECT_LT(example.ratio(), 1.0);
    EXPECT_GT(example.ratio(), 0.0);
}

TEST(Projection, SeesATileThatWasNotWritten) {
    Example example;
    example.product.narrow(0, 290, 10).narrow(1, 190, 10).zero_();
    EXPECT_GT(example.ratio(), 1.0);
}

TEST(Projection, SeesTheLastTermsOfTheSumDropped) {
    Example example;
    example.product = at::matmul(example.left.narrow(1, 0, 690), example.right.narrow(0, 0, 690));
    EXPECT_GT(example.ratio(), 1.0);
}

TEST(Projection, SeesTwoRowsSwapped) {
    Example example;
    const at::Tensor first = example.product[0].clone();
    example.product[0].copy_(example.product[1]);
    example.product[1].copy_(first);
    EXPECT_GT(example.ratio(), 1.0);
}

TEST(Projection, IsForPlainProductsOnly) {
    Example example;
    example.call.op = "aten::add";
    EXPECT_EQ(example.ratio(), -1.0);
}

}  // namespace
}  // namespace ascertain::operators
