// The C structures that the library shares with its callers. `library.py` mirrors them.
#pragma once

#include <cstdint>

#define API extern "C" __attribute__((visibility("default")))

enum StepKind { SCALE_CONV = 0, POINTWISE = 1, HEAD = 2 };

constexpr int MOST_BUFFERS = 64;
constexpr int MOST_LAYERS = 64;
constexpr int MOST_LEVELS = 16;
constexpr int MOST_OCTAVES = 16;
constexpr int COARSEST_OCTAVE = 16;
constexpr int MOST_RADIUS = 32;

// A feature map. Its sides are those of the image divided by 2^level.
struct SeunetBuffer {
  int32_t channels, level;
};

// A batch of images. The strides are in floats.
struct SeunetImage {
  const float* data;
  int64_t batch_stride, channel_stride, row_stride, column_stride;
  int32_t batch, channels, height, width;
};

// ---- inference

// The weights of one layer for one scale group.
struct SeunetWeights {
  const float* weight;  // in the order of `seunet_pack_mix` or `seunet_pack_pointwise`
  const float* bias;
  const float* even;  // taps 0 to radius of both kernels; null where the layer is pointwise
  const float* odd;
  int32_t radius;
};

// One layer. Buffers are given by number, and -1 is none. Buffer 0 is the image.
struct SeunetStep {
  int32_t kind;
  int32_t source;
  int32_t coarse;                // a second input of the next coarser level, which is upsampled
  int32_t target;                // -1 for the head, which writes the logits
  int32_t pooled;                // the 2 x 2 average of the target
  int32_t orientations;          // the head reads the maximum over so many equal parts of the channels of its source
  const SeunetWeights* weights;  // one for each group
};

struct SeunetNetwork {
  int32_t groups, classes, levels, buffers, steps, octaves;
  const int32_t* octave;  // in rising order; at octave n the sides of the image are divided by 2^n, and n is -1 or more
  const SeunetBuffer* buffer;
  const SeunetStep* step;
};

// The results for a part of the images: (octaves * groups, batch, results, height, width).
//
// `results` are the logits of all classes, or the probabilities of the classes after the first one. Other outputs of
// the head follow the probabilities without a change.
struct SeunetResult {
  float* data;
  int32_t top, left, height, width;  // the part
  int32_t foreground;                // the number of classes for probabilities, 0 for logits
};

// ---- training

// One layer in training: its inputs, its parameters and where its results go. Buffers and gradients are given by
// number, and -1 is none.
struct SeunetLayer {
  int32_t kind;
  int32_t source, coarse, target;
  int32_t reading;          // how the source is read; see `Reading`
  int32_t source_gradient;  // the gradient of the map that the source reads
  int32_t source_adds;      // whether the gradient is added to the content of that map
  int32_t coarse_gradient;  // the gradient of the upsampled map
  int32_t target_gradient;  // of a scale convolution: after its norm and ReLU; of a pointwise layer: after upsampling
  const float* weight;      // (3, outputs, inputs) or (outputs, inputs)
  const float* bias;        // (outputs) where the layer is pointwise
  const float* kernels;     // (groups, 4, taps): the two kernels and their derivatives by sigma
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
  int32_t norms;  // 1 for all groups, or one for each group
  int32_t buffers, gradients, layers, octaves;
  const SeunetBuffer* buffer;
  const SeunetBuffer* gradient;
  const SeunetLayer* layer;
  const SeunetImage* image;  // one batch for each octave
};

// ---- stains

// An RGB image with 8 bits for each value. The strides are in bytes.
struct SeunetPixels {
  const uint8_t* data;
  int64_t channel_stride, pixel_stride, pixels;
};

// How the stains of an image are separated, and how those of the result are combined.
struct SeunetStains {
  float density[256];  // the optical density of each value
  float matrix[6];     // (2, 3): one stain in each row
  float free[4];       // (2, 2): row n maps the projections to the unconstrained amount of the stain that is not n
  float norm[2];       // the squared norms of the stains
  float mixing[6];     // (3, 2): from the amounts to the optical densities of the result
  float overlap;       // the inner product of the stains
  float penalty;       // of the amounts
};
