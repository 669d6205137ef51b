// A result as rows and columns, written for people or for programs.
#pragma once

#include <string>
#include <vector>

#include "app/format.hpp"
#include "base/json.hpp"

namespace ascertain::app {

struct Column {
    std::string key;     // of JSON and CSV: snake_case, unit last
    std::string title;   // of the table
    bool right = false;  // numbers stand right
};

// One cell: what people read, and the value for programs.
struct Cell {
    std::string text;
    Json value;
};

[[nodiscard]] Cell cell(std::string text);
[[nodiscard]] Cell cell(std::string text, Json value);

struct Table {
    std::vector<Column> columns;
    std::vector<std::vector<Cell>> rows;
};

// Aligned columns, or CSV with a header line (RFC 4180), or a JSON array of objects.
[[nodiscard]] std::string to_text(const Table& table, Format format);

}  // namespace ascertain::app
