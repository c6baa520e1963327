// How many rows the gradient of a layer processes together.
#pragma once

#include <algorithm>
#include <cstdint>

constexpr int64_t CHUNK_FLOATS = 96 * 1024;
constexpr int MOST_CHUNK_ROWS = 16;

// The rows of a chunk, whose maps fit the cache.
inline int chunk_rows(int inputs, int outputs, int pixels, int height) {
  const int64_t row = static_cast<int64_t>(4) * (inputs + outputs) * pixels;
  return static_cast<int>(std::clamp<int64_t>(CHUNK_FLOATS / row, 1, std::min(MOST_CHUNK_ROWS, height)));
}
