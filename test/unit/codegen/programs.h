// Programs as IR text that several tests compile.
#pragma once

namespace dnn::codegen {

/// Mean squared error, gradient descent; x[N, 5], t[N], batches up to 16.
extern const char* const linearRegression;
/// Two layers, softmax cross-entropy, momentum, a decaying rate, a counter; the gradients written out.
extern const char* const mlp;

} // namespace dnn::codegen
