"""What a skops file may hold beyond what skops itself trusts.

Each type does nothing but hold numbers and compute when it is made or called: none opens a file, a connection or a
process, and none calls what it was not given. What it is given to call is in the file too, and judged like it. A class
or function that takes the name of a file or of something to import has no place here.
"""

from __future__ import annotations

from typing import Any

_DISTANCES = ("Chebyshev", "Euclidean", "Manhattan", "Minkowski")
_KERNELS = (
    "CompoundKernel",
    "ConstantKernel",
    "DotProduct",
    "ExpSineSquared",
    "Exponentiation",
    "Matern",
    "PairwiseKernel",
    "Product",
    "RBF",
    "RationalQuadratic",
    "Sum",
    "WhiteKernel",
)
# What a search for parameters leaves behind; nothing of it is called when the model answers.
_SPLITS = (
    "GroupKFold",
    "KFold",
    "RepeatedKFold",
    "RepeatedStratifiedKFold",
    "ShuffleSplit",
    "StratifiedGroupKFold",
    "StratifiedKFold",
    "StratifiedShuffleSplit",
    "TimeSeriesSplit",
)
_METRICS = {
    "_classification": (
        "accuracy_score",
        "balanced_accuracy_score",
        "brier_score_loss",
        "cohen_kappa_score",
        "f1_score",
        "fbeta_score",
        "jaccard_score",
        "log_loss",
        "matthews_corrcoef",
        "precision_score",
        "recall_score",
    ),
    "_ranking": ("average_precision_score", "roc_auc_score", "top_k_accuracy_score"),
    "_regression": (
        "d2_absolute_error_score",
        "explained_variance_score",
        "max_error",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_gamma_deviance",
        "mean_poisson_deviance",
        "mean_squared_error",
        "mean_squared_log_error",
        "median_absolute_error",
        "r2_score",
        "root_mean_squared_error",
        "root_mean_squared_log_error",
    ),
}
_SCORERS = ("_CurveScorer", "_PassthroughScorer", "_Scorer")
# The attributes of a search or a threshold, and of what is said of them: nothing there is called when it answers.
SCORERS_LIE_IN = frozenset({"_curve_scorer", "owner", "scorer_", "scoring"})
_SELECTIONS = ("chi2", "f_classif", "f_regression")

# Fitted models, NumPy's types, and boosting's own classes. Of a partial or a scorer, skops checks the function too: it
# can call nothing that is not trusted by itself.
TYPES = frozenset(
    {
        "builtins.object",
        "collections.OrderedDict",
        "functools.partial",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.dtype",
        "numpy.mean",
        "numpy.number",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.sparse._csr.csr_matrix",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        *(f"sklearn.feature_selection._univariate_selection.{name}" for name in _SELECTIONS),
        "sklearn.feature_selection._mutual_info.mutual_info_classif",
        "sklearn.feature_selection._mutual_info.mutual_info_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
        "sklearn.impute._iterative.IterativeImputer",
        "sklearn.impute._iterative._ImputerTriplet",
        *(f"sklearn.metrics._dist_metrics.{name}Distance{bits}" for name in _DISTANCES for bits in (32, 64)),
        *(f"sklearn.metrics.{module}.{name}" for module, names in _METRICS.items() for name in names),
        *(f"sklearn.metrics._scorer.{name}" for name in _SCORERS),
        *(f"sklearn.model_selection._split.{name}" for name in _SPLITS),
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        "sklearn.utils.validation.check_array",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
        "xgboost.sklearn.XGBRFClassifier",
        "xgboost.sklearn.XGBRFRegressor",
    }
)


def is_scorer(one: Any) -> bool:
    """Whether `one` is a scorer of scikit-learn's."""
    return type(one).__module__ == "sklearn.metrics._scorer" and type(one).__name__ in _SCORERS
