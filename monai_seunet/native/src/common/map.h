// The memory layout of a feature map.
#pragma once

#include <cstdint>

#include "common/vector.h"

// A feature map in the order [row][channel][x].
//
// A row of a channel starts at a multiple of LANES floats after `data`. Zeros fill it up to a multiple of LANES pixels.
// At least `halo` zeros lie on both sides of it.
struct Map {
  float* data;
  int32_t channels, height, width, halo;

  // The padded width of a row.
  int32_t pixels() const { return rounded_up(width, LANES); }
  int64_t pitch() const { return pixels() + halo; }
  int64_t row_pitch() const { return pitch() * channels; }
  float* row(int y, int channel) const { return data + halo + y * row_pitch() + channel * pitch(); }
  // Floats of the whole map.
  int64_t size() const { return row_pitch() * height + halo; }

  // Set the zeros between the rows. The pixels of the rows are not changed.
  void clear_halo() const {
    for (int64_t row = 0; row < static_cast<int64_t>(height) * channels; row++)
      for (int x = 0; x < halo; x++) data[row * pitch() + x] = 0;
    for (int x = 0; x < halo; x++) data[row_pitch() * height + x] = 0;
  }
};
