// The functions of the library.
#include "inference.h"
#include "interface.h"
#include "mix.h"
#include "pointwise.h"
#include "training.h"

// What the sources are known by, see build.py.
API const char* seunet_digest() { return SEUNET_DIGEST; }

// alpha (3, outputs, inputs) and weight (outputs, inputs) to the order in which the kernels read them.
API void seunet_pack_mix(const float* alpha, int32_t outputs, int32_t inputs, float* packed) {
  pack_mix(alpha, outputs, inputs, packed);
}
API void seunet_pack_pointwise(const float* weight, int32_t outputs, int32_t inputs, float* packed) {
  pack_pointwise(weight, outputs, inputs, packed);
}

// Floats that `seunet_infer` needs as workspace; 0 where it cannot run that network on that image.
API int64_t seunet_workspace(const SeunetNetwork* net, const SeunetImage* image, int32_t threads) {
  return Inference::serves(*net, *image) ? Inference(*net, *image, threads).workspace() : 0;
}

// Logits (octaves * groups, batch, classes, height, width) of a batch of images whose sides the network's stride divides.
// Returns 0, or 1 where it cannot run that network on that image, or the workspace of `size` floats is too small.
API int32_t seunet_infer(const SeunetNetwork* net, const SeunetImage* image, float* logits, float* workspace,
                         int64_t size, int32_t threads) {
  if (!Inference::serves(*net, *image)) return 1;
  Inference inference(*net, *image, threads);
  if (size < inference.workspace()) return 1;
  inference.run(logits, workspace);
  return 0;
}

// Floats that a training step needs as workspace; 0 where it cannot train that network on those images.
API int64_t seunet_training_workspace(const SeunetTraining* net, int32_t threads) {
  return Training::serves(*net) ? Training(*net, threads).workspace() : 0;
}

// Logits (groups, batch, classes, height, width) for every octave, and the statistics of the norms.
// Returns 0, or 1 where it cannot train that network on those images, or the workspace of `size` floats is too small.
API int32_t seunet_train_forward(const SeunetTraining* net, float* const* logits, float* workspace, int64_t size,
                                 int32_t threads) {
  if (!Training::serves(*net)) return 1;
  Training training(*net, threads);
  if (size < training.workspace()) return 1;
  training.forward(logits, workspace);
  return 0;
}

// The gradients of all parameters from those of the logits, after `seunet_train_forward` with the same workspace and as
// many threads.
API int32_t seunet_train_backward(const SeunetTraining* net, const float* const* d_logits, float* workspace, int64_t size,
                                  int32_t threads) {
  if (!Training::serves(*net)) return 1;
  Training training(*net, threads);
  if (size < training.workspace()) return 1;
  training.backward(d_logits, workspace);
  return 0;
}

// A number that changes when the bytes of any of the pieces of memory do.
API uint64_t seunet_checksum(const void* const* data, const int64_t* bytes, int32_t count) {
  uint64_t sum = 1, of_sums = 0;
  for (int32_t n = 0; n < count; n++) {
    const unsigned char* from = static_cast<const unsigned char*>(data[n]);
    int64_t at = 0;
    for (; at + 4 <= bytes[n]; at += 4) {
      uint32_t word;
      memcpy(&word, from + at, 4);
      sum += word;
      of_sums += sum;
    }
    for (; at < bytes[n]; at++) of_sums += sum += from[at];
  }
  return sum ^ (of_sums << 1);
}
