#include "app/table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.hpp"

namespace ascertain::app {
namespace {

// Characters, not bytes: continuation bytes of UTF-8 take no column.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
}

std::string padded(const std::string& text, std::size_t width, bool right) {
    const std::string space(width - std::min(width, width_of(text)), ' ');
    return right ? space + text : text + space;
}

std::string aligned(const Table& table) {
    std::vector<std::size_t> widths;
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
        std::size_t width = width_of(table.columns[c].title);
        for (const auto& row : table.rows) width = std::max(width, width_of(row[c].text));
        widths.push_back(width);
    }
    const auto line = [&](auto&& text_of) {
        std::string out;
        for (std::size_t c = 0; c < widths.size(); ++c) {
            out += (c == 0 ? "" : "  ") + padded(text_of(c), widths[c], table.columns[c].right);
        }
        out.erase(out.find_last_not_of(' ') + 1);
        return out + "\n";
    };
    std::string out = line([&](std::size_t c) { return table.columns[c].title; });
    for (const auto& row : table.rows) out += line([&](std::size_t c) { return row[c].text; });
    return out;
}

std::string csv_field(const Json& value) {
    const std::string text = value.is_string() ? value.get<std::string>()
                             : value.is_null() ? std::string()
                                               : value.dump();
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
}

std::string csv(const Table& table) {
    std::string out;
    for (std::size_t c = 0; c < table.columns.size(); ++c) out += (c ? "," : "") + table.columns[c].key;
    out += "\n";
    for (const auto& row : table.rows) {
        for (std::size_t c = 0; c < row.size(); ++c) out += (c ? "," : "") + csv_field(row[c].value);
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

Cell cell(std::string text, Json value) { return {std::move(text), std::move(value)}; }

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
