// The parts of the output of a scale convolution that are computed independently.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/vector.h"
#include "kernels/column_filter.h"
#include "kernels/mix_packing.h"

constexpr int64_t RING_FLOATS = 96 * 1024;  // of the ring of a strip: with its rows about half of a second-level cache
constexpr int MOST_PIXELS = 512;            // width of a strip

// Strips are ranges of columns, bands are ranges of rows, and pieces are ranges of output channels.
struct ConvParts {
  int strips, pixels;    // their number, and the width of one
  int bands, rows;       // their number, and the rows of one
  int pieces, channels;  // their number, and the channels of one; the last piece may have fewer

  int count() const { return strips * bands * pieces; }
};

// Divide an output into at least `least` parts, where it is large enough.
//
// A strip is as wide as its ring allows. Its width is a multiple of 2 * LANES, so a pooled pixel belongs to one
// strip. A band filters the rows around it again. A piece filters all rows again, so there are pieces only where the
// bands are not enough.
inline ConvParts conv_parts(int height, int width, int outputs, int radius, int least) {
  const int step = 2 * LANES;
  const int64_t fitting = RING_FLOATS / (2 * static_cast<int64_t>(outputs) * (2 * radius + ROWS));
  const int most = std::max<int>(step, static_cast<int>(std::min<int64_t>(fitting, MOST_PIXELS)) / step * step);
  int strips = (width + most - 1) / most;
  const int pixels = rounded_up((width + strips - 1) / strips, step);
  strips = (width + pixels - 1) / pixels;
  int wanted = (least + strips - 1) / strips;
  int bands = std::clamp(height / (8 * std::max(radius, ROWS)), 1, wanted);
  const int rows = rounded_up((height + bands - 1) / bands, ROWS);
  bands = (height + rows - 1) / rows;
  wanted = (wanted + bands - 1) / bands;
  const int block = mix_block(outputs), blocks = (outputs + block - 1) / block;
  const int channels = (blocks + wanted - 1) / wanted * block;
  return {strips, pixels, bands, rows, (outputs + channels - 1) / channels, channels};
}
