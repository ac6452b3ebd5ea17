// Addresses of these go to the JIT's symbol table; executables resolve them by name.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

/// Runs task(context, i, closure) for min ≤ i < min + size on the global pool; 0 or the error code of a task.
int halide_do_par_for(void* context, int (*task)(void*, int, uint8_t*), int min, int size, uint8_t* closure);
/// 128-byte aligned, null when memory is exhausted.
void* halide_malloc(void* context, size_t bytes);
void halide_free(void* context, void* pointer);

/// How many of the elements are NaN or infinite; 0 when every one is finite. Saturates at 2^32 - 1.
uint32_t dnn_count_nonfinite_f32(const float* data, int64_t count);
}
