// The mix of the filtered rows over the channels: p = A0 u + A1 v, q = A2 u, at every pixel.
#pragma once

#include <algorithm>

#include "vector.h"

// Outputs that are computed together: they share the loads of u and v.
inline int mix_block(int outputs) {
  constexpr int many[] = {6, 4, 5, 3}, few[] = {4, 3};
  if (REGISTERS == 32) {
    for (int size : many)
      if (outputs % size == 0) return size;
    return std::min(outputs, 6);
  }
  for (int size : few)
    if (outputs % size == 0) return size;
  return std::min(outputs, 4);
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

// The same for the adjoint, which gives the gradients of u and v from those of p and q: du = A0^T dp + A2^T dq, dv = A1^T dp.
inline void pack_mix_adjoint(const float* alpha, int outputs, int inputs, float* packed) {
  constexpr int order[] = {0, 2, 1};
  const int block = mix_block(inputs);
  for (int first = 0; first < inputs; first += block) {
    const int size = std::min(block, inputs - first);
    for (int o = 0; o < outputs; o++)
      for (int filter : order)
        for (int i = 0; i < size; i++)
          *packed++ = alpha[(static_cast<int64_t>(filter) * outputs + o) * inputs + first + i];
  }
}

// p and q of a block of outputs at VECTORS vectors of pixels.
template <int OUTPUTS, int VECTORS>
struct MixTile {
  static constexpr bool APART = REGISTERS < 32;  // whether p and q are computed one after the other
  Vec p[OUTPUTS][VECTORS], q[OUTPUTS][VECTORS];

  // u and v of input i lie at `rows` + 2 * i * stride and one stride later.
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

  // p and q of output o to `to` + 2 * o * pitch and one pitch later.
  INLINE void write(float* to, int64_t pitch) const {
#pragma GCC unroll 8
    for (int o = 0; o < OUTPUTS; o++)
#pragma GCC unroll 4
      for (int n = 0; n < VECTORS; n++) {
        store(to + 2 * o * pitch + n * LANES, p[o][n]);
        store(to + (2 * o + 1) * pitch + n * LANES, q[o][n]);
      }
  }

  // The inner product with maps that lie so.
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

// Call `use(tile, first pixel)` for a block of outputs, over pixels in the largest tiles that fit the registers.
template <int OUTPUTS, typename Use>
INLINE void for_tiles(const float* rows, int64_t stride, int inputs, const float* weights, int pixels, Use use) {
  constexpr int SUMS = REGISTERS == 32 ? 2 * OUTPUTS : OUTPUTS;  // of a vector
  constexpr int FITTING = (REGISTERS - 2) / (SUMS + 2);          // with the inputs and a weight
  constexpr int VECTORS = FITTING < 1 ? 1 : FITTING > 4 ? 4 : FITTING;
  int j = 0;
  for (; j + VECTORS * LANES <= pixels; j += VECTORS * LANES)
    use(MixTile<OUTPUTS, VECTORS>(rows + j, stride, inputs, weights), j);
  if constexpr (VECTORS > 2)
    for (; j + 2 * LANES <= pixels; j += 2 * LANES) use(MixTile<OUTPUTS, 2>(rows + j, stride, inputs, weights), j);
  for (; j < pixels; j += LANES) use(MixTile<OUTPUTS, 1>(rows + j, stride, inputs, weights), j);
}

// The same for `outputs` of them: `use(tile, first output, first pixel)`. `weights` as `pack_mix` leaves them, from the
// first of these outputs on, which is that of a block; `pixels` is a multiple of LANES.
template <typename Use>
INLINE void for_outputs(const float* rows, int64_t stride, int inputs, const float* weights, int block, int outputs,
                        int pixels, Use use) {
  for (int first = 0; first < outputs; first += block) {
    const int size = std::min(block, outputs - first);
    auto of_block = [&](const auto& tile, int j) { use(tile, first, j); };
    switch (size) {
#define CASE(SIZE)                                                          \
  case SIZE:                                                                \
    for_tiles<SIZE>(rows, stride, inputs, weights, pixels, of_block);       \
    break;
      CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#undef CASE
    }
    weights += static_cast<int64_t>(3) * inputs * size;
  }
}

// A row of all outputs, p and q of output o at `mixed` + 2 * o * pitch and one pitch later.
inline void mix_row(const float* rows, int64_t stride, int inputs, const float* weights, int block, int outputs,
                    float* mixed, int64_t pitch, int pixels) {
  for_outputs(rows, stride, inputs, weights, block, outputs, pixels,
              [&](const auto& tile, int first, int j) { tile.write(mixed + 2 * first * pitch + j, pitch); });
}

// The inner product of p and q with maps that lie as `mix_row` would write them.
inline float mix_dot(const float* rows, int64_t stride, int inputs, const float* weights, int outputs, const float* with,
                     int64_t pitch, int pixels) {
  Vec sum = {};
  for_outputs(rows, stride, inputs, weights, mix_block(outputs), outputs, pixels,
              [&](const auto& tile, int first, int j) { sum += tile.dot(with + 2 * first * pitch + j, pitch); });
  return sum_of_lanes(sum);
}
