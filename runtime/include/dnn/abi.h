/* The C interface between compiled code and the runtime. Compiled code is position independent, allocates nothing and
 * keeps no state of its own besides the buffer descriptors that `bind` fills in. */
#ifndef DNN_ABI_H
#define DNN_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What changes from call to call. */
typedef struct DnnCall {
  int64_t rows;  /* number of examples in this batch, 1 ≤ rows ≤ the entry's batch; 0 where the entry has no batch */
  uint64_t seed; /* key of the random numbers */
  uint32_t step; /* number of the optimisation step, from 0; the random counter and `step` in the language */
  uint32_t epoch;
  const int64_t* lengths; /* extents of sequences, 1 ≤ length ≤ the largest, as many as the plan's entry has */
} DnnCall;

/* Runs one entry (init, step, eval, predict, generate). 0 = success; another value is the first kernel's error code. */
typedef int32_t (*DnnEntryFn)(const DnnCall* call);

/* Tells the code where its memory lies: `persistent` holds parameters and states, `arena` everything else, both
 * 64-byte aligned, at least as large as the plan says. Must be called once before any entry, and again if they move. */
typedef void (*DnnBindFn)(uint8_t* persistent, uint8_t* arena);

/* What a compiled program exports: in an executable the symbol `dnn_module`. */
typedef struct DnnModule {
  uint32_t abi_version; /* DNN_ABI_VERSION */
  uint32_t entry_count; /* the same number and order as in the plan */
  const uint8_t* plan;  /* the encoded plan, see runtime/plan/plan.h */
  uint64_t plan_size;   /* bytes */
  DnnBindFn bind;
  const DnnEntryFn* entries;
  const struct DnnModule* next; /* the next combination of a sweep, or null */
} DnnModule;

#define DNN_ABI_VERSION 3u

/* What the runtime gives to compiled code, besides libm:
 *   int halide_do_par_for(void* user_context, halide_task_t f, int min, int size, uint8_t* closure);
 *   void* halide_malloc(void* user_context, size_t bytes);   void halide_free(void* user_context, void* p);
 *   int halide_error…: never called by release kernels.
 *   void dnn_distinct(const int32_t* keys, int64_t count, int32_t* places, int32_t* rows, int32_t* found);
 *   uint32_t dnn_count_nonfinite_f32(const float* data, int64_t count);  0 when every element is finite
 *   uint32_t dnn_count_nonfinite_16(const uint16_t* data, int64_t count, uint16_t exponent);  the same of 16-bit floats
 */

#ifdef __cplusplus
}
#endif
#endif
