// What a layer reads: a map as it lies, or what is made of one on the way, row by row.
#pragma once

#include <algorithm>

#include "map.h"
#include "vector.h"

enum Reading {
  PLAIN,    // the map
  NORMED,   // relu(scale * map + offset): a norm whose statistics were not known when the map was written
  POOLED,   // the 2 x 2 average of that
  DOUBLED,  // the bilinear doubling of the map
};

struct Source {
  Reading reading;
  Map map;
  const float* scale;  // by channel; null where nothing is normed
  const float* offset;

  int height() const { return reading == POOLED ? map.height / 2 : reading == DOUBLED ? map.height * 2 : map.height; }
  int width() const { return reading == POOLED ? map.width / 2 : reading == DOUBLED ? map.width * 2 : map.width; }
};

// Floats of room that `source_row` needs for a row, and of scratch beside it.
inline int64_t fetched_floats(int pixels, int halo) { return pixels + 2 * halo + 2 * LANES; }
inline int64_t doubling_scratch(int pixels, int halo) { return (pixels + 2 * halo) / 2 + 2 * LANES + 2; }

inline void normed_row(const Source& source, int channel, int y, int begin, int end, float* row) {
  const Vec scale = broadcast(source.scale[channel]), offset = broadcast(source.offset[channel]);
  const float* from = source.map.row(y, channel);
  for (int x = begin; x < end; x += LANES) store(row + x, relu(scale * load(from + x) + offset));
}

inline void pooled_row(const Source& source, int channel, int y, int begin, int end, float* row) {
  const Vec scale = broadcast(source.scale[channel]), offset = broadcast(source.offset[channel]);
  const float* a = source.map.row(2 * y, channel);
  const float* b = source.map.row(2 * y + 1, channel);
  auto sum = [&](int x) { return relu(scale * load(a + x) + offset) + relu(scale * load(b + x) + offset); };
  for (int x = begin; x < end; x += LANES)
    store(row + x, broadcast(0.25f) * pair_sums(sum(2 * x), sum(2 * x + LANES)));
}

// Without aligned corners, as torch doubles. Writes up to LANES columns too many on the right.
inline void doubled_row(const Map& coarse, int channel, int y, int begin, int end, float* row, float* scratch) {
  const int near = y / 2, far = y % 2 ? std::min(near + 1, coarse.height - 1) : std::max(near - 1, 0);
  const float* a = coarse.row(near, channel);
  const float* b = coarse.row(far, channel);
  begin /= 2;
  end /= 2;
  float* blended = scratch + 1 - begin;  // by column, from begin - 1 on
  // the columns beyond the border are replaced below; the halo of the map is there to be read
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

// Row y of what the source gives, from column x0 on: `pixels` of it, and `halo` on both sides, zero outside of the image.
// x0, pixels and halo are multiples of LANES. A row that lies there as it is is not copied.
inline const float* source_row(const Source& source, int channel, int y, int x0, int pixels, int halo, float* to,
                               float* scratch) {
  if (source.reading == PLAIN) return source.map.row(y, channel) + x0;
  const int width = source.width();
  const int begin = std::max(x0 - halo, 0), end = std::min(x0 + pixels + halo, width);
  float* row = to + halo - x0;  // by column
  if (source.reading == NORMED) normed_row(source, channel, y, begin, end, row);
  if (source.reading == POOLED) pooled_row(source, channel, y, begin, end, row);
  if (source.reading == DOUBLED) doubled_row(source.map, channel, y, begin, end, row, scratch);
  for (int x = x0 - halo; x < 0; x++) row[x] = 0;
  for (int x = width; x < x0 + pixels + halo; x++) row[x] = 0;
  return row + x0;
}

// Row y of the coarse map's gradient, from that of its doubling: the adjoint of `doubled_row`. `scratch` holds a fine row.
inline void halved_row(const Map& fine, int channel, int y, float* to, float* scratch) {
  const int width = fine.width, last = fine.height / 2 - 1;
  const float* a = fine.row(2 * y, channel);
  const float* b = fine.row(2 * y + 1, channel);
  const float* above = y > 0 ? fine.row(2 * y - 1, channel) : a;
  const float* below = y < last ? fine.row(2 * y + 2, channel) : b;
  float* sums = scratch + LANES;
  for (int x = 0; x < width; x += LANES)
    store(sums + x, broadcast(0.75f) * (load(a + x) + load(b + x)) + broadcast(0.25f) * (load(above + x) + load(below + x)));
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

inline int64_t halving_scratch(int fine_pixels) { return fine_pixels + 6 * LANES; }
