// What the library and its callers share: plain C structures, as `library.py` mirrors them.
#pragma once

#include <cstdint>

#define API extern "C" __attribute__((visibility("default")))

enum StepKind { SCALE_CONV = 0, POINTWISE = 1, HEAD = 2 };

constexpr int MOST_BUFFERS = 64;
constexpr int MOST_RADIUS = 32;

// The weights of one layer for one scale group, as `seunet_pack_mix` or `seunet_pack_pointwise` leave them.
struct SeunetWeights {
  const float* weight;
  const float* bias;
  const float* even;  // taps 0 to radius of the two kernels; null where the layer is pointwise
  const float* odd;
  int32_t radius;
};

struct SeunetBuffer {
  int32_t channels, level;
};

// One layer. Buffers are given by number, -1 for none; buffer 0 is the image.
struct SeunetStep {
  int32_t kind;
  int32_t source;
  int32_t coarse;  // a second input of the next coarser level, doubled on the way
  int32_t target;  // -1 for the head, which writes the logits
  int32_t pooled;  // the 2 x 2 average of the target
  const SeunetWeights* weights;  // one for each group
};

struct SeunetNetwork {
  int32_t groups, classes, levels, buffers, steps;
  const SeunetBuffer* buffer;
  const SeunetStep* step;
};

// A batch of images; strides in floats.
struct SeunetImage {
  const float* data;
  int64_t batch_stride, channel_stride, row_stride, column_stride;
  int32_t batch, height, width;
};
