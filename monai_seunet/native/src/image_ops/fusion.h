// The fusion of the predictions of all scale groups, pixel by pixel; see `fuse` in fusion.py.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/exponential.h"
#include "common/team.h"
#include "common/vector.h"

enum Strategy { ARITHMETIC = 0, P_DIST = 1, P_ENS = 2, P_MAX = 3, P_POWER = 4, P_CONF = 5 };

struct Fusion {
  int groups, classes;
  int64_t pixels;
  Strategy strategy;

  // Fuse the probabilities (batch, groups, classes, pixels). P_CONF takes weights (batch, groups, pixels), which are
  // null for no weights. The results are the fused probabilities (batch, classes, pixels) and the number of the group
  // that decides (batch, pixels). A result that is not wanted is null.
  void run(const float* probabilities, const float* weights, int batch, float* fused, int64_t* winner,
           int threads) const {
    const int64_t parts = (pixels + PART - 1) / PART;
    Team::run(static_cast<int>(std::min<int64_t>(threads, batch * parts)), [=](Team& team, int) {
      team.share(static_cast<int>(batch * parts), [=](int n) {
        const int64_t image = n / parts, begin = n % parts * PART, end = std::min(begin + PART, pixels);
        for (int64_t x = begin; x < end; x += LANES)
          fuse_pixels(probabilities + image * groups * classes * pixels,
                      weights == nullptr ? nullptr : weights + image * groups * pixels,
                      fused == nullptr ? nullptr : fused + image * classes * pixels,
                      winner == nullptr ? nullptr : winner + image * pixels, x,
                      static_cast<int>(std::min<int64_t>(LANES, end - x)));
      });
    });
  }

 private:
  static constexpr int64_t PART = 16384;  // pixels of a task

  // Fuse `count` pixels of one image from pixel `first` on. `count` is at most LANES.
  void fuse_pixels(const float* probabilities, const float* weights, float* fused, int64_t* winner, int64_t first,
                   int count) const {
    const Pixels at = {probabilities + first, weights == nullptr ? nullptr : weights + first, pixels, classes, count};
    if (winner != nullptr) {
      const Vec found = decider(at, true);
      for (int lane = 0; lane < count; lane++) winner[first + lane] = static_cast<int64_t>(found[lane]);
    }
    if (fused == nullptr) return;
    auto write = [&](int c, Vec v) {
      float* to = fused + c * pixels + first;
      if (count == LANES) store(to, v);
      else memcpy(to, &v, count * sizeof(float));
    };
    switch (strategy) {
      case P_MAX: case P_POWER: case P_CONF: return evidence(at, write);
      case P_DIST: return of_one(at, decider(at, false), write);
      default: return mean(at, write);
    }
  }

  struct Pixels {
    const float *probabilities, *weights;
    int64_t pixels;
    int classes, count;

    Vec read(const float* from) const {
      if (count == LANES) return load(from);
      Vec v{};
      memcpy(&v, from, count * sizeof(float));
      return v;
    }
    Vec of(int group, int c) const {
      return read(probabilities + (static_cast<int64_t>(group) * classes + c) * pixels);
    }
    Vec weight(int group) const { return weights == nullptr ? broadcast(1) : read(weights + group * pixels); }
  };

  // The result is a NaN if one of the two is a NaN.
  static INLINE Vec larger(Vec a, Vec b) { return a > b ? a : a != a ? a : b; }
  static INLINE Vec smaller(Vec a, Vec b) { return a < b ? a : a != a ? a : b; }
  static INLINE Vec root(Vec v) {
    for (int lane = 0; lane < LANES; lane++) v[lane] = __builtin_sqrtf(v[lane]);
    return v;
  }

  static Vec foreground(const Pixels& at, int group) {
    Vec best = at.of(group, 1);
    for (int c = 2; c < at.classes; c++) best = larger(best, at.of(group, c));
    return best;
  }

  // The difference between the largest probability of a class and the second largest.
  static Vec margin(const Pixels& at, int group) {
    const Vec a = at.of(group, 0), b = at.of(group, 1);
    Vec best = larger(a, b), second = smaller(a, b);
    for (int c = 2; c < at.classes; c++) {
      const Vec next = at.of(group, c);
      second = larger(second, smaller(best, next));
      best = larger(best, next);
    }
    return best - second;
  }

  // The number of the group with the largest score.
  Vec decider(const Pixels& at, bool weighted) const {
    Vec best{}, found{};
    for (int k = 0; k < groups; k++) {
      const bool of_foreground = strategy == P_MAX || strategy == P_POWER || strategy == P_CONF;
      Vec score = of_foreground ? foreground(at, k) : margin(at, k);
      if (weighted) score *= at.weight(k);
      const auto wins = k == 0 ? score == score || score != score : score > best || (score != score && best == best);
      best = wins ? score : best;
      found = wins ? broadcast(static_cast<float>(k)) : found;
    }
    return found;
  }

  // The probabilities of one group, which differs from pixel to pixel.
  template <typename Write>
  void of_one(const Pixels& at, Vec group, Write write) const {
    for (int c = 0; c < classes; c++) {
      Vec chosen{};
      for (int k = 0; k < groups; k++) chosen = group == broadcast(static_cast<float>(k)) ? at.of(k, c) : chosen;
      write(c, chosen);
    }
  }

  // The mean of the groups. P_ENS weights them by the softmax of their margins.
  template <typename Write>
  void mean(const Pixels& at, Write write) const {
    Vec largest = broadcast(0), total{};
    if (strategy == P_ENS)
      for (int k = 0; k < groups; k++) largest = larger(largest, margin(at, k));
    auto weight = [&](int k) { return strategy == P_ENS ? exponential(margin(at, k) - largest) : broadcast(1); };
    for (int k = 0; k < groups; k++) total += weight(k);
    for (int c = 0; c < classes; c++) {
      Vec sum{};
      for (int k = 0; k < groups; k++) sum += weight(k) * at.of(k, c);
      write(c, sum / total);
    }
  }

  // The evidence for each class, divided by the sum of the evidence for all classes.
  template <typename Write>
  void evidence(const Pixels& at, Write write) const {
    auto of = [&](int c) {
      if (strategy != P_MAX) return c == 0 ? broadcast(1) - power_mean(at, 0) : power_mean(at, c);
      Vec best = at.of(0, c);
      for (int k = 1; k < groups; k++) best = c == 0 ? smaller(best, at.of(k, c)) : larger(best, at.of(k, c));
      return best;
    };
    Vec total{};
    for (int c = 0; c < classes; c++) total += of(c);
    for (int c = 0; c < classes; c++) write(c, of(c) / total);
  }

  // The power mean of exponent 4 over the groups: of class c, or of the foreground where c is 0.
  Vec power_mean(const Pixels& at, int c) const {
    Vec sum{}, total{};
    for (int k = 0; k < groups; k++) {
      const Vec weight = at.weight(k), p = at.of(k, c);
      const Vec share = weight * (c == 0 ? broadcast(1) - p : p);
      sum += (share * share) * (share * share);
      total += (weight * weight) * (weight * weight);
    }
    const Vec mean = sum / total, tiny = broadcast(1e-24f);
    return root(root(mean < tiny ? tiny : mean));
  }
};
