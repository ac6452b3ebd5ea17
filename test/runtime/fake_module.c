#include "test/runtime/fake_module.h"

static uint8_t* persistent;
static uint8_t* arena;
float fakeLearningRate = 0.05f;
void (*fakeAfterStep)(const DnnCall* call);

void fakeBind(uint8_t* persistentRegion, uint8_t* arenaRegion) {
  persistent = persistentRegion;
  arena = arenaRegion;
}

static float* at(uint8_t* region, int offset) { return (float*)(region + offset); }

/* A small hash, so that draws depend on seed, step and coordinate. */
static float draw(const DnnCall* call, uint32_t i) {
  uint64_t h = (call->seed + 1) * 0x9E3779B97F4A7C15u ^ ((uint64_t)call->step << 32 | i) * 0xBF58476D1CE4E5B9u;
  h ^= h >> 31;
  h *= 0x94D049BB133111EBu;
  h ^= h >> 29;
  return (float)(h >> 40) / 16777216.0f;
}

static int32_t init(const DnnCall* call) {
  for (int k = 0; k < FAKE_FEATURES; ++k) {
    at(persistent, FAKE_W)[k] = draw(call, (uint32_t)k) - 0.5f;
    at(persistent, FAKE_MOMENTUM)[k] = 0;
  }
  at(persistent, FAKE_B)[0] = 0;
  return 0;
}

static float predictRow(int64_t n) {
  float y = at(persistent, FAKE_B)[0];
  for (int k = 0; k < FAKE_FEATURES; ++k) {
    y += at(arena, FAKE_X)[n * FAKE_FEATURES + k] * at(persistent, FAKE_W)[k];
  }
  return y;
}

static float meanLoss(const DnnCall* call) {
  float loss = 0;
  for (int64_t n = 0; n < call->rows; ++n) {
    float d = predictRow(n) - at(arena, FAKE_Y)[n];
    loss += d * d;
  }
  return loss / (float)call->rows;
}

static int32_t step(const DnnCall* call) {
  float gradient[FAKE_FEATURES] = {0};
  float bias = 0;
  at(arena, FAKE_LOSS)[0] = meanLoss(call);
  for (int64_t n = 0; n < call->rows; ++n) {
    float d = 2 * (predictRow(n) - at(arena, FAKE_Y)[n]) / (float)call->rows;
    for (int k = 0; k < FAKE_FEATURES; ++k) {
      gradient[k] += d * at(arena, FAKE_X)[n * FAKE_FEATURES + k];
    }
    bias += d;
  }
  for (int k = 0; k < FAKE_FEATURES; ++k) {
    float noise = 1e-4f * (draw(call, 100u + (uint32_t)k) - 0.5f);
    at(persistent, FAKE_MOMENTUM)[k] = 0.5f * at(persistent, FAKE_MOMENTUM)[k] + gradient[k] + noise;
    at(persistent, FAKE_W)[k] -= fakeLearningRate * at(persistent, FAKE_MOMENTUM)[k];
  }
  at(persistent, FAKE_B)[0] -= fakeLearningRate * bias;
  if (fakeAfterStep) {
    fakeAfterStep(call);
  }
  return 0;
}

static int32_t eval(const DnnCall* call) {
  at(arena, FAKE_LOSS)[0] = meanLoss(call);
  return 0;
}

static int32_t predict(const DnnCall* call) {
  for (int64_t n = 0; n < call->rows; ++n) {
    at(arena, FAKE_OUT)[n] = predictRow(n);
  }
  return 0;
}

/* y = 1 + 2 x0 - 3 x1 + 0.5 x2 */
static int32_t generate(const DnnCall* call) {
  for (int64_t n = 0; n < call->rows; ++n) {
    float* x = at(arena, FAKE_X) + n * FAKE_FEATURES;
    for (int k = 0; k < FAKE_FEATURES; ++k) {
      x[k] = draw(call, (uint32_t)(n * FAKE_FEATURES + k)) - 0.5f;
    }
    at(arena, FAKE_Y)[n] = 1 + 2 * x[0] - 3 * x[1] + 0.5f * x[2];
  }
  return 0;
}

const DnnEntryFn fakeEntries[FAKE_ENTRIES] = {init, step, eval, predict, generate};
