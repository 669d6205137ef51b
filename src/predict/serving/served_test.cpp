// Published figures: what the interval claims, and that page and levels are those of this code.
#include "predict/serving/served.hpp"

#include <cmath>
#include <map>

#include "predict/serving/test_kit.hpp"

namespace ascertain::serving {
namespace {

struct Shipped {
    std::vector<ServedRow> rows;
    std::vector<ServedSeconds> seconds;
};

const Shipped& shipped() {
    static const Shipped all = [] {
        Shipped out;
        const auto document =
            parse_json(cost::read_text(cost::data_path("published/serving.json")), "serving.json");
        EXPECT_TRUE(document);
        const auto rows = read_served(*document, "serving.json");
        EXPECT_TRUE(rows) << (rows ? "" : rows.error().text());
        out.rows = *rows;
        for (const auto& row : out.rows)
            out.seconds.push_back(served_seconds(row, cost::shipped_model(row.model),
                                                 cost::shipped_catalog(), cost::shipped_book()));
        return out;
    }();
    return all;
}

const ServedFit& fit() {
    static const ServedFit one = [] {
        const auto found = fit_served(shipped().rows, shipped().seconds);
        EXPECT_TRUE(found) << (found ? "" : found.error().text());
        return *found;
    }();
    return one;
}

TEST(Served, EveryRowIsPredictedOrRefusedWithAReason) {
    std::size_t predicted = 0;
    for (std::size_t i = 0; i < shipped().rows.size(); ++i) {
        if (!fit().rows[i]) {
            EXPECT_FALSE(shipped().seconds[i].refused_because.empty()) << shipped().rows[i].id;
            continue;
        }
        ++predicted;
        EXPECT_TRUE(std::isfinite(fit().rows[i]->left_out)) << shipped().rows[i].id;
        EXPECT_LT(fit().rows[i]->low, fit().rows[i]->high);
    }
    EXPECT_GT(predicted, shipped().rows.size() * 95 / 100);
}

// 80 % is claimed of series that the levels have not seen.
TEST(Served, TheIntervalHoldsAsManyFiguresAsItClaims) {
    EXPECT_GE(fit().inside_ratio, 0.75);
    EXPECT_GE(fit().inside_series_ratio, 0.70);
}

// The last bits of exp and log differ between machines, and with them a step of the grid.
TEST(Served, TheShippedLevelsAreThoseOfTheShippedRows) {
    const EngineLevel level = shipped_level();
    EXPECT_NEAR(std::log(level.prefill), std::log(fit().level.prefill), 0.03);
    EXPECT_NEAR(std::log(level.decode), std::log(fit().level.decode), 0.03);
    EXPECT_NEAR(level.width, fit().level.width, 0.03);
    EXPECT_EQ(level.rows, fit().level.rows);
}

// The number after the fifth bar of a row's line.
double predicted_on_page(const std::string& page, const std::string& id) {
    const auto begin = page.find("| " + id + " |");
    if (begin == std::string::npos) return -1.0;
    std::size_t at = begin;
    for (int bars = 0; bars < 6; ++bars) at = page.find('|', at + (bars > 0 ? 1 : 0));
    return std::stod(page.substr(at + 1));
}

TEST(Served, ThePageIsThatOfTheShippedRows) {
    const std::string page =
        cost::read_text(std::string(ASCERTAIN_SOURCE_DIR) + "/docs/validation-serving.md");
    for (std::size_t i = 0; i < shipped().rows.size(); ++i) {
        if (!fit().rows[i]) continue;
        const double now = fit().rows[i]->left_out;
        EXPECT_NEAR(predicted_on_page(page, shipped().rows[i].id), now, 0.05 * now + 1.0)
            << "write it anew: ascertain score data/published/serving.json --page "
               "docs/validation-serving.md --level data/cost/serving.toml";
    }
}

// Serving at the rates of a chip twice as fast must be outside: the interval is not everything.
TEST(Served, TheIntervalIsNotEverything) {
    EXPECT_LT(fit().level.width, std::log(3.0));
}

TEST(Served, TooFewSeriesFitNothing) {
    std::vector<ServedRow> rows(shipped().rows.begin(), shipped().rows.begin() + 1);
    std::vector<ServedSeconds> seconds(shipped().seconds.begin(), shipped().seconds.begin() + 1);
    EXPECT_FALSE(fit_served(rows, seconds));
}

Json one_row() {
    const auto document =
        parse_json(cost::read_text(cost::data_path("published/serving.json")), "serving.json");
    return (*document)["rows"][0];
}

TEST(Served, ABadRowIsRefusedByItsField) {
    const auto reading = [](const Json& row) {
        const auto rows = read_served(Json{{"rows", Json::array({row})}}, "x.json");
        return rows ? std::string("accepted") : rows.error().text();
    };
    EXPECT_EQ(reading(one_row()), "accepted");
    for (const auto& [key, bad] : std::map<std::string, Json>{{"tokens_per_s_per_device", -1},
                                                              {"prompt_tokens", 0},
                                                              {"precision", "fp2"},
                                                              {"measure", "joy"},
                                                              {"kind", "hearsay"},
                                                              {"chip", 5},
                                                              {"sequences", 0},
                                                              {"unheard_of", 1}}) {
        Json row = one_row();
        row[key] = bad;
        EXPECT_NE(reading(row).find(key), std::string::npos) << reading(row);
    }
    EXPECT_FALSE(read_served(Json::array(), "x.json"));
    EXPECT_FALSE(read_served(Json{{"rows", Json::array({1})}}, "x.json"));
}

TEST(Served, AnUnknownChipOrModelRefusesTheRow) {
    ServedRow row = shipped().rows.front();
    row.chip = "abacus";
    const auto chip = served_seconds(row, cost::shipped_model(row.model), cost::shipped_catalog(),
                                     cost::shipped_book());
    EXPECT_NE(chip.refused_because.find("abacus"), std::string::npos);
    const auto model =
        served_seconds(shipped().rows.front(), Error{ErrorCode::kBadInput, "no such model", "x"},
                       cost::shipped_catalog(), cost::shipped_book());
    EXPECT_NE(model.refused_because.find("no such model"), std::string::npos);
}

}  // namespace
}  // namespace ascertain::serving
