// The sum over the pixels of the outer products of two sets of rows: the gradient of a matrix of weights.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/vector.h"

constexpr int TILE_ROWS = 4;
constexpr int TILE_COLUMNS = REGISTERS == 32 ? 4 : 2;  // the sums of a tile have to fit the registers
constexpr int TILE = TILE_ROWS * TILE_COLUMNS;

// Floats of a matrix in tiles. Its order is [rows / TILE_ROWS][columns / TILE_COLUMNS][row][column].
inline int64_t tiled_floats(int rows, int columns) {
  const int64_t down = (rows + TILE_ROWS - 1) / TILE_ROWS, across = (columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
  return down * across * TILE;
}

// One element of a matrix in tiles.
inline float tiled_element(const float* matrix, int columns, int row, int column) {
  const int64_t across = (columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
  const int64_t tile = row / TILE_ROWS * across + column / TILE_COLUMNS;
  return matrix[tile * TILE + row % TILE_ROWS * TILE_COLUMNS + column % TILE_COLUMNS];
}

template <int ROWS_HERE, int COLUMNS_HERE>
INLINE void add_tile(const float* a, int64_t to_next_a, const float* b, int64_t to_next_b, int pixels, float* tile) {
  static_assert(TILE % LANES == 0);
  Vec sums[TILE] = {};
  for (int j = 0; j < pixels; j += LANES) {
    Vec right[COLUMNS_HERE];
#pragma GCC unroll 4
    for (int c = 0; c < COLUMNS_HERE; c++) right[c] = load(b + c * to_next_b + j);
#pragma GCC unroll 4
    for (int r = 0; r < ROWS_HERE; r++) {
      const Vec left = load(a + r * to_next_a + j);
#pragma GCC unroll 4
      for (int c = 0; c < COLUMNS_HERE; c++) sums[r * TILE_COLUMNS + c] += left * right[c];
    }
  }
#pragma GCC unroll 4
  for (int n = 0; n < TILE; n += LANES) store(tile + n, load(tile + n) + sums_of_lanes(sums + n));
}

// Add to matrix[r][c] the sum of a[r][j] * b[c][j] over the pixels j. `matrix` is in tiles. `pixels` is a multiple of
// LANES.
inline void add_outer(const float* a, int64_t to_next_a, int rows, const float* b, int64_t to_next_b, int columns,
                      int pixels, float* matrix) {
  for (int r = 0; r < rows; r += TILE_ROWS)
    for (int c = 0; c < columns; c += TILE_COLUMNS, matrix += TILE) {
      const float *left = a + r * to_next_a, *right = b + c * to_next_b;
      const int rows_here = std::min(TILE_ROWS, rows - r), columns_here = std::min(TILE_COLUMNS, columns - c);
      switch (rows_here * 8 + columns_here) {
#define CASE(R, C)                                                     \
  case R * 8 + C:                                                      \
    add_tile<R, C>(left, to_next_a, right, to_next_b, pixels, matrix); \
    break;
#define CASES(R) CASE(R, 1) CASE(R, 2)
        CASES(1) CASES(2) CASES(3) CASES(4)
#undef CASES
#define CASES(R) CASE(R, 3) CASE(R, 4)
#if defined(__AVX512F__)
        CASES(1) CASES(2) CASES(3) CASES(4)
#endif
#undef CASES
#undef CASE
      }
    }
}
