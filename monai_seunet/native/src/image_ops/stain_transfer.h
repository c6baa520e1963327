// The transfer of an image to other stains, pixel by pixel; see `transfer_stains` in transforms/stain.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/exponential.h"
#include "common/team.h"
#include "common/vector.h"
#include "interface.h"

struct StainTransfer {
  const SeunetStains& stains;

  // Transfer an image to the result (3, pixels).
  void run(const SeunetPixels& image, uint8_t* to, int threads) const {
    const int parts = static_cast<int>((image.pixels + PART - 1) / PART);
    Team::run(std::min(threads, parts), [=, &image](Team& team, int) {
      team.share(parts, [=, &image](int n) {
        transfer_pixels(image, to, n * PART, std::min((n + 1) * PART, image.pixels));
      });
    });
  }

 private:
  static constexpr int64_t PART = 65536;  // pixels of a task
  static constexpr int BLOCK = 16 * LANES;

  // Transfer pixels `begin` to `end`.
  void transfer_pixels(const SeunetPixels& image, uint8_t* to, int64_t begin, int64_t end) const {
    float density[3][BLOCK] = {};
    int32_t values[BLOCK];
    for (int64_t first = begin; first < end; first += BLOCK) {
      const int count = static_cast<int>(std::min<int64_t>(BLOCK, end - first));
      for (int c = 0; c < 3; c++) {
        const uint8_t* from = image.data + c * image.channel_stride + first * image.pixel_stride;
        for (int x = 0; x < count; x++) density[c][x] = stains.density[from[x * image.pixel_stride]];
      }
      Vec amount[2][BLOCK / LANES];
      for (int x = 0; x < BLOCK; x += LANES) separate(density, x, &amount[0][x / LANES], &amount[1][x / LANES]);
      for (int c = 0; c < 3; c++) {
        for (int n = 0; n < BLOCK / LANES; n++) {
          const Vec mixed =
              broadcast(stains.mixing[2 * c]) * amount[0][n] + broadcast(stains.mixing[2 * c + 1]) * amount[1][n];
          // The sum with the magic number rounds to an integer, which is left in the lowest bits.
          const Vec rounded = exponential(-relu(mixed)) * broadcast(255.0f) + broadcast(12582912.0f);
          memcpy(values + n * LANES, &rounded, sizeof rounded);
        }
        uint8_t* out = to + c * image.pixels + first;
        for (int x = 0; x < count; x++) out[x] = static_cast<uint8_t>(values[x]);
      }
    }
  }

  // The amounts of the two stains of a pixel, which are not negative; see `concentrations` in transforms/stain.
  INLINE void separate(const float (*density)[BLOCK], int x, Vec* first, Vec* second) const {
    Vec projection[2];
    for (int s = 0; s < 2; s++) {
      projection[s] = broadcast(-stains.penalty);
      for (int c = 0; c < 3; c++) projection[s] += broadcast(stains.matrix[3 * s + c]) * load(density[c] + x);
    }
    Vec* const amounts[2] = {first, second};
    for (int s = 0; s < 2; s++) {
      const Vec other =
          relu(broadcast(stains.free[2 * s]) * projection[0] + broadcast(stains.free[2 * s + 1]) * projection[1]);
      *amounts[s] = relu((projection[s] - broadcast(stains.overlap) * other) / broadcast(stains.norm[s]));
    }
  }
};
