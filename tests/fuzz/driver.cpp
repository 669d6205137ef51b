// Stands in for libFuzzer where it is not at hand: replays every file of a corpus, then seeded
// mutations of them, so that a run is the same anywhere. A crash or a hang is the failure.
//
//     NAME_fuzz CORPUS MUTATIONS [SEED]
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/random.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using ascertain::Random;

// Pieces that formats are made of find more than random bytes do.
constexpr const char* kPieces[] = {
    "{",    "}",  "[",     "]",   "\"", ",",       ":",    "\n",
    "null", "-1", "1e999", "NaN", "0",  "\\u0000", "\xff", "18446744073709551616",
    "true", "[[", "]]",    "= ",  "''"};

std::string mutated(const std::vector<std::string>& corpus, Random& random) {
    std::string text = corpus[random.below(corpus.size())];
    for (std::uint64_t changes = 1 + random.below(4); changes > 0; --changes) {
        const std::size_t at = random.below(text.size() + 1);
        const std::size_t length = random.below(16);
        switch (random.below(5)) {
            case 0:
                if (at < text.size()) text[at] = static_cast<char>(random.below(256));
                break;
            case 1: text.erase(at, length); break;
            case 2: text.insert(at, kPieces[random.below(std::size(kPieces))]); break;
            case 3: text.insert(at, text.substr(random.below(text.size() + 1), length)); break;
            default: {
                const auto& other = corpus[random.below(corpus.size())];
                text = text.substr(0, at) + other.substr(random.below(other.size() + 1));
            }
        }
    }
    return text;
}

void run(const std::string& text) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::cerr << "usage: NAME_fuzz CORPUS MUTATIONS [SEED]\n";
        return 64;
    }
    std::set<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(argv[1]))
        paths.insert(entry.path());
    std::vector<std::string> corpus;
    for (const auto& path : paths) {
        std::ostringstream text;
        text << std::ifstream(path, std::ios::binary).rdbuf();
        corpus.push_back(text.str());
        run(corpus.back());
    }
    if (corpus.empty()) {
        std::cerr << argv[1] << " holds no corpus\n";
        return 65;
    }
    const auto mutations = std::strtoull(argv[2], nullptr, 10);
    Random random(argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1, 0);
    for (std::uint64_t i = 0; i < mutations; ++i) run(mutated(corpus, random));
    std::cout << corpus.size() << " files and " << mutations << " mutations, none crashed\n";
    return 0;
}
