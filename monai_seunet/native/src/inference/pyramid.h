// The image pyramid: the image at all octaves.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/image.h"
#include "common/map.h"
#include "common/vector.h"
#include "inference/layout.h"
#include "inference/resampling.h"

namespace inference {

class Pyramid {
 public:
  explicit Pyramid(const Layout& layout) : layout_(layout) {}

  int64_t scratch_floats() const {
    const int widest = layout_.image_shape(std::min(layout_.first_image(), 0)).pixels();
    const int64_t pair = layout_.first_image() > 0 ? two_rows().size() + 2 * LANES : 0;
    return std::max(pair, upsample_map_scratch(widest, layout_.halo));
  }

  // Make all octaves of image `number` of the batch.
  void make(int number, float* scratch) const {
    const int first = layout_.first_image();
    if (first > 0) copy_half(number, scratch);
    else copy(number);
    if (first < 0) {
      const Map fine = layout_.image_at(number, -1);
      fine.clear_halo();
      upsample_map(layout_.image_at(number, 0), fine, scratch);
    }
    for (int octave = std::max(first, 0) + 1; octave <= layout_.last_image(); octave++) {
      const Map fine = layout_.image_at(number, octave - 1), coarse = layout_.image_at(number, octave);
      coarse.clear_halo();
      for (int y = 0; y < coarse.height; y++) average_rows(fine, 2 * y, coarse, y);
    }
  }

 private:
  void copy(int number) const {
    const Map to = layout_.image_at(number, 0);
    to.clear_halo();
    for (int y = 0; y < to.height; y++) copy_image_row(layout_.image, number, y, to, y);
  }

  // Make octave 1 where octave 0 is not kept.
  void copy_half(int number, float* scratch) const {
    const Map half = layout_.image_at(number, 1);
    Map pair = two_rows();
    pair.data = scratch;
    pair.clear_halo();
    half.clear_halo();
    for (int y = 0; y < half.height; y++) {
      for (int row = 0; row < 2; row++) copy_image_row(layout_.image, number, 2 * y + row, pair, row);
      average_rows(pair, 0, half, y);
    }
  }

  // The shape of two rows of the image.
  Map two_rows() const {
    Map map = layout_.image_shape(0);
    map.height = 2;
    return map;
  }

  const Layout& layout_;
};

}  // namespace inference
