#include "worker/host/failure.hpp"

#include <c10/util/Exception.h>

#include <exception>
#include <new>

#include "worker/host/torch.hpp"

namespace ascertain::worker {
namespace {

// The CPU allocator reports missing memory as a plain c10::Error.
bool speaks_of_memory(std::string_view message) {
    return message.find("not enough memory") != std::string_view::npos ||
           message.find("out of memory") != std::string_view::npos;
}

}  // namespace

Error error_in_flight() {
    try {
        throw;
    } catch (const c10::NotImplementedError& error) {
        return {ErrorCode::kUnsupported, error.what_without_backtrace(), ""};
    } catch (const c10::OutOfMemoryError& error) {
        return {ErrorCode::kEnvironment, error.what_without_backtrace(), ""};
    } catch (const c10::Error& error) {
        const std::string message = error.what_without_backtrace();
        return {speaks_of_memory(message) ? ErrorCode::kEnvironment : ErrorCode::kDeviceUnavailable,
                message, ""};
    } catch (const std::bad_alloc&) {
        return {ErrorCode::kEnvironment, "the host has no memory left", ""};
    } catch (const std::exception& error) {
        return {speaks_of_memory(error.what()) ? ErrorCode::kEnvironment : ErrorCode::kInternal,
                error.what(), ""};
    } catch (...) {
        return {ErrorCode::kInternal, "something was thrown that is no exception", ""};
    }
}

}  // namespace ascertain::worker
