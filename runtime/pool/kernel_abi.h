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

/// The distinct ones of `count` keys, at least one, in the order in which they first appear: places[i] is the number of
/// keys[i] among them, rows[0 … *found - 1] are they, and the rest of `rows` is 0.
void dnn_distinct(const int32_t* keys, int64_t count, int32_t* places, int32_t* rows, int32_t* found);

/// How many of the elements are NaN or infinite; 0 when every one is finite. Saturates at 2^32 - 1.
uint32_t dnn_count_nonfinite_f32(const float* data, int64_t count);
/// The same of floats of 16 bits, whose exponent has these bits.
uint32_t dnn_count_nonfinite_16(const uint16_t* data, int64_t count, uint16_t exponent);
}
