#include "model/architecture.hpp"

#include "base/assert.hpp"
#include "model/names.hpp"

namespace ascertain::model {

std::int64_t layer_count(const Architecture& architecture) {
    std::int64_t count = 0;
    for (const LayerRun& run : architecture.layers) count += run.count;
    return count;
}

std::int64_t layer_count(const Architecture& architecture, LayerKind kind) {
    std::int64_t count = 0;
    for (const LayerRun& run : architecture.layers) {
        if (run.kind == kind) count += run.count;
    }
    return count;
}

LayerKind layer_kind(const Architecture& architecture, std::int64_t index) {
    std::int64_t end = 0;
    for (const LayerRun& run : architecture.layers) {
        end += run.count;
        if (index < end) return run.kind;
    }
    ASCERTAIN_ASSERT(!"layer index beyond the last layer");
    return LayerKind::kDense;
}

LayerKind mtp_layer_kind(const Architecture& architecture) {
    ASCERTAIN_ASSERT(!architecture.layers.empty());
    return architecture.layers.back().kind;
}

Architecture pad_vocabulary(const Architecture& architecture, std::int64_t multiple) {
    ASCERTAIN_ASSERT(multiple >= 1);
    Architecture padded = architecture;
    padded.vocab_size = (architecture.vocab_size + multiple - 1) / multiple * multiple;
    return padded;
}

double size_bytes(Dtype dtype) {
    switch (dtype) {
        case Dtype::kFp32: return 4.0;
        case Dtype::kBf16:
        case Dtype::kFp16: return 2.0;
        case Dtype::kFp8: return 1.0;
    }
    ASCERTAIN_ASSERT(!"unknown dtype");
    return 0.0;
}

std::string_view name_of(Family family) {
    return names::text(names::kFamilies, family);
}
std::string_view name_of(Dtype dtype) {
    return names::text(names::kDtypes, dtype);
}
std::string_view name_of(LayerKind kind) {
    return names::text(names::kLayerKinds, kind);
}
std::string_view name_of(AttentionKind kind) {
    return names::text(names::kAttentionKinds, kind);
}
std::string_view name_of(MlpKind kind) {
    return names::text(names::kMlpKinds, kind);
}
std::string_view name_of(RouterKind kind) {
    return names::text(names::kRouterKinds, kind);
}
std::string_view name_of(NormKind kind) {
    return names::text(names::kNormKinds, kind);
}
std::string_view name_of(PositionKind kind) {
    return names::text(names::kPositionKinds, kind);
}
std::string_view name_of(RopeScalingKind kind) {
    return names::text(names::kRopeScalingKinds, kind);
}

}  // namespace ascertain::model
