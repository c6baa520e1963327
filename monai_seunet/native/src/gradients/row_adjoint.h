// The adjoint of the row filter, and the gradient of sigma that comes from the rows.
#pragma once

#include "common/vector.h"
#include "kernels/kernel_pair.h"

template <int RADIUS, int TAP, int REACH>
INLINE void add_adjoint_taps(const Vec* u, const Vec* v, const DifferentiableKernels& k, Vec& dx, Vec& slope) {
  if constexpr (TAP <= RADIUS) {
    constexpr int after = REACH * LANES + TAP, before = REACH * LANES - TAP;
    constexpr int a = after / LANES, b = before / LANES, next_a = after % LANES != 0, next_b = before % LANES != 0;
    const Vec sum = shifted<after % LANES>(u[a], u[a + next_a]) + shifted<before % LANES>(u[b], u[b + next_b]);
    const Vec difference = shifted<before % LANES>(v[b], v[b + next_b]) - shifted<after % LANES>(v[a], v[a + next_a]);
    dx += broadcast(k.kernels.even[TAP]) * sum + broadcast(k.kernels.odd[TAP]) * difference;
    slope += broadcast(k.derivatives.even[TAP]) * sum + broadcast(k.derivatives.odd[TAP]) * difference;
    add_adjoint_taps<RADIUS, TAP + 1, REACH>(u, v, k, dx, slope);
  }
}

template <int RADIUS>
Vec rows_adjoint_unrolled(const float* du, const float* dv, const float* x, const DifferentiableKernels& k, float* dx,
                          int pixels) {
  constexpr int REACH = (RADIUS + LANES - 1) / LANES;
  Vec u[2 * REACH + 1], v[2 * REACH + 1], total = {};
#pragma GCC unroll 16
  for (int n = 0; n < 2 * REACH; n++) {
    u[n] = load(du + (n - REACH) * LANES);
    v[n] = load(dv + (n - REACH) * LANES);
  }
  for (int j = 0; j < pixels; j += LANES) {
    u[2 * REACH] = load(du + j + REACH * LANES);
    v[2 * REACH] = load(dv + j + REACH * LANES);
    Vec sum = broadcast(k.kernels.even[0]) * u[REACH], slope = broadcast(k.derivatives.even[0]) * u[REACH];
    add_adjoint_taps<RADIUS, 1, REACH>(u, v, k, sum, slope);
    store(dx + j, sum);
    total += slope * load(x + j);
#pragma GCC unroll 16
    for (int n = 0; n < 2 * REACH; n++) {
      u[n] = u[n + 1];
      v[n] = v[n + 1];
    }
  }
  return total;
}

inline Vec rows_adjoint_any(const float* du, const float* dv, const float* x, const DifferentiableKernels& k, float* dx,
                            int pixels) {
  Vec total = {};
  for (int j = 0; j < pixels; j += LANES) {
    Vec sum = broadcast(k.kernels.even[0]) * load(du + j), slope = broadcast(k.derivatives.even[0]) * load(du + j);
    for (int tap = 1; tap <= k.kernels.radius; tap++) {
      const Vec even = load(du + j + tap) + load(du + j - tap), odd = load(dv + j - tap) - load(dv + j + tap);
      sum += broadcast(k.kernels.even[tap]) * even + broadcast(k.kernels.odd[tap]) * odd;
      slope += broadcast(k.derivatives.even[tap]) * even + broadcast(k.derivatives.odd[tap]) * odd;
    }
    store(dx + j, sum);
    total += slope * load(x + j);
  }
  return total;
}

// Compute dx, the gradient of a row, from du and dv, the gradients of the filtered rows u and v. The sum of the lanes
// of the result is the part of this row in the gradient of sigma.
//
// `du` and `dv` have to be readable for rounded_up(radius, LANES) pixels on both sides, and zero there.
inline Vec rows_adjoint(const float* du, const float* dv, const float* x, const DifferentiableKernels& k, float* dx,
                        int pixels) {
  switch (k.kernels.radius) {
#define CASE(RADIUS) \
  case RADIUS:       \
    return rows_adjoint_unrolled<RADIUS>(du, dv, x, k, dx, pixels);
    FOR_UNROLLED_RADII(CASE)
#undef CASE
  }
  return rows_adjoint_any(du, dv, x, k, dx, pixels);
}
