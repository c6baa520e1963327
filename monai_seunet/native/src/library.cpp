// The functions of the library.
#include "confidence.h"
#include "fusion.h"
#include "inference.h"
#include "interface.h"
#include "mix.h"
#include "pointwise.h"
#include "stain.h"
#include "training.h"

// What the sources are known by, see build.py.
API const char* seunet_digest() { return SEUNET_DIGEST; }

// The size of a structure, so that a test sees where `library.py` mirrors another one; 0 where there is none.
API int64_t seunet_structure_bytes(int32_t number) {
  constexpr int64_t BYTES[] = {sizeof(SeunetWeights), sizeof(SeunetBuffer), sizeof(SeunetStep), sizeof(SeunetNetwork),
                               sizeof(SeunetImage), sizeof(SeunetResult), sizeof(SeunetLayer), sizeof(SeunetTraining),
                               sizeof(SeunetPixels), sizeof(SeunetStains)};
  return number >= 0 && number < static_cast<int32_t>(sizeof BYTES / sizeof *BYTES) ? BYTES[number] : 0;
}

// alpha (3, outputs, inputs) and weight (outputs, inputs) to the order in which the kernels read them.
API void seunet_pack_mix(const float* alpha, int32_t outputs, int32_t inputs, float* packed) {
  pack_mix(alpha, outputs, inputs, packed);
}
API void seunet_pack_pointwise(const float* weight, int32_t outputs, int32_t inputs, float* packed) {
  pack_pointwise(weight, outputs, inputs, packed);
}

// Floats that `seunet_infer` needs as workspace; 0 where it cannot run that network on that image.
API int64_t seunet_workspace(const SeunetNetwork* net, const SeunetImage* image, const SeunetResult* result,
                             int32_t threads) {
  return Inference::serves(*net, *image, *result) ? Inference(*net, *image, *result, threads).workspace() : 0;
}

// The results of a batch of images whose sides the network's stride divides.
// Returns 0, or 1 where it cannot run that network on that image, or the workspace of `size` floats is too small.
API int32_t seunet_infer(const SeunetNetwork* net, const SeunetImage* image, const SeunetResult* result, float* workspace,
                         int64_t size, int32_t threads) {
  if (!Inference::serves(*net, *image, *result)) return 1;
  Inference inference(*net, *image, *result, threads);
  if (size < inference.workspace()) return 1;
  inference.run(workspace);
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

// The confidence (maps, height, width) of maps of the background; `scratch` holds 4 * (width + 1) doubles for each thread.
API void seunet_confidence(const float* background, int32_t maps, int32_t height, int32_t width, int32_t nearby,
                           double prior, double unknown, float* confidence, double* scratch, int32_t threads) {
  const Confidence one = {height, width, nearby, prior, unknown};
  const int64_t size = static_cast<int64_t>(height) * width;
  Team::run(std::min(threads, maps), [=](Team& team, int thread) {
    double* own = scratch + thread * Confidence::scratch_doubles(width);
    team.share(maps, [=](int n) { one.run(background + n * size, confidence + n * size, own); });
  });
}

// From the probabilities (batch, groups, classes, pixels), and the weights (batch, groups, pixels) or null, to the fused
// ones (batch, classes, pixels) and the numbers of the groups that decide (batch, pixels); null for what is not wanted.
API void seunet_fuse(const float* probabilities, const float* weights, int32_t batch, int32_t groups, int32_t classes,
                     int64_t pixels, int32_t strategy, float* fused, int64_t* winner, int32_t threads) {
  constexpr int64_t PART = 16384;  // pixels of a task
  const Fusion fusion = {groups, classes, pixels, static_cast<Strategy>(strategy)};
  const int64_t parts = (pixels + PART - 1) / PART;
  Team::run(static_cast<int>(std::min<int64_t>(threads, batch * parts)), [=](Team& team, int) {
    team.share(static_cast<int>(batch * parts), [=](int n) {
      const int64_t image = n / parts, begin = n % parts * PART, end = std::min(begin + PART, pixels);
      for (int64_t x = begin; x < end; x += LANES)
        fusion.run(probabilities + image * groups * classes * pixels,
                   weights == nullptr ? nullptr : weights + image * groups * pixels,
                   fused == nullptr ? nullptr : fused + image * classes * pixels,
                   winner == nullptr ? nullptr : winner + image * pixels, x,
                   static_cast<int>(std::min<int64_t>(LANES, end - x)));
    });
  });
}

// An image of one stain to that of another, (3, pixels).
API void seunet_transfer_stains(const SeunetStains* stains, const SeunetPixels* image, uint8_t* to, int32_t threads) {
  constexpr int64_t PART = 65536;  // pixels of a task
  const StainTransfer transfer = {*stains};
  const int parts = static_cast<int>((image->pixels + PART - 1) / PART);
  Team::run(std::min(threads, parts), [=](Team& team, int) {
    team.share(parts, [=](int n) {
      transfer.run(*image, to, n * PART, std::min((n + 1) * PART, image->pixels));
    });
  });
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
