// The adjoints of the two filters, with the gradients of their kernels' common sigma.
#pragma once

#include "rows.h"
#include "vector.h"

// The derivatives of both kernels by sigma lie beside them.
struct KernelSlopes {
  Kernels kernels, slopes;
};

// Columns: from 2 * radius + 1 rows of dy around a row, the gradients of p and q, and `ep` and `eq`, whose inner products
// with p and q are the gradient of sigma.
template <int RADIUS>
INLINE void columns_adjoint_vector(const float* const* dy, int j, const KernelSlopes& k, int radius, float* dp, float* dq,
                                   float* ep, float* eq) {
  const int reach = RADIUS > 0 ? RADIUS : radius;
  const Vec middle = load(dy[reach] + j);
  Vec p = broadcast(k.kernels.even[0]) * middle, q = {}, sp = broadcast(k.slopes.even[0]) * middle, sq = {};
#pragma GCC unroll 16
  for (int tap = 1; tap <= reach; tap++) {
    const Vec below = load(dy[reach + tap] + j), above = load(dy[reach - tap] + j);
    const Vec sum = above + below, difference = above - below;
    p += broadcast(k.kernels.even[tap]) * sum;
    q += broadcast(k.kernels.odd[tap]) * difference;
    sp += broadcast(k.slopes.even[tap]) * sum;
    sq += broadcast(k.slopes.odd[tap]) * difference;
  }
  store(dp + j, p);
  store(dq + j, q);
  store(ep + j, sp);
  store(eq + j, sq);
}

template <int RADIUS>
void columns_adjoint_row(const float* const* dy, const KernelSlopes& k, float* dp, float* dq, float* ep, float* eq,
                         int pixels) {
  for (int j = 0; j < pixels; j += LANES)
    columns_adjoint_vector<RADIUS>(dy, j, k, k.kernels.radius, dp, dq, ep, eq);
}

inline void columns_adjoint(const float* const* dy, const KernelSlopes& k, float* dp, float* dq, float* ep, float* eq,
                            int pixels) {
  switch (k.kernels.radius) {
#define CASE(RADIUS) \
  case RADIUS:       \
    return columns_adjoint_row<RADIUS>(dy, k, dp, dq, ep, eq, pixels);
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#undef CASE
  }
  columns_adjoint_row<0>(dy, k, dp, dq, ep, eq, pixels);
}

template <int RADIUS, int TAP, int REACH>
INLINE void add_adjoint_taps(const Vec* u, const Vec* v, const KernelSlopes& k, Vec& dx, Vec& slope) {
  if constexpr (TAP <= RADIUS) {
    constexpr int after = REACH * LANES + TAP, before = REACH * LANES - TAP;
    constexpr int a = after / LANES, b = before / LANES, next_a = after % LANES != 0, next_b = before % LANES != 0;
    const Vec sum = shifted<after % LANES>(u[a], u[a + next_a]) + shifted<before % LANES>(u[b], u[b + next_b]);
    const Vec difference = shifted<before % LANES>(v[b], v[b + next_b]) - shifted<after % LANES>(v[a], v[a + next_a]);
    dx += broadcast(k.kernels.even[TAP]) * sum + broadcast(k.kernels.odd[TAP]) * difference;
    slope += broadcast(k.slopes.even[TAP]) * sum + broadcast(k.slopes.odd[TAP]) * difference;
    add_adjoint_taps<RADIUS, TAP + 1, REACH>(u, v, k, dx, slope);
  }
}

template <int RADIUS>
Vec rows_adjoint_unrolled(const float* du, const float* dv, const float* x, const KernelSlopes& k, float* dx, int pixels) {
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
    Vec sum = broadcast(k.kernels.even[0]) * u[REACH], slope = broadcast(k.slopes.even[0]) * u[REACH];
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

inline Vec rows_adjoint_any(const float* du, const float* dv, const float* x, const KernelSlopes& k, float* dx, int pixels) {
  Vec total = {};
  for (int j = 0; j < pixels; j += LANES) {
    Vec sum = broadcast(k.kernels.even[0]) * load(du + j), slope = broadcast(k.slopes.even[0]) * load(du + j);
    for (int tap = 1; tap <= k.kernels.radius; tap++) {
      const Vec even = load(du + j + tap) + load(du + j - tap), odd = load(dv + j - tap) - load(dv + j + tap);
      sum += broadcast(k.kernels.even[tap]) * even + broadcast(k.kernels.odd[tap]) * odd;
      slope += broadcast(k.slopes.even[tap]) * even + broadcast(k.slopes.odd[tap]) * odd;
    }
    store(dx + j, sum);
    total += slope * load(x + j);
  }
  return total;
}

// Rows: from the gradients of u and v that of x, and, as the sum of its lanes, what the rows add to the gradient of sigma.
// du and dv have to be readable, and zero, for rounded_up(radius, LANES) pixels on both sides.
inline Vec rows_adjoint(const float* du, const float* dv, const float* x, const KernelSlopes& k, float* dx, int pixels) {
  switch (k.kernels.radius) {
#define CASE(RADIUS) \
  case RADIUS:       \
    return rows_adjoint_unrolled<RADIUS>(du, dv, x, k, dx, pixels);
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#undef CASE
  }
  return rows_adjoint_any(du, dv, x, k, dx, pixels);
}
