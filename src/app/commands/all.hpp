// The subcommands. One function each: declares its flags, returns what runs with them.
#pragma once

#include "app/command.hpp"

namespace ascertain::app {

Run declare_links(CLI::App& flags);
Run declare_soak(CLI::App& flags);
Run declare_agent(CLI::App& flags);
Run declare_qualify(CLI::App& flags);
Run declare_ops(CLI::App& flags);
Run declare_trial(CLI::App& flags);
Run declare_handoff(CLI::App& flags);
Run declare_devices(CLI::App& flags);
Run declare_catalog(CLI::App& flags);
Run declare_plan(CLI::App& flags);
Run declare_simulate(CLI::App& flags);
Run declare_compare(CLI::App& flags);
Run declare_score(CLI::App& flags);
Run declare_calibrate(CLI::App& flags);
Run declare_prove(CLI::App& flags);
Run declare_judge(CLI::App& flags);
Run declare_report(CLI::App& flags);
Run declare_evidence(CLI::App& flags);
Run declare_explain(CLI::App& flags);
Run declare_list(CLI::App& flags);
Run declare_completion(CLI::App& flags);

}  // namespace ascertain::app
