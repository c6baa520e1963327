// The confidence of a map in its foreground nearby; see `confidence_nearby` in fusion.py.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/team.h"

// The mean of the foreground in a window around each pixel, weighted by the square of the foreground.
struct Confidence {
  int height, width, nearby;  // the window reaches `nearby` pixels to each side
  double prior, unknown;

  static int64_t scratch_doubles(int width) { return 4 * (static_cast<int64_t>(width) + 1); }

  // Compute `maps` maps of confidence (height, width) from as many maps of the background. Each thread needs
  // `scratch_doubles` of scratch.
  void run(const float* background, int maps, float* confidence, double* scratch, int threads) const {
    const int64_t size = static_cast<int64_t>(height) * width;
    Team::run(std::min(threads, maps), [=](Team& team, int thread) {
      double* own = scratch + thread * scratch_doubles(width);
      team.share(maps, [=](int n) { run_map(background + n * size, confidence + n * size, own); });
    });
  }

 private:
  // The sums of the window move down with the rows. They are in double precision, so a value which is added and
  // subtracted again leaves no error.
  void run_map(const float* background, float* confidence, double* scratch) const {
    double *cubes = scratch, *squares = cubes + width + 1;  // sums over the rows of the window, by column
    double *of_cubes = squares + width + 1, *of_squares = of_cubes + width + 1;  // and from the first column on
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

  template <int SIGN>
  void add(const float* background, int y, double* cubes, double* squares) const {
    const float* row = background + static_cast<int64_t>(y) * width;
    for (int x = 0; x < width; x++) {
      const float found = 1 - row[x];
      const double foreground = found == found ? found : 0;  // a NaN has no weight
      squares[x] += SIGN * (foreground * foreground);
      cubes[x] += SIGN * (foreground * foreground * foreground);
    }
  }
};
