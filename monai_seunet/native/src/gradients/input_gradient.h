// Where the gradient of an input of a layer goes.
#pragma once

#include "common/map.h"
#include "common/vector.h"
#include "kernels/source.h"

struct InputGradient {
  Map map;    // of the stored input, or of its upsampled form where that is read; no channels where it is not wanted
  bool adds;  // whether the gradient is added to the content of the map

  // Whether a kernel may write the gradient to the map without `put_input_gradient`.
  bool is_direct(Reading reading) const { return map.channels && reading != POOLED && !adds; }
};

// Put `dx`, row y of the gradient of what the layer reads, into the map. `dx` is zero outside of the image.
inline void put_input_gradient(const InputGradient& gradient, Reading reading, int channel, int y, const float* dx,
                               int pixels) {
  if (reading == POOLED) {  // each of the four pixels gets a quarter
    for (int row = 2 * y; row < 2 * y + 2; row++) {
      float* to = gradient.map.row(row, channel);
      for (int x = 0; x < gradient.map.width / 2; x += LANES) {
        const Vec quarter = broadcast(0.25f) * load(dx + x);
        float both[2 * LANES];
        store_interleaved(both, quarter, quarter);
        for (int part = 0; part < 2 && 2 * x + part * LANES < gradient.map.pixels(); part++) {
          float* at = to + 2 * x + part * LANES;
          store(at, gradient.adds ? load(at) + load(both + part * LANES) : load(both + part * LANES));
        }
      }
    }
    return;
  }
  float* to = gradient.map.row(y, channel);
  for (int x = 0; x < pixels; x += LANES) store(to + x, gradient.adds ? load(to + x) + load(dx + x) : load(dx + x));
}
