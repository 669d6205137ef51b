// What every file of the worker that includes torch must agree on, in one place.
#pragma once

// at::RecordFunction has one member more without NDEBUG, and the wheels are built with it: a build
// without it reads the wrong bytes. CMake sets it with the imported target.
#ifndef NDEBUG
#error "compile the worker with NDEBUG, also in debug builds: the torch wheel was"
#endif

#if __has_include(<torch/headeronly/version.h>)
#include <torch/headeronly/version.h>
#else
#include <torch/version.h>
#endif

#if TORCH_VERSION_MAJOR != 2 || TORCH_VERSION_MINOR < 9
#error "the worker needs torch 2.9 or newer"
#endif
