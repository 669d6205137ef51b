#include "worker/host/declared.hpp"

#include <dlfcn.h>

namespace ascertain::worker {
namespace {

Json read() {
    using Declare = const char* (*)();
    const auto declare =
        reinterpret_cast<Declare>(::dlsym(RTLD_DEFAULT, "ascertain_plugin_arithmetic"));
    const char* text = declare == nullptr ? nullptr : declare();
    if (text == nullptr) return {};
    Json declared = Json::parse(text, nullptr, false);
    return declared.is_object() ? declared : Json();
}

}  // namespace

const Json& declared_arithmetic() {
    static const Json declared = read();
    return declared;
}

bool declares_unordered_index_sums() {
    const Json& declared = declared_arithmetic();
    const auto found = declared.find("index_sums");
    return found != declared.end() && *found == "any_order";
}

}  // namespace ascertain::worker
