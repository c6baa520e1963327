// Maps at twice and at half the resolution.
#pragma once

#include <cstdint>
#include <cstring>

#include "common/map.h"
#include "common/vector.h"
#include "kernels/source.h"
#include "kernels/upsampling.h"

namespace inference {

// Floats of scratch that `upsample_map` needs for a map with rows of `pixels`.
inline int64_t upsample_map_scratch(int pixels, int halo) {
  return row_floats(pixels, halo) + upsampling_scratch(pixels, halo);
}

// Write the bilinear upsampling of `coarse` to `fine`.
inline void upsample_map(const Map& coarse, const Map& fine, float* scratch) {
  const Source source = {UPSAMPLED, coarse, nullptr, nullptr};
  float* blended = scratch + row_floats(fine.pixels(), fine.halo);
  for (int y = 0; y < fine.height; y++)
    for (int c = 0; c < fine.channels; c++)
      memcpy(fine.row(y, c), source_row(source, c, y, 0, fine.pixels(), fine.halo, scratch, blended),
             fine.pixels() * sizeof(float));
}

// The 2 x 2 averages of rows `a` and `b`: `pixels` results. The last vector may write up to LANES columns behind them.
inline void average_row(const float* a, const float* b, int pixels, float* to) {
  for (int x = 0; x < pixels; x += LANES)
    store(to + x, broadcast(0.25f) * (pair_sums(load(a + 2 * x), load(a + 2 * x + LANES)) +
                                      pair_sums(load(b + 2 * x), load(b + 2 * x + LANES))));
}

// Write the 2 x 2 averages of rows `from` and `from` + 1 of `fine` to row y of `coarse`.
inline void average_rows(const Map& fine, int from, const Map& coarse, int y) {
  for (int c = 0; c < coarse.channels; c++) {
    float* to = coarse.row(y, c);
    average_row(fine.row(from, c), fine.row(from + 1, c), coarse.pixels(), to);
    for (int x = coarse.width; x < coarse.pixels(); x++) to[x] = 0;
  }
}

}  // namespace inference
