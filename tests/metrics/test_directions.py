import inspect

import pytest

import captum_video.metrics as metrics
from captum_video.metrics import HIGHER_IS_BETTER

NO_JUDGEMENT = {"join_clips", "min_max", "modality_score", "random_maps"}


def test_every_metric_has_a_direction():
    public = {name for name in metrics.__all__ if inspect.isfunction(getattr(metrics, name))}
    assert {name.split(".")[0] for name in HIGHER_IS_BETTER} == (
        public - NO_JUDGEMENT | {"Insertion", "Deletion"}
    )


def test_classes_say_the_same():
    for name in ("Insertion", "Deletion"):
        assert getattr(metrics, name).higher_is_better is HIGHER_IS_BETTER[name]
        assert HIGHER_IS_BETTER[name] is HIGHER_IS_BETTER[name.lower()]
    assert metrics.FlowAgreement.higher_is_better is HIGHER_IS_BETTER["flow_agreement"]
    randomized = metrics.ParameterRandomization.higher_is_better
    assert randomized is HIGHER_IS_BETTER["parameter_randomization"]


@pytest.mark.parametrize("name", HIGHER_IS_BETTER)
def test_docstrings_say_the_same_and_when_it_lies(name):
    function, _, number = name.partition(".")
    text = " ".join(inspect.getdoc(getattr(metrics, function)).lower().split())
    if not number and function not in (
        "weighted_jaccard",
        "flow_agreement",
        "precision_and_recall",
    ):
        assert ("higher is" if HIGHER_IS_BETTER[name] else "lower is") in text
    if function not in ("Insertion", "Deletion", "euclidean_distance"):
        assert " lies " in text or "random map" in text


def test_the_table_can_not_be_changed():
    with pytest.raises(TypeError):
        HIGHER_IS_BETTER["insertion"] = False  # type: ignore[index]
