// The functions of the library.
#include "inference.h"
#include "interface.h"
#include "mix.h"
#include "pointwise.h"

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

// Logits (groups, batch, classes, height, width) of a batch of images whose sides the network's stride divides.
// Returns 0, or 1 where it cannot run that network on that image.
API int32_t seunet_infer(const SeunetNetwork* net, const SeunetImage* image, float* logits, float* workspace,
                         int32_t threads) {
  if (!Inference::serves(*net, *image)) return 1;
  Inference(*net, *image, threads).run(logits, workspace);
  return 0;
}
