#include "predict/cost/fit.hpp"

#include <algorithm>
#include <cmath>

#include "predict/cost/dense_solve.hpp"

namespace ascertain::cost {
namespace {

constexpr std::ptrdiff_t kNone = -1;
constexpr double kProbe = 0.01;    // step of the central differences, in logarithms
constexpr double kMoveMax = 0.25;  // of one parameter in one iteration

std::size_t place_of(std::vector<std::string>& names, const std::string& name) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
    names.push_back(name);
    return names.size() - 1;
}

// While fused attention was new, a stack may or may not have used it; the row's source is silent.
bool attention_unclear(const PublishedRun& run) {
    constexpr std::int64_t kFusedIsUsual = 2024;
    return run.job.software_year < kFusedIsUsual && run.plan.flash_attention &&
           std::find(run.assumed.begin(), run.assumed.end(), "flash_attention") !=
               run.assumed.end();
}

std::string die_name(const CostBook& groups, const PublishedRun& run) {
    for (const Group& group : groups.dies)
        for (const std::string& member : group.members)
            if (member == run.chip || member == run.fleet.chip.id) return group.name;
    return run.fleet.chip.id;
}

}  // namespace

Fit::Fit(const std::vector<PublishedRun>& runs, const CostBook& groups, const FitOptions& options)
    : groups_(groups), options_(options) {
    // Rates without any effect: the fit supplies every constant itself.
    CostBook bare = CostBook::prior();
    for (const Group& group : groups.dies) {
        Group plain = group;
        plain.effects.clear();
        bare.dies.push_back(std::move(plain));
    }
    for (const PublishedRun& run : runs) {
        if (!run.refused_because.empty()) continue;
        Result<Machine> machine = resolve_machine(run.fleet, run.job, bare);
        if (!machine) continue;
        Result<ShardWork> work = shard_work(run.architecture, run.plan, run.job);
        if (!work) continue;
        Row row;
        row.run = &run;
        row.machine = std::move(machine).value();
        row.work = std::move(work).value();
        row.die = place_of(dies_, die_name(groups, run));
        row.framework = place_of(frameworks_, engine_name(run.framework, run.job.sharded_weights));
        row.fabric = place_of(fabrics_, run.job.fabric);
        row.release =
            place_of(releases_, release_name(engine_name(run.framework, run.job.sharded_weights),
                                             run.job.software_year));
        row.series = place_of(series_, run.series);
        row.measured = std::log(run.measured_step_s);
        const auto square = [](double x) { return x * x; };
        row.variance = square(options.row_noise) + square(run.uncertainty) +
                       (run.decisive_assumption() ? square(options.assumed_noise) : 0.0) +
                       (attention_unclear(run) ? square(2.0 * options.assumed_noise) : 0.0) +
                       (run.trust == "A" ? 0.0 : square(2.0 * options.row_noise)) +
                       (run.experts ? square(options.expert_noise) : 0.0);
        rows_.push_back(std::move(row));
    }
    lay_out_parameters();
}

void Fit::lay_out_parameters() {
    const auto& table = constant_table();
    for (const ConstantRow& row : table) {
        prior_mean_.push_back(std::log(row.prior));
        prior_spread_.push_back(row.prior_spread);
    }
    const auto deviations = [&](std::size_t groups, double ConstantRow::*spread,
                                std::vector<std::ptrdiff_t>& slot) {
        slot.assign(groups * kConstantCount, kNone);
        for (std::size_t group = 0; group < groups; ++group)
            for (std::size_t c = 0; c < kConstantCount; ++c) {
                if (table[c].*spread <= 0.0) continue;
                slot[group * kConstantCount + c] = static_cast<std::ptrdiff_t>(prior_mean_.size());
                prior_mean_.push_back(0.0);
                prior_spread_.push_back(table[c].*spread);
            }
    };
    deviations(dies_.size(), &ConstantRow::die_spread, die_slot_);
    deviations(frameworks_.size(), &ConstantRow::framework_spread, framework_slot_);
    deviations(fabrics_.size(), &ConstantRow::fabric_spread, fabric_slot_);
    deviations(releases_.size(), &ConstantRow::release_spread, release_slot_);
    series_begin_ = prior_mean_.size();
    prior_mean_.resize(series_begin_ + series_.size(), 0.0);
    prior_spread_.resize(series_begin_ + series_.size(), options_.series_spread);
}

Fit::Slots Fit::slots(const Row& row, std::size_t c) const {
    return {static_cast<std::ptrdiff_t>(c), die_slot_[row.die * kConstantCount + c],
            framework_slot_[row.framework * kConstantCount + c],
            fabric_slot_[row.fabric * kConstantCount + c],
            release_slot_[row.release * kConstantCount + c]};
}

Constants Fit::constants_of(const Row& row, const std::vector<double>& theta) const {
    Constants constants;
    for (std::size_t c = 0; c < kConstantCount; ++c) {
        const Slots s = slots(row, c);
        double log_value = 0.0;
        for (const std::ptrdiff_t slot : {s.global, s.die, s.framework, s.fabric, s.release})
            if (slot != kNone) log_value += theta[static_cast<std::size_t>(slot)];
        constants.value[c] = std::exp(log_value);
    }
    return constants;
}

double Fit::log_step(const Row& row, const Constants& constants) const {
    Machine machine = row.machine;
    machine.constants = constants;
    const PublishedRun& run = *row.run;
    const Result<StepSeconds> step = step_seconds(
        run.architecture, run.job, run.plan, machine, row.work,
        block_seconds(row.work, run.plan, run.job, machine), Precision::kPeriod, space_);
    return step ? std::log(step->step_s) : 0.0;
}

StepSeconds Fit::parts(std::size_t index, const Solution& solution) const {
    const Row& row = rows_[index];
    Machine machine = row.machine;
    machine.constants = constants_of(row, solution.theta);
    const PublishedRun& run = *row.run;
    const Result<StepSeconds> step = step_seconds(
        run.architecture, run.job, run.plan, machine, row.work,
        block_seconds(row.work, run.plan, run.job, machine), Precision::kPeriod, space_);
    return step ? *step : StepSeconds{};
}

Fit::Linear Fit::linearise(const Row& row, const std::vector<double>& theta) const {
    const Constants at = constants_of(row, theta);
    Linear linear;
    linear.at = at;
    linear.value = log_step(row, at);
    for (std::size_t c = 0; c < kConstantCount; ++c) {
        Constants moved = at;
        moved.value[c] = at.value[c] * std::exp(kProbe);
        const double up = log_step(row, moved);
        moved.value[c] = at.value[c] * std::exp(-kProbe);
        linear.slope[c] = (up - log_step(row, moved)) / (2.0 * kProbe);
    }
    return linear;
}

Fit::Lines Fit::linearise_all(const Solution& solution) const {
    Lines lines;
    lines.reserve(rows_.size());
    for (const Row& row : rows_) lines.push_back(linearise(row, solution.theta));
    return lines;
}

bool Fit::improve(const Lines* lines, const std::vector<bool>& used,
                  const std::vector<bool>& trusted, std::vector<double>& theta,
                  std::vector<double>& normal) const {
    const std::size_t n = prior_mean_.size();
    normal.assign(n * n, 0.0);
    std::vector<double> gradient(n, 0.0);
    for (std::size_t i = 0; i < n; ++i) {
        double precision = 1.0 / (prior_spread_[i] * prior_spread_[i]);
        if (i >= series_begin_) {
            // A series far from all others is believed to be odd as a whole.
            const double square = theta[i] * theta[i];
            precision *= (options_.series_tail + 1.0) / (options_.series_tail + square * precision);
        }
        normal[i * n + i] = precision;
        gradient[i] = (prior_mean_[i] - theta[i]) * precision;
    }
    std::vector<std::pair<std::size_t, double>> sparse;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
        if (!used[r]) continue;
        const Row& row = rows_[r];
        Linear linear;
        if (lines == nullptr) {
            linear = linearise(row, theta);
        } else {
            linear = (*lines)[r];
            const Constants now = constants_of(row, theta);
            for (std::size_t c = 0; c < kConstantCount; ++c)
                linear.value += linear.slope[c] * std::log(now.value[c] / linear.at.value[c]);
        }
        const std::size_t series = series_begin_ + row.series;
        const bool with_level = !row.run->series.empty() && (trusted.empty() || !trusted[r]);
        const double residual = row.measured - linear.value - (with_level ? theta[series] : 0.0);
        const double weight = (options_.tail + 1.0) /
                              (options_.tail + residual * residual / row.variance) / row.variance;
        sparse.clear();
        for (std::size_t c = 0; c < kConstantCount; ++c) {
            if (linear.slope[c] == 0.0) continue;
            const Slots s = slots(row, c);
            for (const std::ptrdiff_t slot : {s.global, s.die, s.framework, s.fabric, s.release})
                if (slot != kNone)
                    sparse.emplace_back(static_cast<std::size_t>(slot), linear.slope[c]);
        }
        if (with_level) sparse.emplace_back(series, 1.0);
        for (const auto& [i, slope] : sparse) {
            gradient[i] += weight * slope * residual;
            for (const auto& [j, other] : sparse) normal[i * n + j] += weight * slope * other;
        }
    }
    if (!factorise(normal, n)) return false;
    solve_with(normal, n, gradient);
    for (std::size_t i = 0; i < n; ++i) theta[i] += std::clamp(gradient[i], -kMoveMax, kMoveMax);
    return true;
}

Result<Fit::Solution> Fit::solve(const std::vector<bool>& used, const Solution* start,
                                 int iterations, bool with_spread) const {
    if (std::none_of(used.begin(), used.end(), [](bool one) { return one; }))
        return Error{ErrorCode::kUnsupported, "no row to fit on", "fit"};
    Solution solution;
    solution.theta = start != nullptr ? start->theta : prior_mean_;
    std::vector<double> factor;
    for (int iteration = 0; iteration < iterations; ++iteration)
        if (!improve(nullptr, used, {}, solution.theta, factor))
            return Error{ErrorCode::kInternal, "the fit is singular", "fit"};
    if (with_spread) {
        solution.spread = inverse_diagonal(factor, prior_mean_.size());
        for (double& variance : solution.spread) variance = std::sqrt(variance);
    }
    return solution;
}

Result<Fit::Solution> Fit::solve_on(const Lines& lines, const std::vector<bool>& used,
                                    const Solution& start, int iterations,
                                    const std::vector<bool>& trusted) const {
    Solution solution{start.theta, {}};
    std::vector<double> factor;
    for (int iteration = 0; iteration < iterations; ++iteration)
        if (!improve(&lines, used, trusted, solution.theta, factor))
            return Error{ErrorCode::kInternal, "the fit is singular", "fit"};
    return solution;
}

double Fit::predict(std::size_t index, const Solution& solution, bool series_known) const {
    const Row& row = rows_[index];
    return log_step(row, constants_of(row, solution.theta)) +
           (series_known ? solution.theta[series_begin_ + row.series] : 0.0);
}

CostBook Fit::book(const Solution& solution, const std::vector<bool>& used,
                   const std::string& fitted_on) const {
    CostBook book;
    book.widths = groups_.widths;
    book.fitted_on = fitted_on;
    const auto spread_at = [&](std::size_t slot) {
        return solution.spread.empty() ? prior_spread_[slot] : solution.spread[slot];
    };
    for (std::size_t c = 0; c < kConstantCount; ++c)
        book.global[c] = {std::exp(solution.theta[c]), spread_at(c)};
    const auto groups = [&](const std::vector<std::string>& names,
                            const std::vector<std::ptrdiff_t>& slot, std::size_t Row::*member,
                            std::vector<Group>& out) {
        for (std::size_t g = 0; g < names.size(); ++g) {
            if (names[g].empty()) continue;
            Group group;
            group.name = names[g];
            for (std::size_t r = 0; r < rows_.size(); ++r)
                if (used[r] && rows_[r].*member == g) ++group.rows;
            if (group.rows == 0) continue;
            for (std::size_t c = 0; c < kConstantCount; ++c) {
                const std::ptrdiff_t at = slot[g * kConstantCount + c];
                if (at == kNone) continue;
                const auto i = static_cast<std::size_t>(at);
                group.effects[static_cast<Constant>(c)] = {std::exp(solution.theta[i]),
                                                           spread_at(i)};
            }
            out.push_back(std::move(group));
        }
    };
    groups(dies_, die_slot_, &Row::die, book.dies);
    groups(frameworks_, framework_slot_, &Row::framework, book.frameworks);
    groups(fabrics_, fabric_slot_, &Row::fabric, book.fabrics);
    groups(releases_, release_slot_, &Row::release, book.releases);
    // Membership and cores come with the classes; a class without rows keeps its cores.
    for (const Group& known : groups_.dies) {
        const auto same = std::find_if(book.dies.begin(), book.dies.end(), [&](const Group& group) {
            return group.name == known.name;
        });
        if (same != book.dies.end()) {
            same->members = known.members;
            same->cores = known.cores;
            same->launched = known.launched;
        } else {
            Group plain = known;
            plain.effects.clear();
            plain.rows = 0;
            book.dies.push_back(std::move(plain));
        }
    }
    for (Group& group : book.dies)
        if (group.members.empty()) group.members = {group.name};
    for (std::size_t r = 0; r < rows_.size(); ++r) {
        if (!used[r]) continue;
        ++book.rows;
        book.fitted_ids.push_back(rows_[r].run->id);
    }
    std::sort(book.fitted_ids.begin(), book.fitted_ids.end());
    return book;
}

}  // namespace ascertain::cost
