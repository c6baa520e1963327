// Mix the channels of the filtered rows at every pixel: p = A0 u + A1 v, q = A2 u.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/vector.h"
#include "kernels/mix_packing.h"

// p and q of a block of outputs, at VECTORS vectors of pixels.
template <int OUTPUTS, int VECTORS>
struct MixTile {
  static constexpr bool APART = REGISTERS < 32;  // p and q are computed one after the other
  Vec p[OUTPUTS][VECTORS], q[OUTPUTS][VECTORS];

  // u of input i lies at `rows` + 2 * i * stride, and v lies one stride after it.
  INLINE MixTile(const float* rows, int64_t stride, int inputs, const float* weights) {
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
          if (!APART) q[o][n] += a2 * u[n];
          p[o][n] += a1 * v[n];
        }
      }
    }
    if (!APART) return;
    rows -= 2 * stride * inputs;
    weights -= static_cast<int64_t>(3) * OUTPUTS * inputs;
    for (int i = 0; i < inputs; i++, rows += 2 * stride, weights += 3 * OUTPUTS)
#pragma GCC unroll 8
      for (int o = 0; o < OUTPUTS; o++) {
        const Vec a2 = broadcast(weights[2 * OUTPUTS + o]);
#pragma GCC unroll 4
        for (int n = 0; n < VECTORS; n++) q[o][n] += a2 * load(rows + n * LANES);
      }
  }

  // Store p of output o at `to` + 2 * o * pitch, and q one pitch after it.
  INLINE void write(float* to, int64_t pitch) const {
#pragma GCC unroll 8
    for (int o = 0; o < OUTPUTS; o++)
#pragma GCC unroll 4
      for (int n = 0; n < VECTORS; n++) {
        store(to + 2 * o * pitch + n * LANES, p[o][n]);
        store(to + (2 * o + 1) * pitch + n * LANES, q[o][n]);
      }
  }

  // The inner product with maps in the layout of `write`.
  INLINE Vec dot(const float* with, int64_t pitch) const {
    Vec sum = {};
#pragma GCC unroll 8
    for (int o = 0; o < OUTPUTS; o++)
#pragma GCC unroll 4
      for (int n = 0; n < VECTORS; n++) {
        sum += p[o][n] * load(with + 2 * o * pitch + n * LANES);
        sum += q[o][n] * load(with + (2 * o + 1) * pitch + n * LANES);
      }
    return sum;
  }
};

// Call `use(tile, first pixel)` for a block of outputs. The tiles are the largest ones that fit the registers.
template <int OUTPUTS, typename Use>
INLINE void for_tiles(const float* rows, int64_t stride, int inputs, const float* weights, int pixels, Use use) {
  constexpr int SUMS = REGISTERS == 32 ? 2 * OUTPUTS : OUTPUTS;  // registers for the sums of one vector of pixels
  constexpr int FITTING = (REGISTERS - 2) / (SUMS + 2);          // vectors that fit beside their inputs and a weight
  constexpr int VECTORS = FITTING < 1 ? 1 : FITTING > 4 ? 4 : FITTING;
  int j = 0;
  for (; j + VECTORS * LANES <= pixels; j += VECTORS * LANES)
    use(MixTile<OUTPUTS, VECTORS>(rows + j, stride, inputs, weights), j);
  if constexpr (VECTORS > 2)
    for (; j + 2 * LANES <= pixels; j += 2 * LANES) use(MixTile<OUTPUTS, 2>(rows + j, stride, inputs, weights), j);
  for (; j < pixels; j += LANES) use(MixTile<OUTPUTS, 1>(rows + j, stride, inputs, weights), j);
}

// Call `use(tile, first output, first pixel)` for `outputs` outputs.
//
// `weights` is in the order of `pack_mix`. It starts at the first of these outputs, which is the first one of a block.
// `pixels` is a multiple of LANES.
template <typename Use>
INLINE void for_outputs(const float* rows, int64_t stride, int inputs, const float* weights, int block, int outputs,
                        int pixels, Use use) {
  for (int first = 0; first < outputs; first += block) {
    const int size = std::min(block, outputs - first);
    auto of_block = [&](const auto& tile, int j) { use(tile, first, j); };
    switch (size) {
#define CASE(SIZE)                                                    \
  case SIZE:                                                          \
    for_tiles<SIZE>(rows, stride, inputs, weights, pixels, of_block); \
    break;
      CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#undef CASE
    }
    weights += static_cast<int64_t>(3) * inputs * size;
  }
}

// Compute a row of all outputs. p of output o goes to `mixed` + 2 * o * pitch, and q goes one pitch after it.
inline void mix_row(const float* rows, int64_t stride, int inputs, const float* weights, int block, int outputs,
                    float* mixed, int64_t pitch, int pixels) {
  for_outputs(rows, stride, inputs, weights, block, outputs, pixels,
              [&](const auto& tile, int first, int j) { tile.write(mixed + 2 * first * pitch + j, pitch); });
}

// The inner product of p and q with maps in the layout of `mix_row`.
inline float mix_dot(const float* rows, int64_t stride, int inputs, const float* weights, int outputs,
                     const float* with, int64_t pitch, int pixels) {
  Vec sum = {};
  for_outputs(rows, stride, inputs, weights, mix_block(outputs), outputs, pixels,
              [&](const auto& tile, int first, int j) { sum += tile.dot(with + 2 * first * pitch + j, pitch); });
  return sum_of_lanes(sum);
}
