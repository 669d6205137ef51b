#include "app/names.hpp"

namespace ascertain::app {

std::string_view name_of(checks::Profile profile) {
    switch (profile) {
        case checks::Profile::kQuick: return "quick";
        case checks::Profile::kStandard: return "standard";
        case checks::Profile::kFull: return "full";
    }
    ASCERTAIN_ASSERT(false);
}

}  // namespace ascertain::app
