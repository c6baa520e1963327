// How a feature map lies in memory, and the shape of its rows.
#pragma once

#include <cstdint>

#include "vector.h"

// A map of `channels` channels as [row][channel][x]. Every row of a channel starts at a multiple of LANES floats after
// `data`, is continued by zeros to a multiple of LANES, and has at least `halo` zeros on both sides.
struct Map {
  float* data;
  int32_t channels, height, width, halo;

  int32_t pixels() const { return rounded_up(width, LANES); }
  int64_t pitch() const { return pixels() + halo; }
  int64_t row_pitch() const { return pitch() * channels; }
  float* row(int y, int channel) const { return data + halo + y * row_pitch() + channel * pitch(); }
  int64_t size() const { return row_pitch() * height + halo; }

  // Zeros around the rows; what is inside of them is written by others.
  void clear_halo() const {
    for (int64_t row = 0; row < static_cast<int64_t>(height) * channels; row++)
      for (int x = 0; x < halo; x++) data[row * pitch() + x] = 0;
    for (int x = 0; x < halo; x++) data[row_pitch() * height + x] = 0;
  }
};
