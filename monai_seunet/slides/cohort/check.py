"""Refusals that hold for all images of a cohort, raised once before the first image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.slide import Choice
from monai_seunet.slides.cohort.cases import Case
from monai_seunet.slides.magnification.check_resolution import calibration_of_mpp
from monai_seunet.slides.model import ImageKindError
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.slides.work_folder import OtherPlanError, WorkFolder
from monai_seunet.utils.errors import InputError


def check_cohort(segmenter: SlideSegmenter, cases: Sequence[Case], output: Path, overwrite: bool, here: bool) -> None:
    """Check what holds for all images: options of the network, earlier results, and the kind of the images.

    Limits: results of other options are refused if one image has them, because a table would mix both. The kind is
    refused if no image has the right one. Damaged files are left to the segmentation.

    Args:
        segmenter: segmenter for all images.
        cases: images of the cohort.
        output: folder for the folders of all images.
        overwrite: whether earlier results are replaced.
        here: whether this machine has the images; workers of a cluster may have other folders.

    Raises:
        InputError: the options, the folder or the images do not fit.
    """
    segmenter.check_options()
    if segmenter.options.mpp == "auto" and any(case.mpp is None for case in cases):
        calibration_of_mpp(segmenter.model)
    if not overwrite:
        _check_results(segmenter, cases, output)
    if here and segmenter.model.preprocessing.stain_target is not None:
        _check_kind(segmenter, cases)


def _check_results(segmenter: SlideSegmenter, cases: Sequence[Case], output: Path) -> None:
    others: list[OtherPlanError] = []
    plan = segmenter.plan
    for case in cases:
        try:
            WorkFolder(output / case.name, plan, model=segmenter.model.title).check()
        except OtherPlanError as error:
            others.append(error)
        except InputError:
            continue  # a damaged file; it concerns this image alone
    if others:
        of_all = (
            f"{len(others)} of {len(cases)} images have results of other options; the first is " if cases[1:] else ""
        )
        raise InputError(f"{of_all}{others[0]}") from others[0]


def _check_kind(segmenter: SlideSegmenter, cases: Sequence[Case]) -> None:
    first: ImageKindError | None = None
    for case in cases:
        try:
            with open_slide(case.path, Choice(segmenter.options.series, segmenter.options.plane)) as slide:
                segmenter.model.check_slide(slide)
            return
        except ImageKindError as error:
            first = first or error
        except InputError:
            continue  # a file that cannot be read; it concerns this image alone
    if first is not None:
        number = f"none of {len(cases)} images fits the model; the first is " if cases[1:] else ""
        raise InputError(f"{number}{first}") from first
