// The input of a layer: a feature map, or rows that are computed from one when the layer reads them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/map.h"
#include "common/vector.h"
#include "kernels/average_pool.h"
#include "kernels/upsampling.h"

enum Reading {
  PLAIN,      // the map without a change
  NORMED,     // relu(scale * map + offset): a batch norm, whose statistics were unknown when the map was written
  POOLED,     // the 2 x 2 average of the normed map
  UPSAMPLED,  // the map after bilinear upsampling by two
};

struct Source {
  Reading reading;
  Map map;
  const float* scale;  // by channel; null where no norm is applied
  const float* offset;

  int height() const { return resized(map.height); }
  int width() const { return resized(map.width); }

 private:
  int resized(int side) const { return reading == POOLED ? side / 2 : reading == UPSAMPLED ? side * 2 : side; }
};

// Floats that `source_row` needs for the row itself. `upsampling_scratch` tells its scratch.
inline int64_t row_floats(int pixels, int halo) { return pixels + 2 * halo + 2 * LANES; }

inline void normed_row(const Source& source, int channel, int y, int begin, int end, float* row) {
  const Vec scale = broadcast(source.scale[channel]), offset = broadcast(source.offset[channel]);
  const float* from = source.map.row(y, channel);
  for (int x = begin; x < end; x += LANES) store(row + x, relu(scale * load(from + x) + offset));
}

inline void pooled_row(const Source& source, int channel, int y, int begin, int end, float* row) {
  const Vec scale = broadcast(source.scale[channel]), offset = broadcast(source.offset[channel]);
  const float* a = source.map.row(2 * y, channel);
  const float* b = source.map.row(2 * y + 1, channel);
  const auto sum = [&](int x) { return relu(scale * load(a + x) + offset) + relu(scale * load(b + x) + offset); };
  average_pool_row(begin, end, row, sum);
}

// A pointer to column x0 of row y. `pixels` columns follow it, and `halo` columns lie on both sides. The columns
// outside of the image are zero. x0, pixels and halo are multiples of LANES. A plain row is not copied to `to`.
inline const float* source_row(const Source& source, int channel, int y, int x0, int pixels, int halo, float* to,
                               float* scratch) {
  if (source.reading == PLAIN) return source.map.row(y, channel) + x0;
  const int width = source.width();
  const int begin = std::max(x0 - halo, 0), end = std::min(x0 + pixels + halo, width);
  float* row = to + halo - x0;  // indexed by column
  if (source.reading == NORMED) normed_row(source, channel, y, begin, end, row);
  if (source.reading == POOLED) pooled_row(source, channel, y, begin, end, row);
  if (source.reading == UPSAMPLED) upsampled_row(source.map, channel, y, begin, end, row, scratch);
  for (int x = x0 - halo; x < 0; x++) row[x] = 0;
  for (int x = width; x < x0 + pixels + halo; x++) row[x] = 0;
  return row + x0;
}
