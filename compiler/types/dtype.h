// Element types of tensors: those of the runtime.
#pragma once

#include "runtime/types/dtype.h" // IWYU pragma: export
