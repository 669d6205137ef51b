#include <gtest/gtest.h>

#include <string>

#include "predict/catalog/chip.hpp"
#include "predict/catalog/network.hpp"

namespace ascertain::catalog {
namespace {

std::string chip_text(const std::string& bf16, const std::string& more = "") {
    return R"(schema = "ascertain.chip/1"
id = "toy"
vendor = "Toys"
name = "Toy 1"
status = "shipping"
[peak_dense]
bf16 = )" + bf16 +
           R"(
[memory]
capacity = { value = 64, unit = "GiB", kind = "datasheet", source = "page 1" }
bandwidth = { low = 1000, high = 1400, unit = "GB/s", kind = "press", source = "a shop" }
[scale_up]
network = "toy-link"
per_direction = { value = 100, unit = "GB/s", kind = "datasheet", source = "page 1" }
domain = { value = 8, unit = "chips", kind = "datasheet", source = "page 1" }
[scale_out]
per_chip = { value = 200, unit = "Gbit/s", kind = "recalled", source = "memory" }
[power]
board = { unit = "W", reason = "not published" }
)" + more;
}

const std::string kPeak =
    R"({ value = 300, unit = "TFLOP/s", kind = "datasheet", source = "page 1" })";

TEST(ParseChip, ConvertsPrintedUnitsToSi) {
    const Result<Chip> chip = parse_chip(chip_text(kPeak), "toy.toml");
    ASSERT_TRUE(chip) << chip.error().text();
    EXPECT_DOUBLE_EQ(chip->peak(Format::kBf16).value->count, 300e12);
    EXPECT_DOUBLE_EQ(chip->memory.value->count, 64.0 * 1024 * 1024 * 1024);
    EXPECT_DOUBLE_EQ(chip->scale_out_per_chip.value->count, 25e9);  // 200 Gbit/s over 8 bits
}

TEST(ParseChip, ARangeHasItsMiddleAsValueAndHalfItsWidthAsSpread) {
    const Result<Chip> chip = parse_chip(chip_text(kPeak), "toy.toml");
    ASSERT_TRUE(chip);
    EXPECT_DOUBLE_EQ(chip->memory_bandwidth.value->count, 1200e9);
    EXPECT_NEAR(chip->memory_bandwidth.spread(), 200.0 / 1200.0, 1e-12);
}

TEST(ParseChip, AnUnknownNumberKeepsItsReasonAndFailsOnlyWhenNeeded) {
    const Result<Chip> chip = parse_chip(chip_text(kPeak), "toy.toml");
    ASSERT_TRUE(chip);
    EXPECT_FALSE(chip->power.known());
    const Result<Watts> power = need(chip->power, "chip toy: power.board");
    ASSERT_FALSE(power);
    EXPECT_EQ(power.error().code, ErrorCode::kUnknownValue);
    EXPECT_NE(power.error().text().find("not published"), std::string::npos);
}

struct BadChip {
    std::string bf16;
    std::string more;
    std::string expected;  // part of the message
};

class RefusedChip : public testing::TestWithParam<BadChip> {};

TEST_P(RefusedChip, NamesWhatIsWrongAndWhere) {
    const Result<Chip> chip = parse_chip(chip_text(GetParam().bf16, GetParam().more), "toy.toml");
    ASSERT_FALSE(chip);
    EXPECT_EQ(chip.error().code, ErrorCode::kBadInput);
    EXPECT_EQ(chip.error().where.rfind("toy.toml:", 0), 0u) << chip.error().where;
    EXPECT_NE(chip.error().message.find(GetParam().expected), std::string::npos)
        << chip.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Everything, RefusedChip,
    testing::Values(
        BadChip{"300", "", "bare number"},
        BadChip{R"({ value = 300, unit = "GB/s", kind = "datasheet", source = "p" })", "",
                "accepted: TFLOP/s"},
        BadChip{R"({ value = 300, unit = "TFLOP/s", kind = "datasheat", source = "p" })", "",
                "did you mean"},
        BadChip{R"({ value = 300, unit = "TFLOP/s", kind = "datasheet" })", "", "source"},
        BadChip{R"({ value = -1, unit = "TFLOP/s", kind = "datasheet", source = "p" })", "",
                "not negative"},
        BadChip{R"({ value = inf, unit = "TFLOP/s", kind = "datasheet", source = "p" })", "",
                "finite"},
        BadChip{R"({ unit = "TFLOP/s" })", "", "reason"},
        BadChip{R"({ low = 3, high = 2, unit = "TFLOP/s", kind = "press", source = "p" })", "",
                "low first"},
        BadChip{kPeak, "[sofware]\n", "did you mean \"software\""},
        BadChip{kPeak, "id = 1\n[", "rror"}));

TEST(ParseChip, RefusesATextThatIsNoCatalogFile) {
    EXPECT_FALSE(parse_chip("", "empty.toml"));
    EXPECT_FALSE(parse_chip(std::string(2u << 20, '#'), "huge.toml"));
    EXPECT_FALSE(parse_chip(std::string("\0\1\2", 3), "binary.toml"));
}

TEST(ParseNetwork, ReadsTopologyAndDefaultsOnePairToAllLinks) {
    const Result<Network> network = parse_network(R"(schema = "ascertain.network/1"
id = "toy-link"
name = "Toy link"
scope = "scale-up"
topology = "switch"
per_direction_per_chip = { value = 100, unit = "GB/s", kind = "datasheet", source = "p" }
domain = { unit = "chips", reason = "design" }
latency = { low = 1, high = 2, unit = "us", kind = "press", source = "p" }
)",
                                                  "n.toml");
    ASSERT_TRUE(network) << network.error().text();
    EXPECT_EQ(network->topology, Topology::kSwitch);
    EXPECT_DOUBLE_EQ(network->point_to_point.value->count, 100e9);
    EXPECT_NEAR(network->latency.value->count, 1.5e-6, 1e-15);
}

}  // namespace
}  // namespace ascertain::catalog
