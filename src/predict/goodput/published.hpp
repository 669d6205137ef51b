// Published figures on failures, and the beliefs they lead to. Texts come in, values go out: files
// are read by the caller.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "predict/goodput/projection.hpp"

namespace ascertain::goodput {

struct PublishedFigure {
    std::string name;  // snake_case, unit last
    std::optional<double> low;
    std::optional<double> value;
    std::optional<double> high;
    std::string unit;
    std::string note;
};

struct PublishedCause {
    std::string name;
    double count = 0.0;
};

// One published run or fleet, as data/reliability/runs/*.toml has it.
struct PublishedRun {
    std::string id;
    std::string title;
    std::string url;
    Kind kind = Kind::kPublished;
    std::string workload;
    std::string hardware;
    std::optional<double> devices;
    std::optional<double> days;
    std::optional<double> interruptions;  // of the whole job, over `days`
    std::string interruptions_of;
    std::vector<PublishedCause> causes;
    std::vector<PublishedFigure> figures;

    [[nodiscard]] std::optional<double> device_hours() const;
    [[nodiscard]] const PublishedFigure* find(std::string_view name) const;
};

// `name` is the path, for errors. kBadInput with file:line:column.
[[nodiscard]] Result<PublishedRun> parse_published_run(std::string_view text,
                                                       const std::string& name);

// Whether large runs on this platform (chip and software stack) have been published.
enum class Platform { kPublished, kUnproven };

// A projection's input with everything data/reliability/defaults.toml says; stages, fleet,
// deadline, prices and checkpoint_bytes are the caller's.
[[nodiscard]] Result<ProjectionInput> parse_defaults(std::string_view text, const std::string& name,
                                                     Platform platform);

// Sites differ: each run's rate is one draw from Gamma(a, b), its interruptions Poisson. The Gamma
// of greatest likelihood (negative binomial) over the runs that print a count; empirical Bayes.
// Source: Gelman et al., Bayesian Data Analysis, 3rd ed., section 5.1. kUnknownValue for fewer than
// three such runs.
[[nodiscard]] Result<GammaRate> fit_failure_prior(std::span<const PublishedRun> runs);

}  // namespace ascertain::goodput
