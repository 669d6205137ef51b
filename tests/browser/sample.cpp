// Writes the sample reports that the browser test opens, with their JUnit and OpenMetrics forms:
// ascertain_report_sample CHART_JS FOLDER.
// An empty CHART_JS gives reports without charts.
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "decide/report/html.hpp"
#include "decide/report/junit.hpp"
#include "decide/report/openmetrics.hpp"
#include "decide/report/testing/sample.hpp"

namespace {

std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

bool write(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    return file.good();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: ascertain_report_sample CHART_JS FOLDER\n";
        return 64;
    }
    const std::string chart_js = read(argv[1]);
    const std::string folder = std::string(argv[2]) + "/";
    namespace testing = ascertain::report::testing;
    const auto make = [&](const std::string& name, const testing::Sample& sample) {
        namespace report = ascertain::report;
        return write(folder + name + ".html", report::html(sample.input(chart_js))) &&
               write(folder + name + ".xml", report::junit(sample.verdict)) &&
               write(folder + name + ".txt", report::openmetrics(sample.verdict));
    };
    const bool written = make("screened", testing::screened_cpu()) &&
                         make("failing", testing::failing_device()) &&
                         make("nothing", testing::nothing()) && make("hostile", testing::hostile());
    return written ? 0 : 74;
}
