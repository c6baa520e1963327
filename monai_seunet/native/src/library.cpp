// The functions of the library.
#include <cstdint>

#include "common/checksum.h"
#include "image_ops/confidence.h"
#include "image_ops/fusion.h"
#include "image_ops/stain_transfer.h"
#include "inference/schedule.h"
#include "inference/support.h"
#include "interface.h"
#include "kernels/mix_packing.h"
#include "kernels/pointwise.h"
#include "training/step.h"
#include "training/support.h"

// The digest of the sources; see build.py.
API const char* seunet_digest() { return SEUNET_DIGEST; }

// The size of a structure, or 0 where the number is unknown. A test compares it with the structure of `library.py`.
API int64_t seunet_structure_bytes(int32_t number) {
  constexpr int64_t BYTES[] = {sizeof(SeunetWeights), sizeof(SeunetBuffer), sizeof(SeunetStep), sizeof(SeunetNetwork),
                               sizeof(SeunetImage), sizeof(SeunetResult), sizeof(SeunetLayer), sizeof(SeunetTraining),
                               sizeof(SeunetPixels), sizeof(SeunetStains)};
  return number >= 0 && number < static_cast<int32_t>(sizeof BYTES / sizeof *BYTES) ? BYTES[number] : 0;
}

// A checksum that changes when a byte of any piece of memory changes.
API uint64_t seunet_checksum(const void* const* data, const int64_t* bytes, int32_t count) {
  return checksum(data, bytes, count);
}

// Copy alpha (3, outputs, inputs) to the order in which the kernels read it.
API void seunet_pack_mix(const float* alpha, int32_t outputs, int32_t inputs, float* packed) {
  pack_mix(alpha, outputs, inputs, packed);
}

// Copy weight (outputs, inputs) to the order in which the kernels read it.
API void seunet_pack_pointwise(const float* weight, int32_t outputs, int32_t inputs, float* packed) {
  pack_pointwise(weight, outputs, inputs, packed);
}

// Floats of workspace that `seunet_infer` needs. The result is 0 where the kernels cannot run this network on this
// image.
API int64_t seunet_workspace(const SeunetNetwork* net, const SeunetImage* image, const SeunetResult* result,
                             int32_t threads) {
  if (!inference::supports(*net, *image, *result)) return 0;
  return inference::Schedule(*net, *image, *result, threads).workspace();
}

// Compute the results of a batch of images. The stride of the network divides their sides.
// The result is 0. It is 1 where the kernels cannot run this network on this image, or where the workspace of `size`
// floats is too small.
API int32_t seunet_infer(const SeunetNetwork* net, const SeunetImage* image, const SeunetResult* result,
                         float* workspace, int64_t size, int32_t threads) {
  if (!inference::supports(*net, *image, *result)) return 1;
  inference::Schedule schedule(*net, *image, *result, threads);
  if (size < schedule.workspace()) return 1;
  schedule.run(workspace);
  return 0;
}

// Floats of workspace that a training step needs. The result is 0 where the kernels cannot train this network on these
// images.
API int64_t seunet_training_workspace(const SeunetTraining* net, int32_t threads) {
  return training::supports(*net) ? training::Step(*net, threads).workspace() : 0;
}

// Compute the logits (groups, batch, classes, height, width) of every octave, and the statistics of the norms. The
// result is 0. It is 1 where the kernels cannot train this network on these images, or where the workspace of `size`
// floats is too small.
API int32_t seunet_train_forward(const SeunetTraining* net, float* const* logits, float* workspace, int64_t size,
                                 int32_t threads) {
  if (!training::supports(*net)) return 1;
  training::Step step(*net, threads);
  if (size < step.workspace()) return 1;
  step.forward(logits, workspace);
  return 0;
}

// Compute the gradients of all parameters from the gradients of the logits. The caller has called
// `seunet_train_forward` with the same workspace and as many threads. The result is that of `seunet_train_forward`.
API int32_t seunet_train_backward(const SeunetTraining* net, const float* const* d_logits, float* workspace,
                                  int64_t size, int32_t threads) {
  if (!training::supports(*net)) return 1;
  training::Step step(*net, threads);
  if (size < step.workspace()) return 1;
  step.backward(d_logits, workspace);
  return 0;
}

// Compute the confidence (maps, height, width) of maps of the background. `scratch` has 4 * (width + 1) doubles for
// each thread.
API void seunet_confidence(const float* background, int32_t maps, int32_t height, int32_t width, int32_t nearby,
                           double prior, double unknown, float* confidence, double* scratch, int32_t threads) {
  const Confidence one = {height, width, nearby, prior, unknown};
  one.run(background, maps, confidence, scratch, threads);
}

// Fuse the probabilities (batch, groups, classes, pixels). `weights` (batch, groups, pixels) may be null. The results
// are the fused probabilities (batch, classes, pixels) and the number of the group that decides (batch, pixels). A
// result that is not wanted is null.
API void seunet_fuse(const float* probabilities, const float* weights, int32_t batch, int32_t groups, int32_t classes,
                     int64_t pixels, int32_t strategy, float* fused, int64_t* winner, int32_t threads) {
  const Fusion fusion = {groups, classes, pixels, static_cast<Strategy>(strategy)};
  fusion.run(probabilities, weights, batch, fused, winner, threads);
}

// Transfer an image to other stains. The result is (3, pixels).
API void seunet_transfer_stains(const SeunetStains* stains, const SeunetPixels* image, uint8_t* to, int32_t threads) {
  const StainTransfer transfer = {*stains};
  transfer.run(*image, to, threads);
}
