#include "worker/training/metric.hpp"

#include <cstdint>
#include <utility>

namespace ascertain::training {

Metric metric_of(std::string name, double value, std::string unit, std::size_t n) {
    Metric metric;
    metric.metric = std::move(name);
    metric.value = value;
    metric.unit = std::move(unit);
    metric.n = static_cast<std::int64_t>(n);
    return metric;
}

}  // namespace ascertain::training
