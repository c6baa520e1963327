// Filter the mixed rows along the columns: y = even * p + odd * q + bias.
#pragma once

#include <cstdint>

#include "common/vector.h"
#include "kernels/kernel_pair.h"

constexpr int ROWS = 4;  // output rows that are computed together, since they read many common rows

// rows[0] is `radius` rows above the first output row, and rows[2 * radius + ROWS - 1] is the last row that is read. In
// each of them p lies `to_p` floats after the start, and q lies `to_q` floats after p. Negative results become 0 where
// `clip` is set. `pixels` is a multiple of LANES.
template <int RADIUS>
void filter_columns_unrolled(const float* const* rows, int64_t to_p, int64_t to_q, const KernelPair& k, float bias,
                             bool clip, float* const* y, int pixels) {
  constexpr int COUNT = 2 * RADIUS + ROWS;
  for (int j = 0; j < pixels; j += LANES) {
    Vec row[COUNT], sum[ROWS];
#pragma GCC unroll 32
    for (int n = 0; n < COUNT; n++) row[n] = load(rows[n] + to_p + j);
#pragma GCC unroll 4
    for (int m = 0; m < ROWS; m++) {
      sum[m] = broadcast(bias) + broadcast(k.even[0]) * row[m + RADIUS];
#pragma GCC unroll 16
      for (int tap = 1; tap <= RADIUS; tap++)
        sum[m] += broadcast(k.even[tap]) * (row[m + RADIUS + tap] + row[m + RADIUS - tap]);
    }
#pragma GCC unroll 32
    for (int n = 0; n < COUNT; n++) row[n] = load(rows[n] + to_p + to_q + j);
#pragma GCC unroll 4
    for (int m = 0; m < ROWS; m++) {
#pragma GCC unroll 16
      for (int tap = 1; tap <= RADIUS; tap++)
        sum[m] += broadcast(k.odd[tap]) * (row[m + RADIUS + tap] - row[m + RADIUS - tap]);
      store(y[m] + j, clip ? relu(sum[m]) : sum[m]);
    }
  }
}

inline void filter_columns_any(const float* const* rows, int64_t to_p, int64_t to_q, const KernelPair& k, float bias,
                               bool clip, float* const* y, int pixels) {
  for (int m = 0; m < ROWS; m++)
    for (int j = 0; j < pixels; j += LANES) {
      const float* const* middle = rows + m + k.radius;
      const int64_t at = to_p + j, at_q = at + to_q;
      Vec sum = broadcast(bias) + broadcast(k.even[0]) * load(middle[0] + at);
      for (int tap = 1; tap <= k.radius; tap++) {
        sum += broadcast(k.even[tap]) * (load(middle[tap] + at) + load(middle[-tap] + at));
        sum += broadcast(k.odd[tap]) * (load(middle[tap] + at_q) - load(middle[-tap] + at_q));
      }
      store(y[m] + j, clip ? relu(sum) : sum);
    }
}

inline void filter_columns(const float* const* rows, int64_t to_p, int64_t to_q, const KernelPair& k, float bias,
                           bool clip, float* const* y, int pixels) {
  switch (k.radius) {
#define CASE(RADIUS) \
  case RADIUS:       \
    return filter_columns_unrolled<RADIUS>(rows, to_p, to_q, k, bias, clip, y, pixels);
    FOR_UNROLLED_RADII(CASE)
#undef CASE
  }
  filter_columns_any(rows, to_p, to_q, k, bias, clip, y, pixels);
}
