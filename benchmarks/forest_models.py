# SPDX-License-Identifier: Apache-2.0
"""The models of the forest figures: trained here, each saved in the forms that somebody can read."""
import numpy as np

N_FEATURES, N_ROWS = 32, 20_000

# name -> (library, trees, what limits a tree)
MODELS = {
    "100x4": ("xgboost", 100, 4),
    "100x6": ("xgboost", 100, 6),
    "500x6": ("xgboost", 500, 6),
    "500x8": ("xgboost", 500, 8),
    "500x31 leaves": ("lightgbm", 500, 31),
    "1000x255 leaves": ("lightgbm", 1000, 255),
    "forest 500x20": ("forest", 500, 20),
}


def training_data(n_rows=N_ROWS):
    random = np.random.default_rng(7)
    rows = random.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    target = (rows[:, 0] * rows[:, 1] + np.sin(2 * rows[:, 2]) + rows[:, 3] * (rows[:, 4] > 0)
              + rows[:, 5:15].sum(axis=1) / 2 + rows[:, 16] * rows[:, 17]
              + random.normal(size=N_ROWS) / 3)
    return rows[:n_rows], target.astype(np.float32)[:n_rows]


def rows_to_score(n, seed=11):
    return np.random.default_rng(seed).normal(size=(n, N_FEATURES)).astype(np.float32)


def train_xgboost(folder, n_trees, depth, n_rows=N_ROWS, **more):
    """An XGBoost model as JSON and, for ONNX Runtime, as ONNX."""
    import xgboost
    rows, target = training_data(n_rows)
    options = {"max_depth": depth, "eta": 0.1, "tree_method": "hist", "max_bin": 256, "seed": 7,
               "base_score": 0.5, "nthread": 2, **more}
    rounds = 1 if "num_parallel_tree" in more else n_trees
    booster = xgboost.train(options, xgboost.DMatrix(rows, target), rounds)
    booster.save_model(folder / "model.json")
    return {"xgboost": folder / "model.json", "phoenix": folder / "model.json",
            "treelite": folder / "model.json", "onnx": export_xgboost(booster, folder)}


def export_xgboost(booster, folder):
    import xgboost
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    model = xgboost.XGBRegressor()
    model.load_model(folder / "model.json")
    model.get_booster().feature_names = None
    onnx = convert_xgboost(model, initial_types=[("input", FloatTensorType([None, N_FEATURES]))])
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())
    return folder / "model.onnx"


def train_lightgbm(folder, n_trees, n_leaves):
    """A LightGBM model as text and, with its 32-bit thresholds, as ONNX."""
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType
    rows, target = training_data()
    booster = lightgbm.train({"num_leaves": n_leaves, "learning_rate": 0.05, "verbose": -1, "seed": 7,
                              "min_data_in_leaf": 5, "num_threads": 2},
                             lightgbm.Dataset(rows, target), n_trees)
    booster.save_model(folder / "model.txt")
    onnx = convert_lightgbm(booster, initial_types=[("input", FloatTensorType([None, N_FEATURES]))])
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())
    return {"lightgbm": folder / "model.txt", "phoenix": folder / "model.txt",
            "treelite": folder / "model.txt", "onnx": folder / "model.onnx"}


def train(name, folder):
    """Trains a model of MODELS into `folder`; returns its files by who reads them."""
    library, n_trees, limit = MODELS[name]
    if library == "lightgbm":
        return train_lightgbm(folder, n_trees, limit)
    if library == "forest":
        return train_xgboost(folder, n_trees, limit, n_rows=6000, num_parallel_tree=n_trees, eta=1.0,
                             subsample=0.63, colsample_bynode=0.4)
    return train_xgboost(folder, n_trees, limit)
