// The effects of the language: one row each. Reading, near matches, schema and the page of
// documentation all come from this table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "defects/defect.hpp"

namespace ascertain::defects {

enum class FieldType {
    kWhole,     // a whole number
    kNumber,    // a number; also "nan", "inf", "-inf" where `unbounded`
    kDuration,  // "5 ms"; kept in seconds
    kSize,      // "64 MB"; kept in bytes
    kWord,      // one of `choices`
    kText,      // any text
};

struct Field {
    std::string name;
    FieldType type = FieldType::kNumber;
    double low = 0.0;  // least and greatest value of a number
    double high = 0.0;
    bool required = false;
    double otherwise = 0.0;                 // of a number that is not given
    std::string word_otherwise = "";        // of a word or text that is not given
    std::vector<std::string> choices = {};  // of a word; the first is not the default
    bool unbounded = false;
};

struct Effect {
    Place place;
    std::string_view kind;
    std::vector<Field> fields;
    // Operators inside which alone it can happen; empty: everywhere. "x" means "x_" too.
    std::vector<std::string_view> inside;
    std::string_view does;  // for people
};

[[nodiscard]] const std::vector<Effect>& effects();
// Null when there is none.
[[nodiscard]] const Effect* find_effect(Place place, std::string_view kind);
[[nodiscard]] std::vector<std::string> effect_kinds(Place place);

}  // namespace ascertain::defects
