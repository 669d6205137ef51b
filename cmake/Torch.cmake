# torch as two imported targets, torch::cpu and torch::c10, from the folder of an installed wheel
# (TORCH_DIR). find_package(Torch) is left out on purpose: on a CUDA wheel it insists on a CUDA
# toolkit and puts every CUDA library on the link line, and a worker must start where they are not.

if(NOT TORCH_DIR OR NOT EXISTS ${TORCH_DIR}/lib/libtorch_cpu.so)
  message(FATAL_ERROR
    "The worker needs torch. Set -DTORCH_DIR=<folder with include/torch and lib/libtorch_cpu.so> "
    "(python3 -c 'import torch, os; print(os.path.dirname(torch.__file__))'), or build the core alone "
    "with -DASCERTAIN_WORKER=OFF.")
endif()

foreach(header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
  if(EXISTS ${TORCH_DIR}/include/${header})
    file(STRINGS ${TORCH_DIR}/include/${header} lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR) ")
    if(lines)
      string(REGEX MATCHALL "[0-9]+" numbers "${lines}")
      list(JOIN numbers "." ASCERTAIN_TORCH_MINOR)
      break()
    endif()
  endif()
endforeach()
if(NOT ASCERTAIN_TORCH_MINOR)
  message(FATAL_ERROR "${TORCH_DIR}/include holds no torch version header")
endif()
if(ASCERTAIN_TORCH_MINOR VERSION_LESS 2.9)
  message(FATAL_ERROR "torch ${ASCERTAIN_TORCH_MINOR} in ${TORCH_DIR} is too old: 2.9 is the first with "
                      "the device-neutral memory interface and grouped GEMM on every device")
endif()
message(STATUS "torch ${ASCERTAIN_TORCH_MINOR} from ${TORCH_DIR}")

add_library(torch::c10 SHARED IMPORTED GLOBAL)
set_target_properties(torch::c10 PROPERTIES
  IMPORTED_LOCATION ${TORCH_DIR}/lib/libc10.so
  INTERFACE_INCLUDE_DIRECTORIES ${TORCH_DIR}/include
  # at::RecordFunction has one member more without NDEBUG; the wheel was built with it.
  INTERFACE_COMPILE_DEFINITIONS "NDEBUG;USE_DISTRIBUTED;USE_C10D_GLOO"
  # The exported functions of a CUDA wheel's libtorch_cpu need CUDA's runtime at start, not at link.
  INTERFACE_LINK_OPTIONS "-Wl,--allow-shlib-undefined")
add_library(torch::cpu SHARED IMPORTED GLOBAL)
set_target_properties(torch::cpu PROPERTIES
  IMPORTED_LOCATION ${TORCH_DIR}/lib/libtorch_cpu.so
  INTERFACE_INCLUDE_DIRECTORIES "${TORCH_DIR}/include;${TORCH_DIR}/include/torch/csrc/api/include"
  INTERFACE_LINK_LIBRARIES torch::c10)
