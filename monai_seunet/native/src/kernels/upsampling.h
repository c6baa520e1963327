// Bilinear upsampling by two, row by row, and its adjoint.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/map.h"
#include "common/vector.h"

// Floats of scratch that `upsampled_row` needs for a row of `pixels` with `halo` on both sides.
inline int64_t upsampling_scratch(int pixels, int halo) { return (pixels + 2 * halo) / 2 + 2 * LANES + 2; }

// Columns `begin` to `end` of row y. The corners are not aligned, as in torch. The last vector may write up to LANES
// columns behind `end`.
inline void upsampled_row(const Map& coarse, int channel, int y, int begin, int end, float* row, float* scratch) {
  const int near = y / 2, far = y % 2 ? std::min(near + 1, coarse.height - 1) : std::max(near - 1, 0);
  const float* a = coarse.row(near, channel);
  const float* b = coarse.row(far, channel);
  begin /= 2;
  end /= 2;
  float* blended = scratch + 1 - begin;  // indexed by coarse column; its first column is begin - 1
  // The columns outside of the image are read from the halo here, and replaced below.
  for (int x = begin - 1; x < end + 1; x += LANES)
    store(blended + x, broadcast(0.75f) * load(a + x) + broadcast(0.25f) * load(b + x));
  if (begin == 0) blended[-1] = blended[0];
  if (end == coarse.width) blended[end] = blended[end - 1];
  for (int x = begin; x < end; x += LANES) {
    const Vec middle = broadcast(0.75f) * load(blended + x);
    const Vec even = middle + broadcast(0.25f) * load(blended + x - 1);
    const Vec odd = middle + broadcast(0.25f) * load(blended + x + 1);
    store_interleaved(row + 2 * x, even, odd);
  }
}

// Floats of scratch that `upsampled_row_adjoint` needs.
inline int64_t upsampling_adjoint_scratch(int fine_pixels) { return fine_pixels + 6 * LANES; }

// Row y of the gradient of the coarse map, from the gradient of the fine map.
inline void upsampled_row_adjoint(const Map& fine, int channel, int y, float* to, float* scratch) {
  const int width = fine.width, last = fine.height / 2 - 1;
  const float* a = fine.row(2 * y, channel);
  const float* b = fine.row(2 * y + 1, channel);
  const float* above = y > 0 ? fine.row(2 * y - 1, channel) : a;
  const float* below = y < last ? fine.row(2 * y + 2, channel) : b;
  float* sums = scratch + LANES;
  for (int x = 0; x < width; x += LANES)
    store(sums + x,
          broadcast(0.75f) * (load(a + x) + load(b + x)) + broadcast(0.25f) * (load(above + x) + load(below + x)));
  sums[-1] = sums[0];
  sums[width] = sums[width - 1];
  for (int x = 0; x < width / 2; x += LANES) {
    const float* s = sums + 2 * x;
    const Vec inner = pair_sums(load(s), load(s + LANES));
    const Vec outer = every_second(load(s - 1), load(s - 1 + LANES)) + every_second(load(s + 2), load(s + 2 + LANES));
    const Vec sum = broadcast(0.75f) * inner + broadcast(0.25f) * outer;
    store(to + x, x + LANES > width / 2 ? first_lanes(sum, width / 2 - x) : sum);
  }
}
