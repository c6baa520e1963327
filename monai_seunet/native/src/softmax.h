// From logits to probabilities.
#pragma once

#include <cstdint>

#include "vector.h"

// exp(x) to two units in the last place, for x up to 88; 0 below -87. NaN stays NaN.
INLINE Vec exponential(Vec x) {
  const Vec low = broadcast(-87.0f), nothing{};
  const Vec inside = x < low ? low : x;
  // x = n * log(2) + r; adding the magic number rounds n to a whole number, which then lies in the lowest bits
  const Vec magic = broadcast(12582912.0f);
  const Vec shifted_n = inside * broadcast(1.44269504f) + magic;
  const Vec n = shifted_n - magic;
  const Vec r = inside - n * broadcast(0.693145752f) - n * broadcast(1.42860677e-6f);
  Vec sum = broadcast(1.98756915e-4f);
  for (float coefficient : {1.39819995e-3f, 8.33345205e-3f, 4.16657962e-2f, 1.66666657e-1f, 5.00000012e-1f})
    sum = sum * r + broadcast(coefficient);
  sum = sum * r * r + r + broadcast(1.0f);
  // 2^n by its exponent
  typedef uint32_t Whole __attribute__((vector_size(LANES * sizeof(float))));
  const Whole power = (reinterpret_cast<Whole>(shifted_n) << 23) + (127u << 23);
  const Vec result = sum * reinterpret_cast<Vec>(power);
  return x < low ? nothing : result;
}

// The softmax of the first `classes` of all rows; the probabilities of classes 1 and on replace the first rows, and the
// rows that are no classes follow as they are. `pixels` is a multiple of LANES.
inline void foreground_rows(float* rows, int64_t pitch, int classes, int all, int pixels) {
  for (int x = 0; x < pixels; x += LANES) {
    float* at = rows + x;
    Vec largest = load(at);
    for (int c = 1; c < classes; c++) {
      const Vec other = load(at + c * pitch);
      largest = other > largest ? other : largest;
    }
    Vec sum = exponential(load(at) - largest);
    for (int c = 1; c < classes; c++) {
      const Vec part = exponential(load(at + c * pitch) - largest);
      store(at + (c - 1) * pitch, part);
      sum += part;
    }
    for (int c = 1; c < classes; c++) store(at + (c - 1) * pitch, load(at + (c - 1) * pitch) / sum);
    for (int c = classes; c < all; c++) store(at + (c - 1) * pitch, load(at + c * pitch));
  }
}
