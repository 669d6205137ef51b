#include "predict/catalog/catalog.hpp"

#include <gtest/gtest.h>

#include "predict/catalog/load.hpp"

namespace ascertain::catalog {
namespace {

const Catalog& shipped() {
    static const Result<Catalog> catalog =
        load_catalog(std::string(ASCERTAIN_SOURCE_DIR) + "/data", {});
    EXPECT_TRUE(catalog) << (catalog ? "" : catalog.error().text());
    return *catalog;
}

double tera(const Figure<FlopsPerSecond>& figure) {
    return figure.value->count / 1e12;
}

TEST(ShippedCatalog, HoldsEveryChipAndNetworkAndContradictsItselfNowhere) {
    EXPECT_EQ(shipped().chips().size(), 46u);
    EXPECT_EQ(shipped().networks().size(), 54u);
    for (const Error& problem : shipped().validate()) ADD_FAILURE() << problem.text();
}

TEST(ShippedCatalog, EveryKnownNumberSaysWhatItRestsOn) {
    for (const Chip& chip : shipped().chips())
        for (const Figure<FlopsPerSecond>& peak : chip.peak_dense)
            EXPECT_TRUE(peak.known() ? !peak.source.empty() : !peak.reason.empty()) << chip.id;
}

// Trap: 376, 313 and 280 TFLOP/s of the 910B bins are fp16; bf16 is lower.
TEST(ShippedCatalog, AscendBinsKeepBf16ApartFromFp16) {
    const Result<Chip> b4 = shipped().find_chip("ascend-910b4");
    const Result<Chip> b2 = shipped().find_chip("ascend-910b2");
    const Result<Chip> b3 = shipped().find_chip("ascend-910b3");
    ASSERT_TRUE(b4 && b2 && b3);
    EXPECT_NEAR(tera(b2->peak(Format::kBf16)), 353.9, 0.1);
    EXPECT_NEAR(tera(b2->peak(Format::kFp16)), 376.0, 0.1);
    EXPECT_NEAR(tera(b3->peak(Format::kBf16)), 294.9, 0.1);
    for (const auto* chip : {&*b2, &*b3, &*b4})
        EXPECT_LT(tera(chip->peak(Format::kBf16)), tera(chip->peak(Format::kFp16))) << chip->id;
}

// Trap: papers that say only "910B" imply 353 TFLOP/s, the bf16 peak of the B2.
TEST(ShippedCatalog, APlain910bIsTheB2) {
    const Result<Chip> chip = shipped().find_chip("ascend-910b");
    ASSERT_TRUE(chip);
    EXPECT_EQ(chip->id, "ascend-910b2");
}

// Trap: the first generation has no bf16.
TEST(ShippedCatalog, TheFirstGenerationAscendHasNoBf16Peak) {
    const Result<Chip> chip = shipped().find_chip("ascend-910a");
    ASSERT_TRUE(chip);
    const Result<FlopsPerSecond> peak = need(chip->peak(Format::kBf16), "peak");
    ASSERT_FALSE(peak);
    EXPECT_EQ(peak.error().code, ErrorCode::kUnknownValue);
}

// Trap: the rival figures are kept beside the chosen one.
TEST(ShippedCatalog, ConflictingFiguresAreKept) {
    const Result<Chip> chip = shipped().find_chip("ascend-910b2");
    ASSERT_TRUE(chip);
    bool found = false;
    for (const Conflict& conflict : chip->conflicts)
        found = found || (conflict.field == "peak_dense.bf16" && *conflict.figure.value == 376.0);
    EXPECT_TRUE(found);
}

// Trap: 910B and MI300X nodes are full meshes of eight: two chips share one link of seven.
TEST(ShippedCatalog, AGroupOfTwoOnAFullMeshGetsOneLinkOfSeven) {
    for (const char* id : {"hccs-910b", "xgmi-mi300x"}) {
        const Result<Network> mesh = shipped().find_network(id);
        ASSERT_TRUE(mesh);
        EXPECT_EQ(mesh->topology, Topology::kFullMesh);
        EXPECT_NEAR(usable_link_share(*mesh, 2), 1.0 / 7.0, 0.002) << id;
        EXPECT_NEAR(usable_link_share(*mesh, 4), 3.0 / 7.0, 0.005) << id;
        EXPECT_DOUBLE_EQ(usable_link_share(*mesh, 8), 1.0) << id;
    }
    const Result<Network> nvlink = shipped().find_network("nvlink4");
    ASSERT_TRUE(nvlink);
    EXPECT_DOUBLE_EQ(usable_link_share(*nvlink, 2), 1.0);
}

// Trap: 910C and MI250X peaks are per package of two dies; software sees each die.
TEST(ShippedCatalog, APackageOfTwoDiesBecomesTwoDevicesOfHalf) {
    const Result<Chip> package = shipped().find_chip("ascend-910c");
    ASSERT_TRUE(package);
    const Chip die = per_device(*package);
    EXPECT_DOUBLE_EQ(tera(die.peak(Format::kBf16)) * 2, tera(package->peak(Format::kBf16)));
    EXPECT_DOUBLE_EQ(die.memory.value->count * 2, package->memory.value->count);
    const Result<Chip> h100 = shipped().find_chip("h100-80gb-sxm");
    ASSERT_TRUE(h100);
    EXPECT_EQ(tera(per_device(*h100).peak(Format::kBf16)), tera(h100->peak(Format::kBf16)));
}

// Trap: int8 was cut on the B300 and looks like a defect.
TEST(ShippedCatalog, TheB300HasFarLessInt8ThanTheB200) {
    const Result<Chip> b300 = shipped().find_chip("b300-sxm");
    const Result<Chip> b200 = shipped().find_chip("b200-180gb-sxm");
    ASSERT_TRUE(b300 && b200);
    EXPECT_LT(10 * tera(b300->peak(Format::kInt8)), tera(b200->peak(Format::kInt8)));
}

TEST(FindChip, AnUnknownNameGetsNearMatches) {
    const Result<Chip> chip = shipped().find_chip("ascend-910b22");
    ASSERT_FALSE(chip);
    EXPECT_EQ(chip.error().code, ErrorCode::kBadInput);
    EXPECT_NE(chip.error().message.find("ascend-910b2"), std::string::npos);
}

TEST(CatalogFromTexts, ALaterFileOfTheSameIdOverrides) {
    const std::string head =
        "schema = \"ascertain.network/1\"\nid = \"n\"\nname = \"N\"\n"
        "scope = \"scale-out\"\ntopology = \"clos\"\n"
        "domain = { unit = \"chips\", reason = \"r\" }\n"
        "latency = { unit = \"us\", reason = \"r\" }\n"
        "per_direction_per_chip = { unit = \"GB/s\", kind = \"measured\", source = \"s\", ";
    const Result<Catalog> catalog =
        Catalog::from_texts({}, {{"ours", head + "value = 1 }"}, {"theirs", head + "value = 2 }"}});
    ASSERT_TRUE(catalog) << catalog.error().text();
    const Result<Network> network = catalog->find_network("n");
    ASSERT_TRUE(network);
    EXPECT_DOUBLE_EQ(network->per_direction_per_chip.value->count, 2e9);
}

TEST(ResolveFleet, RefusesCountsThatAreNoWholeNodes) {
    EXPECT_TRUE(resolve_fleet(shipped(), "ascend-910b2", 8192, 8, "roce-200", 32));
    const Result<Fleet> odd = resolve_fleet(shipped(), "ascend-910b2", 100, 8, "roce-200", 0);
    ASSERT_FALSE(odd);
    EXPECT_EQ(odd.error().where, "fleet.count");
    EXPECT_FALSE(resolve_fleet(shipped(), "ascend-910b2", 0, 8, "roce-200", 0));
    EXPECT_FALSE(resolve_fleet(shipped(), "ascend-910b2", 8, 8, "roce-201", 0));
}

TEST(LoadCatalog, AMissingFolderIsNamed) {
    const Result<Catalog> catalog = load_catalog("/nonexistent/data", {});
    ASSERT_FALSE(catalog);
    EXPECT_NE(catalog.error().where.find("/nonexistent/data"), std::string::npos);
}

}  // namespace
}  // namespace ascertain::catalog
