"""Boosting: what it takes to bring LightGBM, XGBoost and scikit-learn's histograms to ONNX, and their categories."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from typing import Any

# The converters write no newer trees than those of ai.onnx.ml 3.
OPSET = {"": 18, "ai.onnx.ml": 3}
_PACKAGES = ("lightgbm", "xgboost")
_HISTOGRAMS = "HistGradientBoosting"


def is_in(pipeline: Any) -> bool:
    """Whether a step of `pipeline` is LightGBM's or XGBoost's; their converters are then known to skl2onnx.

    Raises ImportError without the extra `boosting`.
    """
    found = {type(step).__module__.partition(".")[0] for step in estimators(pipeline)} & set(_PACKAGES)
    for package in found:
        _register(package)
    return bool(found)


def convertible(pipeline: Any) -> Any:
    """`pipeline` as the converters want it: where it has a step of XGBoost's, a copy in which features are numbered."""
    steps = list(estimators(pipeline))
    if any(type(step).__name__.startswith(_HISTOGRAMS) for step in steps):
        _register_histograms()
    if not any(_is_xgboost(step) for step in steps):
        return pipeline
    copied = copy.deepcopy(pipeline)
    for step in estimators(copied):
        if _is_xgboost(step):
            step.get_booster().feature_names = None
    return copied


def categories(pipeline: Any) -> dict[str, list[str]]:
    """The categories of each text feature that an XGBoost step of `pipeline` was trained on; {} without one.

    The others know their own and take a category that they never saw for a missing one, where XGBoost fails.
    """
    found: dict[str, list[str]] = {}
    for step in estimators(pipeline):
        if _is_xgboost(step):
            known = step.get_booster().get_categories(export_to_arrow=True).to_arrow() or ()
            found |= {name: values.to_pylist() for name, values in known if values is not None}
    return found


def _is_xgboost(step: Any) -> bool:
    return type(step).__module__.startswith("xgboost.")


def estimators(estimator: Any) -> Iterator[Any]:
    """`estimator` and every step in it."""
    # What a pipeline or column transformer was made of, and what it fitted, which may be copies.
    yield estimator
    if not hasattr(estimator, "get_params"):
        return
    fitted = getattr(estimator, "transformers_", [])
    for value in [*estimator.get_params(deep=False).values(), fitted]:
        members = value if isinstance(value, list | tuple) else [value]
        for member in members:
            inner = member[1] if isinstance(member, tuple) and len(member) > 1 else member
            if hasattr(inner, "get_params") and not isinstance(inner, type):
                yield from estimators(inner)


@functools.cache
def _register(package: str) -> None:
    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator as shapes

    if package == "lightgbm":
        import lightgbm
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm as convert

        classifiers, regressors = [lightgbm.LGBMClassifier], [lightgbm.LGBMRegressor]
    else:
        import xgboost
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost as convert

        classifiers = [xgboost.XGBClassifier, xgboost.XGBRFClassifier]
        regressors = [xgboost.XGBRegressor, xgboost.XGBRFRegressor]
    options = {"nocl": [True, False], "zipmap": [True, False, "columns"], "output_class_labels": [False, True]}
    for one in classifiers:
        shape = shapes.calculate_linear_classifier_output_shapes
        update_registered_converter(one, f"{package}{one.__name__}", shape, convert, options=options)
    for one in regressors:
        shape = shapes.calculate_linear_regressor_output_shapes
        more = {"split": None} if package == "lightgbm" else {}
        update_registered_converter(one, f"{package}{one.__name__}", shape, convert, options=more)


@functools.cache
def _register_histograms() -> None:
    # skl2onnx's own converter gives a leaf False where protobuf takes an integer only.
    from skl2onnx import update_registered_converter
    from skl2onnx.common._registration import get_converter, get_shape_calculator
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    answers = {"zipmap": [True, False, "columns"], "nocl": [True, False], "raw_scores": [True, False]}
    options = {
        HistGradientBoostingClassifier: {**answers, "output_class_labels": [False, True]},
        HistGradientBoostingRegressor: {},
    }
    for family, known in options.items():
        alias = f"Sklearn{family.__name__}"
        convert = functools.partial(_convert_histograms, get_converter(alias))
        update_registered_converter(family, alias, get_shape_calculator(alias), convert, options=known)


def _convert_histograms(convert: Any, scope: Any, operator: Any, container: Any) -> None:
    add_node = container.add_node

    def with_integers(*positional: Any, nodes_missing_value_tracks_true: Any = (), **named: Any) -> None:
        tracks = [int(one) for one in nodes_missing_value_tracks_true]
        add_node(*positional, **named, **({"nodes_missing_value_tracks_true": tracks} if tracks else {}))

    container.add_node = with_integers
    try:
        convert(scope, operator, container)
    finally:
        del container.add_node
