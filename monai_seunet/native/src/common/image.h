// A copy of the caller's image in the layout of a feature map.
#pragma once

#include <cstring>

#include "common/map.h"
#include "interface.h"

// Copy row y of image `number` of the batch, all channels, to a row of a map. Zeros fill the row behind the image.
inline void copy_image_row(const SeunetImage& image, int number, int y, const Map& to, int row_of_map) {
  for (int c = 0; c < to.channels; c++) {
    const float* from = image.data + number * image.batch_stride + c * image.channel_stride + y * image.row_stride;
    float* row = to.row(row_of_map, c);
    if (image.column_stride == 1) memcpy(row, from, image.width * sizeof(float));
    else
      for (int x = 0; x < image.width; x++) row[x] = from[x * image.column_stride];
    for (int x = image.width; x < to.pixels(); x++) row[x] = 0;
  }
}
