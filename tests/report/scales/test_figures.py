import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from monai_seunet.drawing.panels import ScalePanels, draw_method_panels, draw_panels
from monai_seunet.drawing.style import head_colours, method_style, method_styles
from monai_seunet.report.files import save_figure
from monai_seunet.report.scales.curves import draw_heads, draw_methods
from monai_seunet.report.scales.equivariance import draw_error_curves, draw_error_matrices
from monai_seunet.report.scales.filters import draw_filters, strongest_filters
from monai_seunet.report.scales.sigmas import draw_sigmas


def legend_texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_curves_of_heads_show_the_scores_on_a_scale_axis(seunet_report, tmp_path):
    figure = draw_heads(seunet_report)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "test scale" and axes.get_ylabel() == "IoU of nucleus (%)"
    assert axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.25", "0.5", "1", "2", "4"]
    assert not any(tick.get_text() for tick in axes.get_xticklabels(minor=True))
    curves = {line.get_label().split("  ")[0]: line for line in axes.lines if len(line.get_xdata()) == 17}
    assert list(curves) == ["Head 1", "Head 2", "Head 3", "Head 4", "Head 5", "Arithmetic", "P_Dist", "P_Ens", "P_Max",
                            "P_Power", "P_Conf"]  # fmt: skip
    np.testing.assert_allclose(curves["Head 2"].get_ydata(), 100 * seunet_report.scores.curve("head 2"))
    assert f"P_Ens  ({100 * seunet_report.scores.mean('p_ens'):.1f})" in legend_texts(axes)
    path = save_figure(figure, tmp_path / "heads.png")
    assert Image.open(path).size[0] > 800 and list(tmp_path.iterdir()) == [path]


def test_runs_of_one_method_are_one_curve_with_a_band(plain_report, build_report):
    runs = [build_report(seed=0), build_report(seed=1, lift=-0.1)]
    (axes,) = draw_methods([*runs, plain_report]).axes
    assert [text.split("  ")[0] for text in legend_texts(axes)] == ["SEUNet", "PlainUNet"]
    assert "2 runs" in legend_texts(axes)[0] and "runs" not in legend_texts(axes)[1]
    assert len(axes.collections) == 1
    curve = next(line for line in axes.lines if line.get_label().startswith("SEUNet"))
    np.testing.assert_allclose(curve.get_ydata(), 50 * sum(run.scores.curve("p_ens") for run in runs))


def test_curves_on_different_scales_are_refused(seunet_report, plain_report):
    scores = dataclasses.replace(plain_report.scores, scales=tuple(2 * s for s in plain_report.scores.scales))
    with pytest.raises(ValueError, match="different test scales"):
        draw_methods([seunet_report, dataclasses.replace(plain_report, scores=scores)])


def test_a_method_has_the_same_colour_everywhere_and_methods_differ():
    assert method_style("SEUNet") == method_style("seunet") != method_style("PlainUNet")
    names = ["SEUNet", "SEUNet-fixed", "SEUNet-free", "SEUNet-geometric", "PlainUNet", "SESNUNet", "DISCOUNet", "NJet",
             "PlainUNet-scale-augmented", "RotoScaleUNet-p4m", "someone's net"]  # fmt: skip
    assert len({method_style(name) for name in names}) == len(names)
    unknown = [f"network {number}" for number in range(12)]
    styles = method_styles([*unknown, *names, *unknown])
    assert len(styles) == len(set(styles.values())) == len(names) + 12
    assert all(styles[name] == method_style(name) for name in names[:-1])
    assert len(set(head_colours(5))) == 5 and len(head_colours(1)) == 1


def test_sigmas_are_drawn_with_their_bounds(seunet_report):
    figure = draw_sigmas(seunet_report.sigmas, seunet_report.sigma_bounds)
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(seunet_report.sigmas)
    group = next(line for line in axes.lines if line.get_label() == "group 3")
    np.testing.assert_allclose(group.get_ydata(), [values[2] for values in seunet_report.sigmas.values()])
    assert legend_texts(axes) == [f"group {k}" for k in range(1, 6)] + ["bounds"]
    assert legend_texts(draw_sigmas(seunet_report.sigmas).axes[0])[-1] == "group 5"


def test_error_matrices_frame_the_least_error(seunet_report):
    errors = seunet_report.equivariance
    figure = draw_error_matrices(errors)
    panels = [axes for axes in figure.axes if axes.get_title().startswith("s = ")]
    assert [axes.get_title() for axes in panels[:2]] == ["s = 0.25", "s = 0.297"] and len(panels) == 17
    for axes, matrix, (image_group, zoomed_group) in zip(panels, errors.matrices, errors.pairs, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), matrix.T)  # the image's groups along x
        (frame,) = axes.patches
        assert (frame.get_x() + 1.5, frame.get_y() + 1.5) == (image_group, zoomed_group)
    assert figure.get_supxlabel() == "scale group of the image"


def test_error_curves_name_the_mean_error(seunet_report, plain_report):
    without = dataclasses.replace(plain_report, equivariance=None, method="unmeasured")
    (axes,) = draw_error_curves([seunet_report, plain_report, without]).axes
    means = [report.equivariance.mean for report in (seunet_report, plain_report)]
    assert legend_texts(axes) == [f"SEUNet  ({means[0]:.3f})", f"PlainUNet  ({means[1]:.3f})"]
    with pytest.raises(ValueError, match="no report has an equivariance error"):
        draw_error_curves([without])


def test_filters_have_one_row_each_and_one_column_per_scale():
    bank = torch.rand(2, 3, 7, 7)
    figure = draw_filters(list(bank), sigmas=[0.5, 1.0, 2.0])
    assert len(figure.axes) == 6
    assert [axes.get_title() for axes in figure.axes[:4]] == ["σ = 0.50", "σ = 1.00", "σ = 2.00", ""]
    np.testing.assert_allclose(figure.axes[4].images[0].get_array(), bank[1, 1])
    with pytest.raises(ValueError, match=r"shape \[3, 7\]; \(S, k, k\) is expected"):
        draw_filters([bank[0, 0, :3]])
    with pytest.raises(ValueError, match="1 sigmas are given for 3 scales"):
        draw_filters(list(bank), sigmas=[1.0])


def test_strongest_filters_are_chosen_and_share_a_window():
    small, large = torch.zeros(3, 2, 3, 3), torch.zeros(3, 2, 5, 5)
    small[1, 0, 1, 1] = 2.0
    large[1, 0, 2, 2] = 1.0
    small[2, 1, 0, 0] = 1.0
    first, second = strongest_filters([small, large], count=2)
    assert first.shape == second.shape == (2, 5, 5)
    assert first[0, 2, 2] == 2.0 and first[1, 2, 2] == 1.0 and first.count_nonzero() == 2
    assert second[0, 1, 1] == 1.0 and second.count_nonzero() == 1


def test_panels_tell_found_missed_and_false_pixels_apart(small_panels):
    figure = draw_panels(small_panels())
    prediction = figure.axes[2].images[0].get_array()
    assert len(np.unique(prediction.reshape(-1, 3), axis=0)) == 4
    assert [text.get_text() for text in figure.axes[3].get_legend().get_texts()] == ["found", "missed", "false"]
    assert [axes.get_title() for axes in figure.axes[:2]] == ["s = 0.5", "s = 1"]
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["image", "prediction", "winning group"]
    weights = [axes.xaxis.label.get_fontweight() for axes in figure.axes[2:4]]
    assert weights == ["normal", "bold"]
    assert figure.axes[3].get_xlabel() == "50.0"


def test_panels_survive_their_file_and_methods_stand_below_each_other(tmp_path, small_panels):
    ours = ScalePanels.load(small_panels(0.5).save(tmp_path / "panels.npz"))
    assert ours.same_field(small_panels()) and ours.scores == (0.4, 0.5) and ours.classes == ("background", "nucleus")
    figure = draw_method_panels([("SEUNet", ours), ("PlainUNet", small_panels(0.3))])
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["image", "SEUNet", "PlainUNet"]
    weights = [axes.xaxis.label.get_fontweight() for axes in figure.axes[2:]]
    assert weights == ["bold", "bold", "bold", "normal"]  # a tie at the first scale
    other = dataclasses.replace(ours, labels=1 - ours.labels)
    with pytest.raises(ValueError, match="different fields"):
        draw_method_panels([("SEUNet", ours), ("PlainUNet", other)])


def test_drawing_leaves_the_global_state_of_matplotlib_alone(tmp_path):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    save_figure(draw_filters([torch.rand(2, 3, 3)]), tmp_path / "filters.svg")
    assert pyplot.get_fignums() == before
    assert (tmp_path / "filters.svg").read_text().startswith("<?xml")
