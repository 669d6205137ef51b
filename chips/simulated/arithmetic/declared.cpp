#include "chips/simulated/arithmetic/declared.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "base/toml_table.hpp"

namespace ascertain::simulated::arithmetic {
namespace {

constexpr std::size_t kBytesMax = 1U << 16U;
constexpr std::int64_t kBlockMax = 65536;

const char* name_of(BlockOrder order) {
    switch (order) {
        case BlockOrder::kAscending: return "ascending";
        case BlockOrder::kDescending: return "descending";
        case BlockOrder::kInterleaved: return "interleaved";
    }
    return "";
}

const char* name_of(Attention attention) {
    switch (attention) {
        case Attention::kHost: return "host";
        case Attention::kMath: return "math";
        case Attention::kFlash: return "flash";
    }
    return "";
}

struct Document {
    const std::string& path;
    std::optional<Error> error;
};

Products read_products(Document& document, const toml::table& table) {
    TomlTable fields(table, "arithmetic.products", document.path, document.error);
    Products products;
    products.declared = true;
    products.block = fields.integer_or("block", 1, kBlockMax, 0);
    products.parts = fields.integer_or("parts", 1, 64, 1);
    const auto choice_or = [&](const char* key, const std::vector<std::string>& choices) {
        if (table.get(key) != nullptr) return fields.choice(key, choices);
        return fields.text_or(key, choices.front());
    };
    const std::string order = choice_or("order", {"ascending", "descending", "interleaved"});
    if (order == "descending") products.order = BlockOrder::kDescending;
    if (order == "interleaved") products.order = BlockOrder::kInterleaved;
    products.product_rounded = choice_or("product", {"exact", "rounded"}) == "rounded";
    products.truncated = choice_or("accumulator", {"nearest", "truncated"}) == "truncated";
    if (products.truncated && products.product_rounded) {
        fields.refuse("product", "a truncated accumulator takes exact products");
    }
    if (products.truncated && products.block == 0) {
        fields.refuse("accumulator",
                      "a truncated accumulator needs \"block\", how many terms it "
                      "takes at once");
    }
    fields.refuse_unknown();
    return products;
}

Sums read_sums(Document& document, const toml::table& table) {
    TomlTable fields(table, "arithmetic.sums", document.path, document.error);
    Sums sums;
    sums.declared = true;
    sums.lanes = fields.integer("lanes", 1, 1024);
    if ((sums.lanes & (sums.lanes - 1)) != 0) {
        fields.refuse("lanes", "\"lanes\" must be a power of two: lanes are added pairwise");
    }
    fields.refuse_unknown();
    return sums;
}

void read_arithmetic(Document& document, const toml::table& table, Declared& declared) {
    TomlTable fields(table, "arithmetic", document.path, document.error);
    for (const toml::table* part : fields.tables("products", false)) {
        declared.products = read_products(document, *part);
    }
    for (const toml::table* part : fields.tables("sums", false)) {
        declared.sums = read_sums(document, *part);
    }
    const auto is = [&](const char* key, const char* usual, const char* other) {
        if (table.get(key) != nullptr) return fields.choice(key, {usual, other}) == other;
        return fields.text_or(key, usual) == other;
    };
    if (table.get("attention") != nullptr) {
        const std::string attention = fields.choice("attention", {"host", "math", "flash"});
        if (attention == "math") declared.attention = Attention::kMath;
        if (attention == "flash") declared.attention = Attention::kFlash;
    } else {
        static_cast<void>(fields.text_or("attention", ""));
    }
    if (declared.attention == Attention::kFlash) {
        declared.attention_block = fields.integer("attention_block", 1, kBlockMax);
    }
    declared.functions_polynomial = is("functions", "host", "polynomial");
    declared.subnormals_flushed = is("subnormals", "kept", "flushed");
    declared.index_sums_any_order = is("index_sums", "ordered", "any_order");
    if (table.empty()) fields.refuse("products", "[arithmetic] declares nothing");
    fields.refuse_unknown();
}

Declared read_root(Document& document, const toml::table& root) {
    TomlTable fields(root, "variant", document.path, document.error);
    static_cast<void>(fields.choice("schema", {kSchema}));
    Declared declared;
    declared.id = fields.text("id");
    if (const std::string name = std::filesystem::path(document.path).stem(); declared.id != name) {
        fields.refuse("id",
                      fmt::format("\"{}\" is not \"{}\", the file's name", declared.id, name));
    }
    declared.summary = fields.text("summary");
    static_cast<void>(fields.text("source"));
    read_arithmetic(document, fields.table("arithmetic"), declared);
    fields.refuse_unknown();
    return declared;
}

Json to_json(const Products& products) {
    if (!products.declared) return {};
    return {{"block", products.block == 0 ? Json() : Json(products.block)},
            {"order", name_of(products.order)},
            {"parts", products.parts},
            {"product", products.product_rounded ? "rounded" : "exact"},
            {"accumulator", products.truncated ? "truncated" : "nearest"}};
}

}  // namespace

Result<Declared> read_declared(std::string_view text, const std::string& path) {
    if (text.size() > kBytesMax) {
        return Error{ErrorCode::kBadInput, fmt::format("more than {} bytes", kBytesMax),
                     path + ":1:1"};
    }
    try {
        const toml::table root = toml::parse(text, path);
        Document document{path, std::nullopt};
        Declared declared = read_root(document, root);
        if (document.error) return *document.error;
        return declared;
    } catch (const toml::parse_error& problem) {
        const auto& begin = problem.source().begin;
        return Error{ErrorCode::kBadInput, std::string(problem.description()),
                     fmt::format("{}:{}:{}", path, begin.line, begin.column)};
    }
}

Json to_json(const Declared& declared) {
    Json attention = {{"kernel", name_of(declared.attention)}};
    if (declared.attention == Attention::kFlash) attention["block"] = declared.attention_block;
    return {{"variant", declared.id},
            {"summary", declared.summary},
            {"products", to_json(declared.products)},
            {"sums", declared.sums.declared ? Json{{"lanes", declared.sums.lanes}} : Json()},
            {"attention", std::move(attention)},
            {"functions", declared.functions_polynomial ? "polynomial" : "host"},
            {"subnormals", declared.subnormals_flushed ? "flushed" : "kept"},
            {"index_sums", declared.index_sums_any_order ? "any_order" : "ordered"}};
}

}  // namespace ascertain::simulated::arithmetic
