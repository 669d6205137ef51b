// What `ascertain links` and `ascertain soak` print when they are through.
#pragma once

#include <string>
#include <vector>

#include "app/campaign.hpp"
#include "app/format.hpp"
#include "app/home.hpp"
#include "base/result.hpp"
#include "decide/evidence/chain.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::app {

// Of links: every collective that brought something wrong, and who is to blame. `evidence` is the
// directory. As a table, or ascertain.links/1.
[[nodiscard]] Result<std::string> links_text(const std::vector<evidence::Record>& records,
                                             const judge::Verdict& verdict,
                                             const std::string& evidence, Format format);

// Of a soak: each part, and what the hours prove. As a table, or ascertain.soak/1.
[[nodiscard]] Result<std::string> soak_text(const Home& home, const Campaign& campaign,
                                            const std::vector<evidence::Record>& records,
                                            const judge::Verdict& verdict,
                                            const std::string& evidence, Format format);

}  // namespace ascertain::app
