// The mix of the filtered rows over the channels: p = A0 u + A1 v, q = A2 u, at every pixel.
#pragma once

#include <algorithm>

#include "vector.h"

// Outputs that are computed together: they share the loads of u and v. The block divides the outputs where it can.
inline int mix_block(int outputs) {
  constexpr int sizes[] = {6, 4, 5, 3, 2, 1};
  for (int size : sizes)
    if (outputs % size == 0 && (size > 2 || outputs <= 2)) return size;
  return 6;
}

// alpha (3, outputs, inputs) to blocks of outputs, each [input][3][output of the block]: the order of the reading.
inline void pack_mix(const float* alpha, int outputs, int inputs, float* packed) {
  const int block = mix_block(outputs);
  for (int first = 0; first < outputs; first += block) {
    const int size = std::min(block, outputs - first);
    for (int i = 0; i < inputs; i++)
      for (int filter = 0; filter < 3; filter++)
        for (int o = 0; o < size; o++)
          *packed++ = alpha[(static_cast<int64_t>(filter) * outputs + first + o) * inputs + i];
  }
}

// u and v of input i lie at `rows` + 2 * i * stride and one stride later; p and q of output o likewise at `mixed`.
template <int OUTPUTS, int VECTORS>
INLINE void mix_tile(const float* rows, int64_t stride, int inputs, const float* weights, float* mixed, int64_t pitch) {
  Vec p[OUTPUTS][VECTORS], q[OUTPUTS][VECTORS];
#pragma GCC unroll 8
  for (int o = 0; o < OUTPUTS; o++)
#pragma GCC unroll 4
    for (int n = 0; n < VECTORS; n++) p[o][n] = q[o][n] = Vec{};
  for (int i = 0; i < inputs; i++, rows += 2 * stride, weights += 3 * OUTPUTS) {
    Vec u[VECTORS], v[VECTORS];
#pragma GCC unroll 4
    for (int n = 0; n < VECTORS; n++) {
      u[n] = load(rows + n * LANES);
      v[n] = load(rows + stride + n * LANES);
    }
#pragma GCC unroll 8
    for (int o = 0; o < OUTPUTS; o++) {
      const Vec a0 = broadcast(weights[o]), a1 = broadcast(weights[OUTPUTS + o]);
      const Vec a2 = broadcast(weights[2 * OUTPUTS + o]);
#pragma GCC unroll 4
      for (int n = 0; n < VECTORS; n++) {
        p[o][n] += a0 * u[n];
        q[o][n] += a2 * u[n];
        p[o][n] += a1 * v[n];
      }
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < OUTPUTS; o++)
#pragma GCC unroll 4
    for (int n = 0; n < VECTORS; n++) {
      store(mixed + 2 * o * pitch + n * LANES, p[o][n]);
      store(mixed + (2 * o + 1) * pitch + n * LANES, q[o][n]);
    }
}

template <int OUTPUTS>
void mix_block_row(
    const float* rows, int64_t stride, int inputs, const float* weights, float* mixed, int64_t pitch, int pixels) {
  // accumulators, inputs and a weight have to fit the registers
  constexpr int FITTING = (REGISTERS - 2) / (2 * OUTPUTS + 2);
  constexpr int VECTORS = FITTING < 1 ? 1 : FITTING > 4 ? 4 : FITTING;
  int j = 0;
  for (; j + VECTORS * LANES <= pixels; j += VECTORS * LANES)
    mix_tile<OUTPUTS, VECTORS>(rows + j, stride, inputs, weights, mixed + j, pitch);
  if constexpr (VECTORS > 2)
    for (; j + 2 * LANES <= pixels; j += 2 * LANES)
      mix_tile<OUTPUTS, 2>(rows + j, stride, inputs, weights, mixed + j, pitch);
  for (; j < pixels; j += LANES) mix_tile<OUTPUTS, 1>(rows + j, stride, inputs, weights, mixed + j, pitch);
}

// A row of pixels, a multiple of LANES, of all outputs. `weights` as `pack_mix` leaves them.
inline void mix_row(const float* rows, int64_t stride, int inputs, const float* weights, int outputs, float* mixed,
                    int64_t pitch, int pixels) {
  const int block = mix_block(outputs);
  for (int first = 0; first < outputs; first += block) {
    const int size = std::min(block, outputs - first);
    float* to = mixed + 2 * first * pitch;
    switch (size) {
#define CASE(SIZE)                                                                     \
  case SIZE:                                                                           \
    mix_block_row<SIZE>(rows, stride, inputs, weights, to, pitch, pixels); \
    break;
      CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#undef CASE
    }
    weights += static_cast<int64_t>(3) * inputs * size;
  }
}
