// A SIMD vector of pixels, as wide as the instruction set of this variant allows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#if defined(__AVX512F__)
constexpr int LANES = 16;
constexpr int REGISTERS = 32;
#elif defined(__AVX__)
constexpr int LANES = 8;
constexpr int REGISTERS = 16;
#else
constexpr int LANES = 4;
constexpr int REGISTERS = 16;
#endif

#define INLINE inline __attribute__((always_inline))

typedef float Vec __attribute__((vector_size(LANES * sizeof(float))));
typedef float Unaligned __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

INLINE Vec load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
INLINE void store(float* to, Vec v) { *reinterpret_cast<Unaligned*>(to) = v; }
INLINE Vec broadcast(float s) { return s - Vec{}; }
// A NaN stays a NaN, as in torch.
INLINE Vec relu(Vec v) { return Vec{} > v ? Vec{} : v; }

constexpr int rounded_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

template <int SHIFT, size_t... LANE>
INLINE Vec shifted(Vec left, Vec right, std::index_sequence<LANE...>) {
  return __builtin_shufflevector(left, right, static_cast<int>(SHIFT + LANE)...);
}

// The LANES pixels that begin SHIFT pixels after the start of `left`. The pixels of `right` follow those of `left`.
template <int SHIFT>
INLINE Vec shifted(Vec left, Vec right) {
  if constexpr (SHIFT == 0) return left;
  else if constexpr (SHIFT == LANES) return right;
  else return shifted<SHIFT>(left, right, std::make_index_sequence<LANES>());
}

template <int FIRST, size_t... LANE>
INLINE Vec every_second(Vec left, Vec right, std::index_sequence<LANE...>) {
  return __builtin_shufflevector(left, right, static_cast<int>(FIRST + 2 * LANE)...);
}

// Pixels 0, 2, 4 and so on of the 2 * LANES pixels in `left` and `right`.
INLINE Vec every_second(Vec left, Vec right) {
  return every_second<0>(left, right, std::make_index_sequence<LANES>());
}

// The sums of neighbouring pairs of the 2 * LANES pixels in `left` and `right`.
INLINE Vec pair_sums(Vec left, Vec right) {
  constexpr auto lanes = std::make_index_sequence<LANES>();
  return every_second<0>(left, right, lanes) + every_second<1>(left, right, lanes);
}

template <int FIRST, size_t... LANE>
INLINE Vec interleaved(Vec even, Vec odd, std::index_sequence<LANE...>) {
  return __builtin_shufflevector(even, odd, static_cast<int>(FIRST + LANE / 2 + LANE % 2 * LANES)...);
}

// Store even[0], odd[0], even[1], odd[1] and so on: 2 * LANES pixels.
INLINE void store_interleaved(float* to, Vec even, Vec odd) {
  constexpr auto lanes = std::make_index_sequence<LANES>();
  store(to, interleaved<0>(even, odd, lanes));
  store(to + LANES, interleaved<LANES / 2>(even, odd, lanes));
}

// A copy of `v` in which lane `count` and all lanes after it are zero.
INLINE Vec first_lanes(Vec v, int count) {
  Vec kept = v;
  for (int lane = 0; lane < LANES; lane++)
    if (lane >= count) kept[lane] = 0;
  return kept;
}

INLINE float sum_of_lanes(Vec v) {
  float sum = 0;
  for (int lane = 0; lane < LANES; lane++) sum += v[lane];
  return sum;
}

// Lane n of the result is the sum of the lanes of v[n]. `v` has LANES vectors.
INLINE Vec sums_of_lanes(const Vec* v) {
  Vec part[LANES];
#pragma GCC unroll 16
  for (int n = 0; n < LANES; n++) part[n] = v[n];
#pragma GCC unroll 4
  for (int count = LANES / 2; count > 0; count /= 2)
#pragma GCC unroll 8
    for (int n = 0; n < count; n++) part[n] = pair_sums(part[2 * n], part[2 * n + 1]);
  return part[0];
}
