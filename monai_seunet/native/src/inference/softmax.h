// The softmax over the classes of a row.
#pragma once

#include <cstdint>

#include "common/exponential.h"
#include "common/vector.h"

namespace inference {

// Replace the logits of `all` rows by the probabilities of the foreground classes.
//
// The softmax is taken over the first `classes` rows. The probabilities of class 1 and of the classes after it are
// written from row 0 on. The rows that are not classes follow without a change. `pixels` is a multiple of LANES.
inline void foreground_rows(float* rows, int64_t pitch, int classes, int all, int pixels) {
  for (int x = 0; x < pixels; x += LANES) {
    float* at = rows + x;
    Vec largest = load(at);
    for (int c = 1; c < classes; c++) {
      const Vec other = load(at + c * pitch);
      largest = other > largest ? other : largest;
    }
    Vec sum = exponential(load(at) - largest);
    for (int c = 1; c < classes; c++) {
      const Vec part = exponential(load(at + c * pitch) - largest);
      store(at + (c - 1) * pitch, part);
      sum += part;
    }
    for (int c = 1; c < classes; c++) store(at + (c - 1) * pitch, load(at + (c - 1) * pitch) / sum);
    for (int c = classes; c < all; c++) store(at + (c - 1) * pitch, load(at + c * pitch));
  }
}

}  // namespace inference
