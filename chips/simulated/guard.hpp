// What torch asks of a device type: switching devices, streams, events.
#pragma once

namespace ascertain::simulated {

// Once, while the plug-in loads.
void register_guard();
void register_hooks();

}  // namespace ascertain::simulated
