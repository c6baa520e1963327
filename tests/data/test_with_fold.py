import pytest

from monai_seunet.data import load_dataset, with_fold
from monai_seunet.tracking import split_hash
from monai_seunet.tracking.split import without_fold
from monai_seunet.utils.errors import InputError


def test_a_fold_splits_training_and_validation_anew_and_keeps_test(several):
    whole, single = several("whole"), several("single", validation=...)
    dataset = load_dataset(whole)
    folds = [with_fold(dataset, [fold, 2]) for fold in range(2)]
    named = [{item["group"] for item in fold.validation} for fold in folds]
    everything = {item["group"] for item in (*dataset.training, *dataset.validation)}
    assert named[0] | named[1] == everything and not named[0] & named[1]
    for fold, validated in zip(folds, named, strict=True):
        assert {item["group"] for item in fold.training} == everything - validated
        assert fold.test == dataset.test
    hashes = {split_hash(data) for data in (dataset, *folds)}
    assert len(hashes) == 3 and {without_fold(split_hash(fold)) for fold in folds} == {split_hash(folds[0])[:8]}
    other = several("other")
    for fold in range(2):
        both = with_fold(load_dataset([whole, other]), [fold, 2])
        assert not {item["group"] for item in both.training} & {item["group"] for item in both.validation}
    joined = with_fold(load_dataset([whole, single]), [1, 2])
    assert joined.fold == (1, 2) and joined.validation == folds[1].validation
    assert joined.training == [*folds[1].training, *load_dataset(single).training], "has no validation to fold"


@pytest.mark.parametrize("fold", [3, [0], [0, 1.5], ["0", "5"], [True, 5], [0, 9]])
def test_a_wrong_fold_is_refused(several, fold):
    with pytest.raises(InputError, match="fold"):
        with_fold(load_dataset(several()), fold)
