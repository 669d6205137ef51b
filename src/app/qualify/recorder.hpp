// Writes a qualification down as it happens, and shows it to whoever watches.
#pragma once

#include <string>

#include "app/qualify/options.hpp"
#include "app/terminal.hpp"
#include "base/result.hpp"
#include "decide/evidence/store.hpp"
#include "decide/judge/criteria.hpp"
#include "measure/qualification/runner.hpp"

namespace ascertain::app {

class Recorder final : public qualification::Observer {
public:
    // Everything given must outlive the recorder.
    Recorder(evidence::Store& store, Terminal& terminal, const judge::CriteriaSet& criteria,
             const qualification::Plan& plan, const QualifyOptions& options);

    void attempt_began(const qualification::Item& item, qualification::Role role,
                       int number) override;
    void progressed(const qualification::Item& item, qualification::Role role,
                    const device::Progress& progress) override;
    // Writes the attempt, the operator case that failed it as a file of its own, and after a
    // calibration what it foretells of speed.gemm on that device.
    Result<void> attempt_ended(const qualification::Item& item,
                               const qualification::Attempt& attempt) override;

private:
    Result<void> keep_reproducer(const qualification::Item& item,
                                 const qualification::Attempt& attempt, evidence::Attempt& record);
    Result<void> foretell(const qualification::Attempt& calibration);
    void show(const qualification::Item& item, const qualification::Attempt& attempt);

    evidence::Store& store_;
    Terminal& terminal_;
    const judge::CriteriaSet& criteria_;
    const qualification::Plan& plan_;
    const QualifyOptions& options_;
    std::size_t answered_ = 0;  // items measured so far
};

}  // namespace ascertain::app
