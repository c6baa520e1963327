"""The native kernels in several threads and processes."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import dask
import pytest
import torch
from native_networks import lively, natively

from monai_seunet.native.library import library
from monai_seunet.networks import SEUNet

pytestmark = pytest.mark.skipif(library() is None, reason="no native library for this machine")


@pytest.mark.parametrize("options", [{"width": 20}, {"width": 4, "num_octaves": 4, "scales_per_octave": 1}])
def test_any_number_of_threads_gives_the_same_bits(options):
    net = lively(SEUNet(**options)).folded()
    x = torch.randn(1, 3, 256, 256)
    results = []
    for threads in (1, 2, 3, 4, 7, 12):
        torch.set_num_threads(threads)
        results += [natively(net, x), natively(net, x)]
    assert all(torch.equal(result, results[0]) for result in results)


def test_networks_run_beside_each_other():
    nets = [lively(SEUNet(width=5)), lively(SEUNet(width=10)).folded()]
    images = [torch.randn(1, 3, 64 + 16 * n, 64) for n in range(4)]
    alone = [[natively(net, x) for x in images] for net in nets]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(4):
            together = [[pool.submit(natively, net, x) for x in images] for net in nets]
            for expected, futures in zip(alone, together, strict=True):
                assert all(torch.equal(e, f.result()) for e, f in zip(expected, futures, strict=True))


def _in_a_process(net, x, results):
    torch.set_num_threads(2)
    results.put(natively(net, x).numpy())


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_runs_in_other_processes(method):
    net, x = lively(SEUNet(width=10)), torch.randn(1, 3, 64, 64)
    expected = natively(net, x)  # the parent has run it before
    context = multiprocessing.get_context(method)
    results = context.Queue()
    process = context.Process(target=_in_a_process, args=(net, x, results))
    torch.set_num_threads(2)
    torch.arange(4_000_000, dtype=torch.float64).sqrt()  # which leaves a thread behind that no child process has
    process.start()
    result = torch.from_numpy(results.get(timeout=120))
    process.join(120)
    assert process.exitcode == 0 and torch.equal(result, expected)


@pytest.mark.parametrize("scheduler", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_runs_in_workers_of_dask(scheduler):
    net, images = lively(SEUNet(width=10)), torch.randn(4, 1, 3, 64, 64)
    expected = [natively(net, x) for x in images]
    found = dask.compute(*(dask.delayed(natively)(net, x) for x in images), scheduler=scheduler, num_workers=2)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
