// Where a filter reads its rows: a map, or the bilinear doubling of a coarser one that is made on the way.
#pragma once

#include <algorithm>

#include "map.h"
#include "vector.h"

// Floats of scratch that `doubled_row` needs for `pixels` and a halo.
inline int64_t doubling_scratch(int pixels, int halo) { return (pixels + 2 * halo) / 2 + 2 * LANES + 2; }

// Row y of the doubled map (without aligned corners, as torch doubles), its columns from x0 - halo to x0 + pixels + halo,
// zero outside of the image. x0, pixels and halo are multiples of LANES. `to` has room for 2 * LANES more; returns column x0.
inline const float* doubled_row(const Map& coarse, int channel, int y, int x0, int pixels, float* to, float* scratch) {
  const int halo = coarse.halo, width = 2 * coarse.width;
  const int near = y / 2, far = y % 2 ? std::min(near + 1, coarse.height - 1) : std::max(near - 1, 0);
  const float* a = coarse.row(near, channel);
  const float* b = coarse.row(far, channel);
  const int begin = std::max(x0 - halo, 0) / 2, end = std::min(x0 + pixels + halo, width) / 2;
  float* blended = scratch + 1 - begin;  // by column, from begin - 1 on
  for (int x = begin - 1; x < end + 1; x += LANES) {
    // the columns beyond the border are replaced below; the halo of the map is there to be read
    store(blended + x, broadcast(0.75f) * load(a + x) + broadcast(0.25f) * load(b + x));
  }
  if (begin == 0) blended[-1] = blended[0];
  if (end == coarse.width) blended[end] = blended[end - 1];
  float* row = to + halo - x0;  // by column
  for (int x = begin; x < end; x += LANES) {
    const Vec middle = broadcast(0.75f) * load(blended + x);
    const Vec even = middle + broadcast(0.25f) * load(blended + x - 1);
    const Vec odd = middle + broadcast(0.25f) * load(blended + x + 1);
    store_interleaved(row + 2 * x, even, odd);
  }
  for (int x = x0 - halo; x < 0; x++) row[x] = 0;
  for (int x = width; x < x0 + pixels + halo; x++) row[x] = 0;
  return row + x0;
}
