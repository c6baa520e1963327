// A 1 x 1 convolution of a row.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/vector.h"

constexpr int POINTWISE_BLOCK = 4;  // outputs that are computed together

// Copy weight (outputs, inputs) to blocks of outputs. A block is [input][output of the block].
inline void pack_pointwise(const float* weight, int outputs, int inputs, float* packed) {
  for (int first = 0; first < outputs; first += POINTWISE_BLOCK)
    for (int i = 0; i < inputs; i++)
      for (int o = first; o < std::min(first + POINTWISE_BLOCK, outputs); o++)
        *packed++ = weight[static_cast<int64_t>(o) * inputs + i];
}

// Copy weight for the adjoint, which takes the gradients of the outputs to those of the inputs.
inline void pack_pointwise_adjoint(const float* weight, int outputs, int inputs, float* packed) {
  for (int first = 0; first < inputs; first += POINTWISE_BLOCK)
    for (int o = 0; o < outputs; o++)
      for (int i = first; i < std::min(first + POINTWISE_BLOCK, inputs); i++)
        *packed++ = weight[static_cast<int64_t>(o) * inputs + i];
}

template <int OUTPUTS, int VECTORS>
INLINE void pointwise_tile(const float* x, int64_t pitch, int inputs, const float* weights, const float* bias, float* y,
                           int64_t to_next) {
  Vec sum[OUTPUTS][VECTORS];
#pragma GCC unroll 4
  for (int o = 0; o < OUTPUTS; o++)
#pragma GCC unroll 4
    for (int n = 0; n < VECTORS; n++) sum[o][n] = broadcast(bias[o]);
  for (int i = 0; i < inputs; i++, x += pitch, weights += OUTPUTS) {
    Vec in[VECTORS];
#pragma GCC unroll 4
    for (int n = 0; n < VECTORS; n++) in[n] = load(x + n * LANES);
#pragma GCC unroll 4
    for (int o = 0; o < OUTPUTS; o++)
#pragma GCC unroll 4
      for (int n = 0; n < VECTORS; n++) sum[o][n] += broadcast(weights[o]) * in[n];
  }
#pragma GCC unroll 4
  for (int o = 0; o < OUTPUTS; o++)
#pragma GCC unroll 4
    for (int n = 0; n < VECTORS; n++) store(y + o * to_next + n * LANES, sum[o][n]);
}

template <int OUTPUTS>
void pointwise_block(const float* x, int64_t pitch, int inputs, const float* weights, const float* bias, float* y,
                     int64_t to_next, int pixels) {
  constexpr int VECTORS = REGISTERS == 32 ? 4 : 2;
  int j = 0;
  for (; j + VECTORS * LANES <= pixels; j += VECTORS * LANES)
    pointwise_tile<OUTPUTS, VECTORS>(x + j, pitch, inputs, weights, bias, y + j, to_next);
  for (; j < pixels; j += LANES) pointwise_tile<OUTPUTS, 1>(x + j, pitch, inputs, weights, bias, y + j, to_next);
}

// Compute a row of all outputs. `weights` is in the order of `pack_pointwise`. `pixels` is a multiple of LANES.
inline void pointwise_row(const float* x, int64_t pitch, int inputs, const float* weights, const float* bias,
                          int outputs, float* y, int64_t to_next, int pixels) {
  for (int first = 0; first < outputs; first += POINTWISE_BLOCK) {
    const int size = std::min(POINTWISE_BLOCK, outputs - first);
    switch (size) {
#define CASE(SIZE)                                                                                        \
  case SIZE:                                                                                              \
    pointwise_block<SIZE>(x, pitch, inputs, weights, bias + first, y + first * to_next, to_next, pixels); \
    break;
      CASE(1) CASE(2) CASE(3) CASE(4)
#undef CASE
    }
    weights += static_cast<int64_t>(inputs) * size;
  }
}
