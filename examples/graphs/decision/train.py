#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fits the steps of graph.yaml on made-up payments and writes them into a folder: train.py [FOLDER]

What a project of its own does the same way: fit with scikit-learn and XGBoost, save each part for the step that it becomes.
"""

import pathlib
import sys

import numpy as np
import xgboost
from sklearn.calibration import _SigmoidCalibration
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, RobustScaler

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "python"))
from sklearn_settings import save  # noqa: E402


def payments(n, seed):
    rng = np.random.default_rng(seed)
    numbers = np.stack([rng.lognormal(3, 1, n), rng.exponential(300, n), rng.poisson(2, n)], axis=1).astype(np.float32)
    country = rng.choice(["DE", "FR", "PL", "US", "??"], (n, 1), p=[0.3, 0.3, 0.2, 0.15, 0.05]).astype(object)
    risk = 0.02 * numbers[:, 0] - 0.004 * numbers[:, 1] + 0.4 * numbers[:, 2] + (country[:, 0] == "??") - 1
    fraud = rng.random(n) < 1 / (1 + np.exp(-risk))
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    return numbers, country, fraud


class Pipeline:
    def fit(self, numbers, country, fraud):
        half = len(fraud) // 2
        self.imputer = SimpleImputer(strategy="median", add_indicator=False).fit(numbers[:half])
        self.scaler = RobustScaler().fit(self.imputer.transform(numbers[:half]))
        self.encoder = OneHotEncoder(handle_unknown="ignore", dtype=np.float32, sparse_output=False).fit(country[:half])
        self.model = xgboost.XGBClassifier(n_estimators=20, max_depth=3, n_jobs=1).fit(self.features(numbers, country)[:half], fraud[:half])
        self.calibrator = _SigmoidCalibration().fit(self.scores(numbers, country)[half:], fraud[half:])
        return self

    def features(self, numbers, country):
        return np.hstack([self.scaler.transform(self.imputer.transform(numbers)), self.encoder.transform(country)])

    def scores(self, numbers, country):
        return self.model.predict_proba(self.features(numbers, country))[:, 1]

    def decide(self, numbers, country):
        probability = np.asarray(self.calibrator.predict(self.scores(numbers, country)))
        return probability, np.array(["APPROVE", "REVIEW", "BLOCK"], dtype=object)[np.digitize(probability, [0.3, 0.7])]

    def save(self, folder):
        for name in ("imputer", "scaler", "encoder", "calibrator"):
            save(getattr(self, name), folder / f"{name}.json")
        self.model.save_model(folder / "model.json")


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "fitted")
    folder.mkdir(exist_ok=True)
    Pipeline().fit(*payments(4000, seed=1)).save(folder)
