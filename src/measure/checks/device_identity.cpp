// device.identity: is the device what it was called, and does it offer the precision that the
// campaign trains in?
#include <fmt/format.h>

#include <algorithm>

#include "measure/checks/answers.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

Metric memory_metric(const Json& description) {
    const auto found = description.find("memory_bytes");
    const bool known = found != description.end() && found->is_number();
    return known ? metric_of("memory_bytes", found->get<double>(), "B")
                 : absent_metric("memory_bytes", "B", "the device does not tell");
}

}  // namespace

Step device_identity(const Context& context, const Json& state, std::span<const Answer> answers) {
    const Json* dtype = parameter(context, "dtype", Json::value_t::string);
    if (dtype == nullptr) return harness_error("device.identity needs the training dtype");
    if (state.is_null()) {
        return Ask{.state = {{"asked", true}},
                   .requests = {{.kind = "describe",
                                 .params = Json::object(),
                                 .deadline = deadline_of_one(context.profile),
                                 .members = {0}}}};
    }
    if (answers.size() != 1) return harness_error("describe was not answered once");
    if (answers[0].kind != AnswerKind::kResult) return give_up(answers[0]);
    const Json& description = answers[0].result;

    const auto name = text_at(description, "device", "describe");
    if (!name) return harness_error(name.error().text());
    const auto dtypes = description.find("dtypes");
    if (dtypes == description.end() || !dtypes->is_array()) {
        return harness_error("describe: no list of dtypes");
    }
    const bool offered = std::find(dtypes->begin(), dtypes->end(), *dtype) != dtypes->end();
    const bool same_name = *name == context.devices[0].name;
    Done done;
    done.observation = {metric_of("name_matches", same_name ? 1.0 : 0.0, "count"),
                        metric_of("training_dtype_offered", offered ? 1.0 : 0.0, "count"),
                        metric_of("dtypes", static_cast<double>(dtypes->size()), "count"),
                        memory_metric(description)};
    done.detail = {{"describe", description}, {"training_dtype", *dtype}};
    return done;
}

}  // namespace ascertain::checks
