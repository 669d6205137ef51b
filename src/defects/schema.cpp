#include "defects/schema.hpp"

#include <array>
#include <string>
#include <utility>

#include "defects/effects.hpp"
#include "defects/places.hpp"

namespace ascertain::defects {
namespace {

Json text() {
    return {{"type", "string"}, {"minLength", 1}};
}
Json whole(std::int64_t least) {
    return {{"type", "integer"}, {"minimum", least}};
}
Json flag() {
    return {{"type", "boolean"}};
}
Json one_of(const std::vector<std::string>& words) {
    return {{"enum", words}};
}
Json words_or_list() {
    return {{"oneOf", {text(), {{"type", "array"}, {"minItems", 1}, {"items", text()}}}}};
}
Json any_number() {
    return {{"oneOf", {{{"type", "number"}}, one_of({"nan", "inf", "-inf"})}}};
}
Json share() {
    return {{"type", "number"}, {"exclusiveMinimum", 0}, {"exclusiveMaximum", 1}};
}

Json object(Json properties, const std::vector<std::string>& required) {
    return {{"type", "object"},
            {"additionalProperties", false},
            {"required", required},
            {"properties", std::move(properties)}};
}

Json field_schema(const Field& field) {
    switch (field.type) {
        case FieldType::kWhole: {
            Json schema = whole(static_cast<std::int64_t>(field.low));
            if (field.high < 1000.0) schema["maximum"] = static_cast<std::int64_t>(field.high);
            return schema;
        }
        case FieldType::kNumber: return field.unbounded ? any_number() : Json{{"type", "number"}};
        case FieldType::kWord: return one_of(field.choices);
        case FieldType::kDuration:
        case FieldType::kSize:
        case FieldType::kText: return text();
    }
    return {};
}

Json does_schema(Place place) {
    Json kinds = Json::array();
    for (const Effect& effect : effects()) {
        if (effect.place != place) continue;
        Json properties = {{"kind", {{"const", effect.kind}}}};
        std::vector<std::string> required{"kind"};
        for (const Field& field : effect.fields) {
            properties[field.name] = field_schema(field);
            if (field.required) required.push_back(field.name);
        }
        Json schema = object(std::move(properties), required);
        schema["description"] = effect.does;
        kinds.push_back(std::move(schema));
    }
    return {{"oneOf", std::move(kinds)}};
}

void add_shape(Json& properties) {
    for (const std::string& quantity : shape_quantities()) {
        for (const char* suffix : {"", "_at_least", "_at_most"}) {
            properties[quantity + suffix] = whole(0);
        }
        for (const char* suffix : {"_multiple_of", "_not_multiple_of"}) {
            properties[quantity + suffix] = whole(1);
        }
    }
}

Json where_schema(Place place) {
    Json properties = {{std::string(name_of(place)), words_or_list()}};
    if (place == Place::kOperator) {
        properties["overload"] = text();
        properties["phase"] = one_of({"any", "forward", "backward"});
        properties["layout"] = one_of(layout_names());
        properties["mixed_dtypes"] = flag();
        properties["in_place"] = flag();
        properties["device"] = whole(0);
        properties["not_aligned_to"] = whole(2);
        properties["input_above"] = {{"type", "number"}};
        properties["row_of"] = words_or_list();
        properties["argument"] = text();
        properties["value"] = any_number();
        properties["not_value"] = any_number();
    }
    if (place == Place::kPoint) {
        properties["parameter"] = text();
        properties["state"] = text();
    }
    if (place != Place::kEvent) {
        properties["dtype"] = one_of(dtype_names());
        properties["rank"] = whole(0);
        add_shape(properties);
    }
    if (place == Place::kCollective) properties["bytes_at_least"] = text();
    return object(std::move(properties), {std::string(name_of(place))});
}

Json when_schema() {
    return object({{"after_calls", whole(0)},
                   {"every", whole(1)},
                   {"times", whole(1)},
                   {"probability", share()},
                   {"seed", whole(0)},
                   {"process_share", share()},
                   {"after_busy", text()},
                   {"without_sync", text()},
                   {"after_sync", text()},
                   {"calls_without_sync", whole(1)},
                   {"memory_above", text()},
                   {"new_shape", flag()},
                   {"reused_memory", flag()},
                   {"overlap", flag()},
                   {"deterministic", flag()}},
                  {});
}

constexpr std::array kPlaces{Place::kOperator, Place::kCollective, Place::kPoint, Place::kEvent};

std::string definition(const char* part, Place place) {
    return std::string(part) + "_" + std::string(name_of(place));
}

// One form for each place: what may stand in `does` depends on `where`.
Json rule_forms(const Json& properties, const std::vector<std::string>& required) {
    Json forms = Json::array();
    for (const Place place : kPlaces) {
        Json all = properties;
        all["where"] = {{"$ref", "#/$defs/" + definition("where", place)}};
        all["when"] = {{"$ref", "#/$defs/when"}};
        all["does"] = {{"$ref", "#/$defs/" + definition("does", place)}};
        std::vector<std::string> needed = required;
        needed.insert(needed.end(), {"where", "does"});
        forms.push_back(object(std::move(all), needed));
    }
    return forms;
}

}  // namespace

Json defect_schema() {
    const std::vector<std::string> required{"id", "summary", "source"};
    Json metadata = {{"id", text()},
                     {"summary", text()},
                     {"source", text()},
                     {"class", one_of(defect_classes())},
                     {"plane", one_of(plane_names())},
                     {"remedy", text()},
                     {"scaled", text()}};
    Json forms = rule_forms(metadata, required);
    Json several = metadata;
    several["rule"] = {{"type", "array"}, {"minItems", 1}, {"items", {{"$ref", "#/$defs/rule"}}}};
    forms.push_back(object(several, {"id", "summary", "source", "rule"}));
    Json none = metadata;
    none["not_expressible"] = text();
    forms.push_back(object(none, {"id", "summary", "source", "not_expressible"}));

    Json definitions = {{"when", when_schema()}, {"rule", {{"oneOf", rule_forms({}, {})}}}};
    for (const Place place : kPlaces) {
        definitions[definition("where", place)] = where_schema(place);
        definitions[definition("does", place)] = does_schema(place);
    }
    Json root =
        object({{"schema", {{"const", "ascertain.defect/1"}}},
                {"defect", {{"type", "array"}, {"minItems", 1}, {"items", {{"oneOf", forms}}}}}},
               {"schema", "defect"});
    Json document = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                     {"$id", "urn:ascertain:defect:1"},
                     {"title", "A file of defects (the TOML file read as JSON)"},
                     {"description",
                      "Planted faults: where, when and what; docs/defects.md. "
                      "Written from the tables in src/defects."}};
    document.update(root);
    document["$defs"] = std::move(definitions);
    return document;
}

}  // namespace ascertain::defects
