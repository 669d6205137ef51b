#include "app/table.hpp"

#include "base/assert.hpp"
#include "decide/report/table.hpp"

namespace ascertain::app {
namespace {

std::string aligned(const Table& table) {
    std::vector<report::TextColumn> columns;
    for (const auto& column : table.columns) {
        columns.push_back(
            {column.title, column.right ? report::Align::kRight : report::Align::kLeft});
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& row : table.rows) {
        auto& texts = rows.emplace_back();
        for (const auto& item : row) texts.push_back(item.text);
    }
    return report::text_table(columns, rows, {.colour = false, .width = 0});
}

std::string csv_field(const Json& value) {
    const std::string text = value.is_string() ? value.get<std::string>()
                             : value.is_null() ? std::string()
                                               : value.dump();
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted(1, '"');
    for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
    quoted.push_back('"');
    return quoted;
}

std::string csv(const Table& table) {
    std::string out;
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
        if (c > 0) out.push_back(',');
        out += table.columns[c].key;
    }
    out += "\n";
    for (const auto& row : table.rows) {
        for (std::size_t c = 0; c < row.size(); ++c) {
            if (c > 0) out.push_back(',');
            out += csv_field(row[c].value);
        }
        out += "\n";
    }
    return out;
}

std::string json(const Table& table) {
    Json list = Json::array();
    for (const auto& row : table.rows) {
        Json entry = Json::object();
        for (std::size_t c = 0; c < row.size(); ++c) entry[table.columns[c].key] = row[c].value;
        list.push_back(std::move(entry));
    }
    return list.dump(2) + "\n";
}

}  // namespace

Cell cell(std::string text) {
    Json value = text;
    return {std::move(text), std::move(value)};
}

Cell cell(std::string text, Json value) {
    return {std::move(text), std::move(value)};
}

std::string to_text(const Table& table, Format format) {
    for (const auto& row : table.rows) ASCERTAIN_ASSERT(row.size() == table.columns.size());
    switch (format) {
        case Format::kTable: return aligned(table);
        case Format::kCsv: return csv(table);
        case Format::kJson: return json(table);
    }
    ASCERTAIN_ASSERT(false);
}

}  // namespace ascertain::app
