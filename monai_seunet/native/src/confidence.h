// How sure a map is of the foreground that it shows nearby: the mean of the foreground around each pixel, weighted by its
// square; see `confidence_nearby` in fusion.py.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

struct Confidence {
  int height, width, nearby;
  double prior, unknown;

  static int64_t scratch_doubles(int width) { return 4 * (static_cast<int64_t>(width) + 1); }

  // From the background of a map to its confidence. The sums move down with the rows, in double precision, so that what
  // is added and subtracted again leaves nothing behind.
  void run(const float* background, float* confidence, double* scratch) const {
    double *cubes = scratch, *squares = cubes + width + 1;            // of each column, in the rows nearby
    double *of_cubes = squares + width + 1, *of_squares = of_cubes + width + 1;  // from the first column on
    memset(cubes, 0, 2 * (width + 1) * sizeof(double));
    for (int y = 0; y < std::min(nearby, height); y++) add<1>(background, y, cubes, squares);
    for (int y = 0; y < height; y++) {
      if (y + nearby < height) add<1>(background, y + nearby, cubes, squares);
      if (y - nearby > 0) add<-1>(background, y - nearby - 1, cubes, squares);
      of_cubes[0] = of_squares[0] = 0;
      for (int x = 0; x < width; x++) {
        of_cubes[x + 1] = of_cubes[x] + cubes[x];
        of_squares[x + 1] = of_squares[x] + squares[x];
      }
      float* to = confidence + static_cast<int64_t>(y) * width;
      for (int x = 0; x < width; x++) {
        const int first = std::max(x - nearby, 0), last = std::min(x + nearby + 1, width);
        const double sum = std::max(of_cubes[last] - of_cubes[first], 0.0);
        const double weights = std::max(of_squares[last] - of_squares[first], 0.0);
        to[x] = static_cast<float>((sum + prior * unknown) / (weights + unknown));
      }
    }
  }

 private:
  template <int SIGN>
  void add(const float* background, int y, double* cubes, double* squares) const {
    const float* row = background + static_cast<int64_t>(y) * width;
    for (int x = 0; x < width; x++) {
      const float found = 1 - row[x];
      const double foreground = found == found ? found : 0;  // what is no number does not count
      squares[x] += SIGN * (foreground * foreground);
      cubes[x] += SIGN * (foreground * foreground * foreground);
    }
  }
};
