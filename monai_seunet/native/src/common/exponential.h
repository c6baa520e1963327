// The exponential function of a vector.
#pragma once

#include <cstdint>

#include "common/vector.h"

// exp(x) for x up to 88, with an error of at most two units in the last place. The result is 0 for x below -87.
// A NaN stays a NaN.
INLINE Vec exponential(Vec x) {
  const Vec low = broadcast(-87.0f), nothing{};
  const Vec inside = x < low ? low : x;
  // x = n * log(2) + r. The sum with the magic number rounds n to an integer and leaves n in the lowest bits.
  const Vec magic = broadcast(12582912.0f);
  const Vec shifted_n = inside * broadcast(1.44269504f) + magic;
  const Vec n = shifted_n - magic;
  const Vec r = inside - n * broadcast(0.693145752f) - n * broadcast(1.42860677e-6f);
  Vec sum = broadcast(1.98756915e-4f);
  for (float coefficient : {1.39819995e-3f, 8.33345205e-3f, 4.16657962e-2f, 1.66666657e-1f, 5.00000012e-1f})
    sum = sum * r + broadcast(coefficient);
  sum = sum * r * r + r + broadcast(1.0f);
  // The exponent bits of 2^n are n + 127.
  typedef uint32_t Whole __attribute__((vector_size(LANES * sizeof(float))));
  const Whole power = (reinterpret_cast<Whole>(shifted_n) << 23) + (127u << 23);
  const Vec result = sum * reinterpret_cast<Vec>(power);
  return x < low ? nothing : result;
}
