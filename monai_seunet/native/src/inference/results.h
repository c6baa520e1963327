// The results on the grid of the image.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/map.h"
#include "common/vector.h"
#include "inference/layout.h"
#include "inference/resampling.h"
#include "inference/softmax.h"
#include "interface.h"
#include "kernels/source.h"
#include "kernels/upsampling.h"

namespace inference {

class Results {
 public:
  Results(const Layout& layout, const SeunetResult& result) : layout_(layout), result_(result) {}

  int64_t scratch_floats() const {
    const int widest = layout_.image_shape(std::min(layout_.first_image(), 0)).pixels();
    const int64_t rows = layout_.net.classes * row_pitch() + upsampling_scratch(widest, layout_.halo);
    return std::max(rows, upsample_map_scratch(widest, layout_.halo));
  }

  // Whether row y of the image belongs to the results.
  bool has_row(int y) const { return y >= result_.top && y < result_.top + result_.height; }

  // Write row y of the results of a unit of octave 0. The logits of the row begin at column 0. They are overwritten.
  void write_row(const Unit& unit, int y, float* logits, int64_t pitch) const {
    write_row(unit, y, logits, pitch, 0);
  }

  // Resample the logits of a unit of another octave to the grid of the image, and write the results.
  void finish(const Unit& unit, float* scratch) const {
    if (unit.octave == 0) return;
    int octave = unit.octave;
    for (; octave > 1; octave--)
      upsample_map(layout_.logits(unit, octave), layout_.logits(unit, octave - 1), scratch);
    const Map last = layout_.logits(unit, octave);
    const Source upsampled = {UPSAMPLED, last, nullptr, nullptr};
    const int64_t pitch = row_pitch();
    const int classes = layout_.net.classes, first = first_column(), pixels = row_pixels();
    for (int y = result_.top; y < result_.top + result_.height; y++) {
      for (int c = 0; c < classes; c++) {
        float* row = scratch + c * pitch;
        if (octave > 0) source_row(upsampled, c, y, first, pixels, 0, row, scratch + classes * pitch);
        else average_row(last.row(2 * y, c) + 2 * first, last.row(2 * y + 1, c) + 2 * first, pixels, row);
      }
      write_row(unit, y, scratch, pitch, first);
    }
  }

 private:
  // The columns of the results, from a multiple of LANES on.
  int first_column() const { return result_.left / LANES * LANES; }
  int row_pixels() const { return rounded_up(result_.left + result_.width - first_column(), LANES); }
  int64_t row_pitch() const { return row_floats(row_pixels(), 0); }

  // The logits of the row begin at column `first`.
  void write_row(const Unit& unit, int y, float* logits, int64_t pitch, int first) const {
    const int classes = layout_.net.classes;
    if (result_.foreground)
      foreground_rows(logits + first_column() - first, pitch, result_.foreground, classes, row_pixels());
    const int rows = classes - (result_.foreground ? 1 : 0);
    for (int c = 0; c < rows; c++) {
      const int64_t row = (static_cast<int64_t>(unit.number) * rows + c) * result_.height + y - result_.top;
      memcpy(result_.data + row * result_.width, logits + c * pitch + result_.left - first,
             result_.width * sizeof(float));
    }
  }

  const Layout& layout_;
  const SeunetResult& result_;
};

}  // namespace inference
