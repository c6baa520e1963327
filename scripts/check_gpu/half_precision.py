"""Mixed precision against float32: predictions of trained weights, and some training steps."""

from __future__ import annotations

import argparse
import copy
import warnings

from records import Records, run_step

MODELS = ("seunet_octaves", "model.pt"), ("plain_unet", "plain_unet.pt")
SHARE = {"float16": 0.01, "bfloat16": 0.05}  # largest share of pixels whose class changes
COSINE = {"float16": 0.99, "bfloat16": 0.95}  # least cosine of the gradient and that of float32
LOSS = 0.1  # largest relative difference of the loss after the steps
STEPS = 10
SCALE = 256.0


def trained(network: str, weights: str, side: int):
    """Return a network of the bundle with trained weights, and a stained image and its nuclei as it sees them.

    Returns:
        The network, the middle of an image of scikit-image (1, 3, side, side), and the label (1, 1, side, side) that
        the network itself gives in float32 on the CPU.
    """
    from skimage.data import immunohistochemistry

    from monai_seunet.config.defaults import default_bundle
    from monai_seunet.slides.configure import configure_segmenter
    from monai_seunet.slides.inference.preprocessing import stain_of

    bundle = default_bundle()
    model = configure_segmenter(bundle, network, checkpoint=bundle / "models" / weights)[0].model
    pixels = immunohistochemistry()
    image = model.preprocessing.for_slide(stain_of([pixels]), lambda: [pixels])(pixels)[None]
    start = (image.shape[-1] - side) // 2
    image = image[..., start : start + side, start : start + side]
    return model.network, image, classes(model.network, image)[:, None]


def classes(net, x, amp=None):
    """Return the class of every pixel."""
    import torch

    from monai_seunet.fusion import fuse

    with torch.no_grad(), torch.autocast(x.device.type, dtype=amp, enabled=amp is not None):
        logits = net(x)
    probabilities = logits[..., :2, :, :].float().softmax(-3)
    return (fuse(probabilities, "p_conf") if net.num_scales > 1 else probabilities).argmax(1)


def predict(name: str, net, x, label, types, records: Records) -> None:
    """Compare the classes of pixels in mixed precision to those in float32."""
    nuclei = float(label.float().mean())
    records.check(f"{name}: some pixels are nuclei, as a control", 0.01 < nuclei < 0.99, f"{nuclei:.2f}")
    for dtype in types:
        kind = str(dtype).removeprefix("torch.")
        share = float((classes(net, x, dtype) != label[:, 0]).float().mean())
        records.at_most(f"{name}: share of pixels of another class in {kind}", share, SHARE[kind])


def learn(net, x, label, amp) -> tuple[list[float], list]:
    """Train some steps; return the losses, and the gradient of the first step as one vector.

    The scale of the loss in float16 is one that does not overflow: torch's own first scale makes it leave out steps.
    """
    import torch

    from monai_seunet.losses import ScaleGroupLoss

    net = copy.deepcopy(net).train()
    loss = ScaleGroupLoss(num_scales=net.num_scales, trained_weights=False, directions=0 if net.directions else None)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler(x.device.type, init_scale=SCALE, enabled=amp == torch.float16)
    losses, gradient = [], None
    for _ in range(STEPS):
        optimizer.zero_grad()
        with torch.autocast(x.device.type, dtype=amp, enabled=amp is not None):
            value = loss(net(x), label)
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        if gradient is None:
            gradient = torch.cat([p.grad.flatten() for p in net.parameters() if p.requires_grad]).float().cpu()
        scaler.step(optimizer)
        scaler.update()
        losses.append(float(value.detach()))
    return losses, gradient


def train(name: str, net, x, label, types, records: Records) -> None:
    """Compare losses and gradients in mixed precision to those in float32."""
    import torch

    expected, gradient = learn(net, x, label, None)
    told = f"from {expected[0]:.3f} to {expected[-1]:.3f}"
    records.check(f"{name}: training lowers the loss", expected[-1] < expected[0], told)
    for dtype in types:
        kind = str(dtype).removeprefix("torch.")
        losses, found = learn(net, x, label, dtype)
        cosine = float(torch.nn.functional.cosine_similarity(found, gradient, dim=0))
        told = f"cosine {cosine:.4f}, at least {COSINE[kind]}"
        records.check(f"{name}: direction of the gradient in {kind}", cosine >= COSINE[kind], told)
        change = abs(losses[-1] / expected[-1] - 1)
        records.at_most(f"{name}: relative difference of the loss after {STEPS} steps in {kind}", change, LOSS)


def half_precision(records: Records, options: argparse.Namespace) -> None:
    """Compare mixed precision to float32."""
    import torch

    warnings.simplefilter("ignore")
    # float16 takes minutes on a CPU
    types = [torch.bfloat16] if options.quick and options.device == "cpu" else [torch.bfloat16, torch.float16]
    for network, weights in MODELS[: 1 if options.quick else None]:
        net, x, label = trained(network, weights, 128 if options.quick else 512)
        net, x, label = net.to(options.device), x.to(options.device), label.to(options.device)
        predict(weights, net, x, label, types, records)
        train(weights, net, x, label, types, records)


if __name__ == "__main__":
    run_step(half_precision)
