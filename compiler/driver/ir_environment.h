// What `dnn-opt --run` runs a function in, read from comments of the IR text:
//
//   //! symbol N = 2
//   //! input x = 1 2 3 4          all elements in row-major order, or one number for all of them
//   //! persistent net.w = 0.5
//   //! seed = 7                   and likewise step, epoch
#pragma once

#include "compiler/graph/interpreter.h"

#include <string>
#include <string_view>

namespace dnn::driver {

/// Tensors get the types and extents that the function's inputs and the module's persistent tensors have; persistent
/// tensors without a line are zero. Errors name the line.
Result<graph::Environment> parseEnvironment(std::string_view text, std::string_view fileName,
                                            const graph::Function& function);

/// One line for each output, return value and updated persistent tensor: `output "loss" : f32[2] = 0.5 1`.
std::string printResults(const graph::Function& function, const graph::Outputs& outputs,
                         const graph::Environment& environment);

} // namespace dnn::driver
