// ascertain prove: does every check catch what it is there for?
#include <CLI/CLI.hpp>
#include <memory>

#include "app/commands/all.hpp"
#include "app/prove/run.hpp"

namespace ascertain::app {

Run declare_prove(CLI::App& flags) {
    auto options = std::make_shared<ProveOptions>();
    add_prove_flags(flags, *options);
    return
        [options](Terminal& terminal, const Home& home) { return prove(terminal, home, *options); };
}

}  // namespace ascertain::app
