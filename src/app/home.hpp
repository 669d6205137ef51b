// Where the product's own files are: its data, its worker.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace ascertain::app {

struct Home {
    std::string root;      // holds data/
    std::string worker;    // the worker's executable; it may be missing, which only measuring minds
    std::string chart_js;  // Chart.js for the report; empty when it is not installed

    [[nodiscard]] std::string data(const std::string& below) const {
        return root + "/data/" + below;
    }
};

// ASCERTAIN_HOME when set, else the nearest folder above the executable that holds
// data/campaigns, else share/ascertain beside it. kEnvironment with what to do.
[[nodiscard]] Result<Home> find_home();

}  // namespace ascertain::app
