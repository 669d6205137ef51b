// How a table-like result is written.
#pragma once

namespace ascertain::app {

enum class Format { kTable, kJson, kCsv };

}  // namespace ascertain::app
