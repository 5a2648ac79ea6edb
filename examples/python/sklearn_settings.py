#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The settings of Phoenix's processors from transformers that scikit-learn fitted.

    from sklearn_settings import save
    save(scaler, "scaler.json")             # {processor: scale, with: {file: scaler.json}} in graph.yaml

    python sklearn_settings.py scaler.joblib scaler.json
"""

import json
import sys


def scale(method, shift, parameters, transformer):
    with_ = {"method": method}
    for key, name in ((shift, parameters[0]), ("scale", parameters[1])):
        if name and getattr(transformer, name, None) is not None:
            with_[key] = getattr(transformer, name)
    if getattr(transformer, "clip", False):
        with_["clip"] = getattr(transformer, "feature_range", (-1, 1))
    return with_


def standard(transformer):
    used = ("mean_" if transformer.with_mean else None, "scale_" if transformer.with_std else None)
    return scale("standard", "mean", used, transformer)


def impute(transformer):
    with_ = {"values": transformer.statistics_}
    if not is_nan(transformer.missing_values):
        with_["missing"] = transformer.missing_values
    if transformer.add_indicator:
        with_["add_indicator"] = transformer.indicator_.features_
    return with_


def frequent(names, rare):
    few = [] if rare is None else plain(rare)
    return [name for name in plain(names) if name not in few]


def one_hot(transformer):
    rare = getattr(transformer, "infrequent_categories_", [None] * len(transformer.categories_))
    unknown = {"ignore": "ignore", "error": "error"}.get(transformer.handle_unknown, "other")
    if any(one is not None for one in rare) and (unknown != "other" or transformer.drop_idx_ is not None):
        raise ValueError("infrequent categories need handle_unknown='infrequent_if_exist', and no drop")
    with_ = {"method": "one_hot", "unknown": unknown,
             "categories": [frequent(names, few) for names, few in zip(transformer.categories_, rare)]}
    if unknown == "other":
        with_["other_columns"] = [column for column, few in enumerate(rare) if few is not None]
    if transformer.drop_idx_ is not None:
        with_["drop"] = transformer.drop_idx_
    return with_


def ordinal(transformer):
    if any(few is not None for few in getattr(transformer, "infrequent_categories_", [])):
        raise ValueError("ordinal codes of infrequent categories cannot be exported: fit without min_frequency and max_categories")
    with_ = {"method": "ordinal", "categories": transformer.categories_, "unknown": "error"}
    if transformer.handle_unknown == "use_encoded_value":
        with_.update(unknown="ignore", unknown_value=transformer.unknown_value)
    if not is_nan(transformer.encoded_missing_value):
        with_["missing_value"] = transformer.encoded_missing_value
    return with_


def bins(transformer):
    return {"edges": [edges[1:-1] for edges in transformer.bin_edges_], "type": "FP64",
            "method": "ordinal" if transformer.encode == "ordinal" else "one_hot"}


def isotonic(transformer):
    outside = {"raise": "error"}.get(transformer.out_of_bounds, transformer.out_of_bounds)
    return {"x": transformer.X_thresholds_, "y": transformer.y_thresholds_, "out_of_bounds": outside}


KINDS = {
    "StandardScaler": ("scale", standard),
    "MinMaxScaler": ("scale", lambda t: scale("minmax", "min", ("min_", "scale_"), t)),
    "RobustScaler": ("scale", lambda t: scale("robust", "center", ("center_", "scale_"), t)),
    "MaxAbsScaler": ("scale", lambda t: scale("maxabs", "", (None, "scale_"), t)),
    "SimpleImputer": ("impute", impute),
    "OneHotEncoder": ("encode", one_hot),
    "OrdinalEncoder": ("encode", ordinal),
    "KBinsDiscretizer": ("bucketise", bins),
    "IsotonicRegression": ("isotonic", isotonic),
    "_SigmoidCalibration": ("platt", lambda t: {"a": t.a_, "b": t.b_}),
}


def is_nan(value):
    return isinstance(value, float) and value != value


def plain(value):
    """As JSON has it; NaN in a list is a missing value, null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [None if is_nan(each) else plain(each) for each in value]
    return value


def step(transformer):
    """The processor's name and its settings. A calibrated classifier with two classes gives its calibrator."""
    if type(transformer).__name__ == "CalibratedClassifierCV":
        calibrated = transformer.calibrated_classifiers_
        if len(calibrated) != 1 or len(calibrated[0].calibrators) != 1:
            raise ValueError("expected two classes and one calibrator: CalibratedClassifierCV(..., ensemble=False)")
        transformer = calibrated[0].calibrators[0]
    name = type(transformer).__name__
    if name not in KINDS:
        raise ValueError(f"no processor does what {name} does; there are ones for {', '.join(KINDS)}")
    processor, settings = KINDS[name]
    return processor, {key: plain(value) for key, value in settings(transformer).items()}


def save(transformer, path):
    processor, settings = step(transformer)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(settings, file, ensure_ascii=False)
    return processor


if __name__ == "__main__":
    import joblib

    print(save(joblib.load(sys.argv[1]), sys.argv[2]))
