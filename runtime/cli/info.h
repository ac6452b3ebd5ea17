#pragma once

#include "runtime/plan/plan.h"

namespace dnn::runtime {

/// `info`: prints parameters, data, entry points and the run of a program to standard output.
void printInfo(const plan::Plan& plan);

} // namespace dnn::runtime
