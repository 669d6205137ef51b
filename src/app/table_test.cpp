#include "app/table.hpp"

#include <gtest/gtest.h>

namespace ascertain::app {
namespace {

const Table kTable{{{"chip", "chip", false}, {"memory_bytes", "memory", true}},
                   {{cell("a"), cell("64 GB", 64e9)}, {cell("b, \"c\""), cell("?", nullptr)}}};

TEST(Table, AlignsForPeople) {
    const std::string text = to_text(kTable, Format::kTable);
    EXPECT_NE(text.find("chip"), std::string::npos);
    EXPECT_NE(text.find("b, \"c\""), std::string::npos);
    EXPECT_NE(text.find(" 64 GB\n"), std::string::npos);  // right-aligned, nothing after it
}

TEST(Table, QuotesForCsvAndLeavesTheUnknownEmpty) {
    EXPECT_EQ(to_text(kTable, Format::kCsv),
              "chip,memory_bytes\n"
              "a,64000000000.0\n"
              "\"b, \"\"c\"\"\",\n");
}

TEST(Table, KeepsNumbersNumbersInJson) {
    const auto document = parse_json(to_text(kTable, Format::kJson), "table");
    ASSERT_TRUE(document.ok());
    EXPECT_DOUBLE_EQ((*document)[0]["memory_bytes"].get<double>(), 64e9);
    EXPECT_TRUE((*document)[1]["memory_bytes"].is_null());
}

}  // namespace
}  // namespace ascertain::app
