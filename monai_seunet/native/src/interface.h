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
  int32_t orientations;  // of the head: it reads the maximum over so many parts of the source's channels
  const SeunetWeights* weights;  // one for each group
};

struct SeunetNetwork {
  int32_t groups, classes, levels, buffers, steps, octaves;
  const int32_t* octave;  // rising; the image is halved so often, and doubled for -1
  const SeunetBuffer* buffer;
  const SeunetStep* step;
};

// A batch of images; strides in floats.
struct SeunetImage {
  const float* data;
  int64_t batch_stride, channel_stride, row_stride, column_stride;
  int32_t batch, channels, height, width;
};

// Where the results for a part of the images go: (octaves * groups, batch, results, height, width), where `results` are the
// logits of all classes, or the probabilities of the classes but the first one. What the network gives beside classes
// follows as it is.
struct SeunetResult {
  float* data;
  int32_t top, left, height, width;  // of the part
  int32_t foreground;                // how many classes, for their probabilities; 0 for logits
};

// ---- training

// One layer in training, with its parameters and where its results go. Of buffers and gradients -1 is none.
struct SeunetLayer {
  int32_t kind;
  int32_t source, coarse, target;
  int32_t reading;  // how the source is read
  int32_t source_gradient;  // of the map that the source reads
  int32_t source_adds;      // whether that holds a part of it already
  int32_t coarse_gradient;  // of the doubled map
  int32_t target_gradient;  // of what is made of the target: of its norm and ReLU, or of its doubling
  const float* weight;      // (3, outputs, inputs), or (outputs, inputs)
  const float* bias;        // (outputs) where the layer is pointwise
  const float* kernels;     // (groups, 4, taps): the kernels and their derivatives by sigma, taps 0 to taps - 1
  const int32_t* radius;    // (groups)
  int32_t taps;
  int32_t slots;  // channels of the norm: channel c has the parameters of slot c % slots
  float eps;
  const float *gamma, *beta;  // (norms, slots)
  double *mean, *variance;    // (norms, slots): results
  float* d_weight;
  float* d_bias;
  double* d_sigma;  // (groups)
  float *d_gamma, *d_beta;
};

struct SeunetTraining {
  int32_t groups, classes, levels;
  int32_t norms;  // 1 for all groups, or one for each
  int32_t buffers, gradients, layers, octaves;
  const SeunetBuffer* buffer;
  const SeunetBuffer* gradient;
  const SeunetLayer* layer;
  const SeunetImage* image;  // one batch for each octave
};

// ---- stains

// An image of three values a pixel in 8 bits; strides in bytes.
struct SeunetPixels {
  const uint8_t* data;
  int64_t channel_stride, pixel_stride, pixels;
};

// How stains are separated and put together.
struct SeunetStains {
  float density[256];  // by value
  float matrix[6];     // (2, 3), a stain a row
  float free[4];       // (2, 2): from the projections to the free minimum of the stain that is not that of the row
  float norm[2];       // squared, of the stains
  float mixing[6];     // (3, 2): from the amounts to the densities of the result
  float overlap, penalty;
};
