# SPDX-License-Identifier: Apache-2.0
"""ONNX models of tree ensembles, as their exporters write them, and by hand."""

import numpy as np
import onnx
import onnxmltools
import skl2onnx
from lightgbm import LGBMClassifier, LGBMRegressor
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier

N, FEATURES = 600, 7
OPSET = {"": 18, "ai.onnx.ml": 3}


def data(missing=0.0, seed=6):
    random = np.random.default_rng(seed)
    x = random.normal(size=(N, FEATURES)).astype(np.float32)
    x[:, 5] = np.round(x[:, 5] * 2)
    y = x[:, 0] * x[:, 1] + x[:, 2] ** 2 + 0.3 * x[:, 5]
    x[random.random(x.shape) < missing] = np.nan
    return x, y


def label(kind, y):
    if kind == "text":
        return np.array(["no", "yes"])[(y > 0.8).astype(int)]
    if kind == "odd":
        return np.array([10, 20, 35])[np.digitize(y, [0.3, 1.4])]
    if kind == "count":
        return np.floor(np.abs(y))
    if kind == "none":
        return None
    if isinstance(kind, int):
        edges = np.quantile(y, np.arange(1, kind) / kind)
        return np.digitize(y, edges)
    return y


def from_sklearn(make, kind, double=False, zipmap=False, **made):
    """The model as skl2onnx writes it."""
    x, y = data(**made)
    model = make().fit(x.astype(np.float64), label(kind, y))
    classes = hasattr(model, "predict_proba")
    made = skl2onnx.to_onnx(
        model,
        x[:1].astype(np.float64 if double else np.float32),
        options={id(model): {"zipmap": zipmap}} if classes else None,
        target_opset=OPSET,
    )
    # Some are declared double, which ONNX Runtime refuses: these nodes return floats.
    for output in made.graph.output:
        if output.type.tensor_type.elem_type == TensorProto.DOUBLE:
            output.type.tensor_type.elem_type = TensorProto.FLOAT
    return made


def from_booster(model, kind, convert, missing=0.0, **options):
    x, y = data(missing)
    model.fit(x, label(kind, y))
    types = [("input", FloatTensorType([None, FEATURES]))]
    return convert(model, initial_types=types, **options)


def sklearn_case(make, kind="real", ulps=0, **made):
    return lambda: from_sklearn(make, kind, **made), ulps


def xgboost_case(make, kind="real", ulps=0, **made):
    return lambda: from_booster(make(), kind, onnxmltools.convert_xgboost, **made), ulps


def lightgbm_case(make, kind="real", ulps=0, **made):
    return lambda: from_booster(make(), kind, onnxmltools.convert_lightgbm, **made), ulps


def pipeline(*steps):
    return lambda: make_pipeline(*(step() for step in steps))


def with_seed(make, **settings):
    return lambda: make(random_state=3, **settings)


FOREST = {"n_estimators": 20, "max_depth": 7}
BOOST = {"n_estimators": 15, "max_depth": 3}
HIST = {"max_iter": 15, "max_leaf_nodes": 12}
LIGHT = {"n_estimators": 15, "num_leaves": 12, "verbose": -1, "n_jobs": 1}
XGB = {"n_estimators": 15, "max_depth": 4, "n_jobs": 1}

random_forest = with_seed(RandomForestClassifier, **FOREST)
extra_trees = with_seed(ExtraTreesClassifier, **FOREST)
boosting = with_seed(GradientBoostingClassifier, **BOOST)
hist_boosting = with_seed(HistGradientBoostingClassifier, **HIST)
one_tree = with_seed(DecisionTreeClassifier, max_depth=6)

# name -> (function that makes the model, units in the last place that scores may differ).
# Sums are made in the same order, so only exp is left to differ.
CASES = {
    "random-forest-2": sklearn_case(random_forest, 2),
    "random-forest-3": sklearn_case(random_forest, 3),
    "random-forest-12": sklearn_case(random_forest, 12),
    "random-forest-2-double": sklearn_case(random_forest, 2, double=True),
    "random-forest-12-double": sklearn_case(random_forest, 12, double=True),
    "random-forest-text-labels": sklearn_case(random_forest, "text"),
    "random-forest-odd-labels": sklearn_case(random_forest, "odd"),
    "random-forest-zipmap": sklearn_case(random_forest, 3, zipmap=True),
    "random-forest-text-zipmap": sklearn_case(random_forest, "text", zipmap=True),
    "random-forest-missing": sklearn_case(random_forest, 3, missing=0.2),
    "random-forest-regressor": sklearn_case(with_seed(RandomForestRegressor, **FOREST)),
    "random-forest-regressor-double": sklearn_case(
        with_seed(RandomForestRegressor, **FOREST), double=True
    ),
    "random-forest-deep": sklearn_case(with_seed(RandomForestRegressor, n_estimators=5)),
    "extra-trees-2": sklearn_case(extra_trees, 2),
    "extra-trees-12": sklearn_case(extra_trees, 12),
    "extra-trees-regressor": sklearn_case(with_seed(ExtraTreesRegressor, **FOREST)),
    "boosting-2": sklearn_case(boosting, 2, ulps=4),
    "boosting-3": sklearn_case(boosting, 3, ulps=4),
    "boosting-12": sklearn_case(boosting, 12, ulps=4),
    "boosting-3-double": sklearn_case(boosting, 3, ulps=4, double=True),
    "boosting-regressor": sklearn_case(with_seed(GradientBoostingRegressor, **BOOST)),
    "boosting-regressor-double": sklearn_case(
        with_seed(GradientBoostingRegressor, **BOOST), double=True
    ),
    "hist-boosting-2": sklearn_case(hist_boosting, 2, ulps=4, missing=0.2),
    "hist-boosting-3": sklearn_case(hist_boosting, 3, ulps=4, missing=0.2),
    "hist-boosting-12": sklearn_case(hist_boosting, 12, ulps=4),
    "hist-boosting-regressor": sklearn_case(
        with_seed(HistGradientBoostingRegressor, **HIST), missing=0.2
    ),
    "hist-boosting-regressor-double": sklearn_case(
        with_seed(HistGradientBoostingRegressor, **HIST), double=True, missing=0.2
    ),
    "tree-2": sklearn_case(one_tree, 2),
    "tree-3": sklearn_case(one_tree, 3),
    "tree-12-double": sklearn_case(one_tree, 12, double=True),
    "tree-regressor": sklearn_case(with_seed(DecisionTreeRegressor, max_depth=6)),
    "tree-regressor-double": sklearn_case(
        with_seed(DecisionTreeRegressor, max_depth=6), double=True
    ),
    "isolation-forest": sklearn_case(
        with_seed(IsolationForest, n_estimators=30, max_samples=64), "none", ulps=4
    ),
    "isolation-forest-contaminated": sklearn_case(
        with_seed(IsolationForest, n_estimators=10, contamination=0.2), "none", ulps=4
    ),
    "scaled": sklearn_case(pipeline(StandardScaler, random_forest), 3),
    "scaled-double": sklearn_case(pipeline(StandardScaler, random_forest), 3, double=True),
    "scaled-and-imputed": sklearn_case(
        pipeline(MinMaxScaler, SimpleImputer, random_forest), 2, missing=0.2
    ),
    "imputed-regressor": sklearn_case(
        pipeline(SimpleImputer, with_seed(RandomForestRegressor, **FOREST)), missing=0.2
    ),
    "xgboost-regressor": xgboost_case(lambda: XGBRegressor(**XGB), missing=0.2),
    "xgboost-poisson": xgboost_case(
        lambda: XGBRegressor(objective="count:poisson", **XGB), "count", ulps=4
    ),
    "xgboost-gamma": xgboost_case(
        lambda: XGBRegressor(objective="reg:tweedie", **XGB), "count", ulps=4
    ),
    "xgboost-2": xgboost_case(lambda: XGBClassifier(**XGB), 2, ulps=4, missing=0.2),
    "xgboost-3": xgboost_case(lambda: XGBClassifier(**XGB), 3, ulps=4, missing=0.2),
    "xgboost-12": xgboost_case(lambda: XGBClassifier(**XGB), 12, ulps=4),
    "xgboost-random-forest": xgboost_case(lambda: XGBRFClassifier(**XGB), 3, ulps=4),
    "lightgbm-regressor": lightgbm_case(lambda: LGBMRegressor(**LIGHT), missing=0.2),
    "lightgbm-poisson": lightgbm_case(
        lambda: LGBMRegressor(objective="poisson", **LIGHT), "count", ulps=4
    ),
    "lightgbm-2": lightgbm_case(lambda: LGBMClassifier(**LIGHT), 2, ulps=4, zipmap=False),
    "lightgbm-text-zipmap": lightgbm_case(lambda: LGBMClassifier(**LIGHT), "text", ulps=4),
    "lightgbm-3": lightgbm_case(lambda: LGBMClassifier(**LIGHT), 3, ulps=4, zipmap=False),
    "lightgbm-12-zipmap": lightgbm_case(lambda: LGBMClassifier(**LIGHT), 12, ulps=4),
    "lightgbm-random-forest": lightgbm_case(
        lambda: LGBMRegressor(boosting_type="rf", bagging_freq=1, bagging_fraction=0.6, **LIGHT)
    ),
    # Partial sums of floats, added in double: ONNX Runtime rounds where Phoenix does not.
    "lightgbm-split": lightgbm_case(lambda: LGBMRegressor(**LIGHT), ulps=64, split=4),
}


def model_of(node, outputs, element=TensorProto.FLOAT, features=2, ml=5):
    """A model of one node; `outputs` are (name, element type, columns or None for a vector)."""
    made = [
        helper.make_tensor_value_info(name, kind, [None] if n is None else [None, n])
        for name, kind, n in outputs
    ]
    rows = helper.make_tensor_value_info("X", element, [None, features])
    graph = helper.make_graph([node], "g", [rows], made)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", ml)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def random_ensemble(
    seed=0, trees=6, depth=4, targets=1, modes=(0, 1, 2, 3, 4, 5, 6), double=False, features=4, **settings
):
    """A TreeEnsemble of version 5 with splits of every mode, leaves for every target."""
    random = np.random.default_rng(seed)
    kind = np.float64 if double else np.float32
    a = {key: [] for key in ("feature", "mode", "split", "yes", "no", "yes_leaf", "no_leaf", "nan")}
    leaf_targets, leaf_weights, members, roots = [], [], {}, []

    def grow(level):
        if level == depth or (level and random.random() < 0.15):
            leaf_targets.append(int(random.integers(targets)))
            leaf_weights.append(kind(random.normal()))
            return len(leaf_weights) - 1, 1
        node = len(a["mode"])
        mode = int(random.choice(modes))
        value = kind(random.integers(-3, 4) if mode >= 4 else np.round(random.normal(), 1))
        for key, item in (
            ("feature", int(random.integers(features))),
            ("mode", mode),
            ("split", value),
            ("yes", 0),
            ("no", 0),
            ("yes_leaf", 0),
            ("no_leaf", 0),
            ("nan", int(random.integers(2))),
        ):
            a[key].append(item)
        if mode == 6:
            members[node] = random.choice([-2, -1, 0, 1, 2, 3, 40], 3, replace=False)
        a["yes"][node], a["yes_leaf"][node] = grow(level + 1)
        a["no"][node], a["no_leaf"][node] = grow(level + 1)
        return node, 0

    for _ in range(trees):
        roots.append(grow(0)[0])
    attributes = {
        "tree_roots": roots,
        "nodes_featureids": a["feature"],
        "nodes_modes": numpy_helper.from_array(np.array(a["mode"], np.uint8)),
        "nodes_splits": numpy_helper.from_array(np.array(a["split"], kind)),
        "nodes_truenodeids": a["yes"],
        "nodes_falsenodeids": a["no"],
        "nodes_trueleafs": a["yes_leaf"],
        "nodes_falseleafs": a["no_leaf"],
        "nodes_missing_value_tracks_true": a["nan"],
        "leaf_targetids": leaf_targets,
        "leaf_weights": numpy_helper.from_array(np.array(leaf_weights, kind)),
        "n_targets": targets,
        **settings,
    }
    if members:
        lists = [np.append(members[node], np.nan) for node in sorted(members)]
        attributes["membership_values"] = numpy_helper.from_array(np.concatenate(lists).astype(kind))
    node = helper.make_node("TreeEnsemble", ["X"], ["Y"], domain="ai.onnx.ml", **attributes)
    element = TensorProto.DOUBLE if double else TensorProto.FLOAT
    return model_of(node, [("Y", element, targets)], element, features)


def attribute(model, name):
    """An attribute of the first node that has it."""
    for node in model.graph.node:
        for a in node.attribute:
            if a.name == name:
                value = helper.get_attribute_value(a)
                return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
    return None
