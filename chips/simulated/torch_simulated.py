"""The simulated chip as a vendor's Python package: `import torch_simulated`, and torch knows the device.

The library is ASCERTAIN_SIMULATED_LIBRARY, or the one of the release build beside these sources.
"""

import os
import pathlib
import types

import torch

_BUILT = pathlib.Path(__file__).resolve().parents[2] / "build/release/worker/libascertain_simulated.so"
torch.ops.load_library(os.environ.get("ASCERTAIN_SIMULATED_LIBRARY", str(_BUILT)))


def _device_module():
    """What torch asks of a device's module before the first tensor is made there."""
    module = types.ModuleType("torch.simulated")
    module._lazy_init = lambda: None
    module._is_in_bad_fork = lambda: False
    module.is_initialized = lambda: True
    module.is_available = lambda: True
    module.device_count = lambda: int(os.environ.get("ASCERTAIN_SIMULATED_DEVICES", "2"))
    module.current_device = lambda: torch._C._accelerator_getDeviceIndex() if hasattr(
        torch._C, "_accelerator_getDeviceIndex") else 0
    module.manual_seed_all = torch.ops.ascertain_simulated.manual_seed_all
    module.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]
    return module


torch._register_device_module("simulated", _device_module())
