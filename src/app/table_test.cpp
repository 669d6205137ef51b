#include "app/table.hpp"

#include <gtest/gtest.h>

namespace ascertain::app {
namespace {

const Table kTable{{{"chip", "chip", false}, {"memory_bytes", "memory", true}},
                   {{cell("a"), cell("64 GB", 64e9)}, {cell("b, \"c\""), cell("?", nullptr)}}};

TEST(Table, AlignsForPeople) {
    EXPECT_EQ(to_text(kTable, Format::kTable),
              "chip    memory\n"
              "a        64 GB\n"
              "b, \"c\"       ?\n");
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

TEST(Table, CountsCharactersNotBytes) {
    const Table table{{{"a", "a", false}, {"b", "b", false}}, {{cell("\xc2\xb5s"), cell("x")}}};
    EXPECT_EQ(to_text(table, Format::kTable), "a   b\n\xc2\xb5s  x\n");
}

}  // namespace
}  // namespace ascertain::app
