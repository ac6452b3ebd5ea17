#pragma once

#include "compiler/sema/program.h"

#include <vector>

namespace dnn::sema {

/// Is every row of the function's results made from the same row of its inputs, along symbol 0, the batch? Then a set
/// may be cut into batches anywhere. `helpers` are those that calls with a derivative of their own name.
bool isRowwise(const Function& function, const std::vector<Function>& helpers);

} // namespace dnn::sema
