#include "predict/cost/constants.hpp"

#include <gtest/gtest.h>

#include "predict/cost/test_kit.hpp"

namespace ascertain::cost {
namespace {

TEST(ConstantTable, ListsEveryConstantAtItsPlaceWithAPositivePrior) {
    for (std::size_t i = 0; i < kConstantCount; ++i) {
        const ConstantRow& row = constant_table()[i];
        EXPECT_EQ(static_cast<std::size_t>(row.which), i) << row.name;
        EXPECT_GT(row.prior, 0.0) << row.name;
        EXPECT_GT(row.prior_spread, 0.0) << row.name;
    }
}

TEST(CostBook, SurvivesWritingAndReading) {
    const CostBook& book = shipped_book();
    const Result<CostBook> again = CostBook::parse(book.to_toml(), "again.toml");
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(again->rows, book.rows);
    EXPECT_EQ(again->fitted_ids, book.fitted_ids);
    EXPECT_EQ(again->dies.size(), book.dies.size());
    EXPECT_EQ(again->releases.size(), book.releases.size());
    for (std::size_t i = 0; i < kConstantCount; ++i)
        EXPECT_NEAR(again->global[i].factor / book.global[i].factor, 1.0, 1e-5);
}

TEST(CostBook, AnUnknownDieGetsTheGlobalValueAndMoreSpread) {
    const CostBook& book = shipped_book();
    const auto known = book.resolve({"h100-80gb-sxm"}, "", 0, "");
    const auto unknown = book.resolve({"nobody-9000"}, "", 0, "");
    EXPECT_TRUE(known.die_known);
    EXPECT_FALSE(unknown.die_known);
    const auto gemm = static_cast<std::size_t>(Constant::kGemmShare);
    EXPECT_DOUBLE_EQ(unknown.constants[Constant::kGemmShare], book.global[gemm].factor);
    EXPECT_GT(unknown.spread[gemm], known.spread[gemm]);
}

TEST(CostBook, AWrongConstantIsNamedWithItsPlaceAndNearMatch) {
    std::string text = CostBook::prior().to_toml();
    text.replace(text.find("gemm_share"), 10, "gemm_shore");
    const Result<CostBook> book = CostBook::parse(text, "x.toml");
    ASSERT_FALSE(book);
    EXPECT_EQ(book.error().code, ErrorCode::kBadInput);
    EXPECT_NE(book.error().text().find("gemm_share"), std::string::npos);
}

TEST(CostBook, RefusesGarbage) {
    EXPECT_FALSE(CostBook::parse("", "empty"));
    EXPECT_FALSE(CostBook::parse("schema = [", "broken"));
    std::string text = CostBook::prior().to_toml();
    text.replace(text.find("[0.", text.find("gemm_share")), 3, "[-0.");
    EXPECT_FALSE(CostBook::parse(text, "negative"));
}

}  // namespace
}  // namespace ascertain::cost
