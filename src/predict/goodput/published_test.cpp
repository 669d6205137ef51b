#include "predict/goodput/published.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "predict/goodput/sampling.hpp"

namespace ascertain::goodput {
namespace {

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::filesystem::path data_folder() {
    return std::filesystem::path(ASCERTAIN_SOURCE_DIR) / "data" / "reliability";
}

std::vector<PublishedRun> all_runs() {
    std::set<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(data_folder() / "runs")) {
        paths.insert(entry.path());
    }
    std::vector<PublishedRun> runs;
    for (const auto& path : paths) {
        auto run = parse_published_run(read_file(path), path.filename().string());
        EXPECT_TRUE(run.ok()) << run.error().text();
        if (run) runs.push_back(*run);
    }
    return runs;
}

Result<ProjectionInput> defaults(Platform platform) {
    return parse_defaults(read_file(data_folder() / "defaults.toml"), "defaults.toml", platform);
}

TEST(PublishedRuns, AllFilesAreReadAndNamedByTheirId) {
    const auto runs = all_runs();
    EXPECT_GE(runs.size(), 30u);
    for (const PublishedRun& run : runs) {
        EXPECT_TRUE(std::filesystem::exists(data_folder() / "runs" / (run.id + ".toml"))) << run.id;
        EXPECT_FALSE(run.figures.empty() && !run.interruptions) << run.id << " says nothing";
    }
}

// Llama 3, table 5: the causes add up to the 419 unexpected interruptions.
TEST(PublishedRuns, LlamaCausesAddUp) {
    for (const PublishedRun& run : all_runs()) {
        if (run.id != "llama3-405b") continue;
        double sum = 0.0;
        for (const PublishedCause& cause : run.causes) sum += cause.count;
        EXPECT_EQ(sum, 419.0);
        EXPECT_EQ(run.interruptions, 419.0);
        // 16,384 devices x 54 d x 24 h / 419 = 50.7 thousand device-hours each.
        EXPECT_NEAR(*run.device_hours() / *run.interruptions, 50'677.0, 1.0);
        return;
    }
    FAIL() << "no Llama 3";
}

TEST(Defaults, AreTheFitToThePublishedRuns) {
    const auto fit = fit_failure_prior(all_runs());
    ASSERT_TRUE(fit.ok());
    const auto input = defaults(Platform::kPublished);
    ASSERT_TRUE(input.ok()) << input.error().text();
    EXPECT_NEAR(input->failure.rate.a, fit->a, 0.01 * fit->a);
    EXPECT_NEAR(input->failure.rate.b_device_hours, fit->b_device_hours,
                0.01 * fit->b_device_hours);
}

TEST(Defaults, AnUnprovenPlatformKeepsTheMedianRateAndIsLessSure) {
    const auto known = defaults(Platform::kPublished);
    const auto unproven = defaults(Platform::kUnproven);
    ASSERT_TRUE(known.ok() && unproven.ok()) << unproven.error().text();
    EXPECT_NEAR(unproven->failure.rate.quantile(0.5), known->failure.rate.quantile(0.5),
                0.01 * known->failure.rate.quantile(0.5));
    EXPECT_GT(unproven->failure.rate.quantile(0.9), known->failure.rate.quantile(0.9));
    EXPECT_GT(unproven->beliefs.defects_outstanding.mid, known->beliefs.defects_outstanding.mid);
    // What is not overridden stays.
    EXPECT_EQ(unproven->beliefs.detection_s.mid, known->beliefs.detection_s.mid);
}

TEST(Defaults, SharesOfTheClassesAreThoseOfLlama) {
    const auto input = defaults(Platform::kPublished);
    ASSERT_TRUE(input.ok());
    double sum = 0.0;
    for (const FailureShape& shape : input->failures) sum += shape.share;
    EXPECT_NEAR(sum, 1.0, 1e-12);
    const auto silent = std::find_if(input->failures.begin(), input->failures.end(),
                                     [](const FailureShape& shape) { return shape.silent; });
    ASSERT_NE(silent, input->failures.end());
    EXPECT_NEAR(silent->share, 6.0 / 419.0, 1e-12);
}

TEST(Defaults, HostileTextsNameTheirPlace) {
    const std::string good = read_file(data_folder() / "defaults.toml");
    const auto broken = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        const std::size_t at = text.find(from);
        EXPECT_NE(at, std::string::npos) << from;
        text.replace(at, from.size(), to);
        const auto read = parse_defaults(text, "d.toml", Platform::kPublished);
        EXPECT_FALSE(read.ok()) << to;
        return read.ok() ? std::string() : read.error().text();
    };
    EXPECT_THAT(broken("[beliefs]", "[beliefs"), testing::HasSubstr("d.toml:"));
    EXPECT_THAT(broken("detection_s = { low = 5,", "detection_s = { low = -5,"),
                testing::HasSubstr("low"));
    EXPECT_THAT(broken("detection_s = { low = 5, mid = 60", "detection_s = { low = 50, mid = 6"),
                testing::HasSubstr("in this order"));
    EXPECT_THAT(broken("hang_detection_s =", "hang_detektion_s ="),
                testing::HasSubstr("hang_detection_s"));
    EXPECT_THAT(broken("kind = \"published\"", "kind = \"measurd\""),
                testing::HasSubstr("measured"));
    EXPECT_THAT(broken("a = 2.83", "a = nan"), testing::HasSubstr("d.toml:"));
    EXPECT_THAT(broken("unit = \"s\", kind", "unit = \"h\", kind"),
                testing::HasSubstr("not one of s"));
    EXPECT_FALSE(parse_defaults("", "d.toml", Platform::kPublished).ok());
    EXPECT_FALSE(parse_published_run("schema = 3", "r.toml").ok());
}

TEST(FailurePrior, RecoversTheGammaItWasDrawnFrom) {
    // 400 sites with rates from Gamma(2, 50,000 h), each watched for a million hours.
    Random random(3, 3);
    std::vector<PublishedRun> runs(400);
    for (PublishedRun& run : runs) {
        const double rate = (draw_exponential(random) + draw_exponential(random)) / 50'000.0;
        run.devices = 1000.0;
        run.days = 1e6 / 24'000.0;
        run.interruptions = static_cast<double>(draw_poisson(random, rate * 1e6));
    }
    const auto fit = fit_failure_prior(runs);
    ASSERT_TRUE(fit.ok());
    EXPECT_NEAR(fit->a, 2.0, 0.4);  // three standard errors: sd of a is about 0.13
    EXPECT_NEAR(fit->mean(), 2.0 / 50'000.0, 3.0 * 2.0 / 50'000.0 / std::sqrt(2.0 * 400.0));
}

TEST(FailurePrior, RefusesToGuessFromTooFewRuns) {
    EXPECT_FALSE(fit_failure_prior({}).ok());
    std::vector<PublishedRun> runs(2);
    for (PublishedRun& run : runs) run.devices = run.days = run.interruptions = 10.0;
    EXPECT_EQ(fit_failure_prior(runs).error().code, ErrorCode::kUnknownValue);
}

}  // namespace
}  // namespace ascertain::goodput
