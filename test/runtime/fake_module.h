/* A compiled program without a compiler: linear regression with momentum whose kernels are written by hand. */
#ifndef DNN_TEST_FAKE_MODULE_H
#define DNN_TEST_FAKE_MODULE_H

#include "runtime/include/dnn/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FAKE_FEATURES = 3, FAKE_BATCH = 8 };

/* Offsets in the persistent region. */
enum { FAKE_W = 0, FAKE_B = 64, FAKE_MOMENTUM = 128, FAKE_PERSISTENT_BYTES = 192 };
/* Offsets in the arena. */
enum { FAKE_X = 0, FAKE_Y = 128, FAKE_LOSS = 192, FAKE_OUT = 256, FAKE_ARENA_BYTES = 320 };
/* Numbers of the entries. */
enum { FAKE_INIT = 0, FAKE_STEP = 1, FAKE_EVAL = 2, FAKE_PREDICT = 3, FAKE_GENERATE = 4, FAKE_ENTRIES = 5 };

void fakeBind(uint8_t* persistent, uint8_t* arena);
extern const DnnEntryFn fakeEntries[FAKE_ENTRIES];

/* The learning rate: a huge one diverges. */
extern float fakeLearningRate;
/* Called at the end of each step unless null. */
extern void (*fakeAfterStep)(const DnnCall* call);

#ifdef __cplusplus
}
#endif
#endif
