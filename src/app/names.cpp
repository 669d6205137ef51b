#include "app/names.hpp"

namespace ascertain::app {

std::string_view name_of(checks::Question question) {
    switch (question) {
        case checks::Question::kCompute: return "compute";
        case checks::Question::kEndure: return "endure";
        case checks::Question::kLearn: return "learn";
        case checks::Question::kFinish: return "finish";
        case checks::Question::kServe: return "serve";
    }
    ASCERTAIN_ASSERT(false);
}

std::string_view name_of(checks::Profile profile) {
    switch (profile) {
        case checks::Profile::kQuick: return "quick";
        case checks::Profile::kStandard: return "standard";
        case checks::Profile::kFull: return "full";
    }
    ASCERTAIN_ASSERT(false);
}

}  // namespace ascertain::app
