#include "predict/catalog/figure.hpp"

#include <array>
#include <utility>

namespace ascertain::catalog {
namespace {

struct KindRow {
    Kind kind;
    std::string_view name;
    double spread;
};

constexpr std::array<KindRow, 6> kKinds{{
    {Kind::kMeasured, "measured", 0.03},
    {Kind::kPublished, "published", 0.05},
    {Kind::kDatasheet, "datasheet", 0.08},
    {Kind::kPress, "press", 0.15},
    {Kind::kRecalled, "recalled", 0.25},
    {Kind::kGuessed, "guessed", 0.40},
}};

}  // namespace

std::string_view name_of(Kind kind) {
    for (const KindRow& row : kKinds)
        if (row.kind == kind) return row.name;
    return "guessed";
}

std::optional<Kind> kind_from(std::string_view name) {
    for (const KindRow& row : kKinds)
        if (row.name == name) return row.kind;
    return std::nullopt;
}

double default_spread(Kind kind) {
    for (const KindRow& row : kKinds)
        if (row.kind == kind) return row.spread;
    return kKinds.back().spread;
}

}  // namespace ascertain::catalog
