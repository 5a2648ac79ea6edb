# SPDX-License-Identifier: Apache-2.0
"""Writes very large model files without training: what thousands of trees look like in each format.

Every tree has the same shape, a full binary tree of `depth` splits in the order in which the format
numbers its nodes, and its own numbers, drawn from a pool of texts as long as those of a trained model.
"""

import struct

import numpy as np

FEATURES = 100
POOL = 20_000


def pool(seed, as_float):
    """Numbers and their texts as the library would write them: f32 for XGBoost, f64 for the others."""
    values = np.random.default_rng(seed).normal(size=POOL)
    values = values.astype(np.float32) if as_float else values
    return values, np.array([f"{v:.9G}" if as_float else f"{v:.17g}" for v in values], dtype=object)


class Draw:
    """Random picks from the pool and random features, the same for every run."""

    def __init__(self, as_float):
        self.random = np.random.default_rng(7)
        self.values, self.texts = pool(5, as_float)

    def picks(self, n):
        return self.random.integers(POOL, size=n)

    def features(self, n):
        return self.random.integers(FEATURES, size=n)


def heap(depth):
    """Left children, right children and parents of a full tree, breadth first; -1 at leaves."""
    n, inner = 2 ** (depth + 1) - 1, 2**depth - 1
    at = np.arange(n)
    left = np.where(at < inner, 2 * at + 1, -1)
    right = np.where(at < inner, 2 * at + 2, -1)
    parents = np.where(at == 0, 2147483647, (at - 1) // 2)
    return left, right, parents


def joined(values):
    return ",".join(map(str, values))


def xgboost_json(path, trees, depth):
    left, right, parents = heap(depth)
    n, draw = len(left), Draw(True)
    fixed = (f'"left_children":[{joined(left)}],"right_children":[{joined(right)}],"parents":[{joined(parents)}],'
             f'"split_type":[{joined([0] * n)}],"categories":[],"categories_nodes":[],"categories_segments":[],'
             '"categories_sizes":[],')
    with open(path, "w", encoding="ascii") as out:
        out.write('{"learner":{"attributes":{},"feature_names":[],"feature_types":[],"gradient_booster":{"model":'
                  f'{{"gbtree_model_param":{{"num_parallel_tree":"1","num_trees":"{trees}"}},"tree_info":'
                  f'[{joined([0] * trees)}],"trees":[')
        for tree in range(trees):
            numbers = [",".join(draw.texts[draw.picks(n)]) for _ in range(4)]
            out.write(f'{"," if tree else ""}{{"base_weights":[{numbers[0]}],"default_left":'
                      f'[{joined(draw.random.integers(2, size=n))}],"id":{tree},{fixed}"loss_changes":[{numbers[1]}],'
                      f'"split_conditions":[{numbers[2]}],"split_indices":[{joined(draw.features(n))}],'
                      f'"sum_hessian":[{numbers[3]}],"tree_param":{{"num_deleted":"0","num_feature":"{FEATURES}",'
                      f'"num_nodes":"{n}","size_leaf_vector":"1"}}}}')
        out.write(']},"name":"gbtree"},"learner_model_param":{"base_score":"5E-1","boost_from_average":"1",'
                  f'"num_class":"0","num_feature":"{FEATURES}","num_target":"1"}},"objective":{{"name":'
                  '"reg:squarederror","reg_loss_param":{"scale_pos_weight":"1"}}},"version":[2,1,4]}')


def ub_key(name):
    return b"L" + struct.pack(">q", len(name)) + name.encode()


def ub_text(text):
    return b"SL" + struct.pack(">q", len(text)) + text.encode()


def ub_array(marker, values, kind):
    return b"[$" + marker + b"#L" + struct.pack(">q", len(values)) + np.asarray(values).astype(kind).tobytes()


def ub_object(**members):
    return b"{" + b"".join(ub_key(key) + value for key, value in members.items()) + b"}"


def ub_list(items):
    return b"[#L" + struct.pack(">q", len(items)) + b"".join(items)


def xgboost_ubjson(path, trees, depth):
    left, right, parents = heap(depth)
    n, draw = len(left), Draw(True)
    fixed = {"left_children": ub_array(b"l", left, ">i4"), "right_children": ub_array(b"l", right, ">i4"),
             "parents": ub_array(b"l", parents, ">i4"), "split_type": ub_array(b"U", np.zeros(n), "u1"),
             "categories": ub_array(b"l", [], ">i4"), "categories_nodes": ub_array(b"l", [], ">i4"),
             "categories_segments": ub_array(b"L", [], ">i8"), "categories_sizes": ub_array(b"L", [], ">i8")}

    def numbers():
        return ub_array(b"d", draw.values[draw.picks(n)], ">f4")

    def tree_object(number):
        param = ub_object(num_deleted=ub_text("0"), num_feature=ub_text(str(FEATURES)),
                          num_nodes=ub_text(str(n)), size_leaf_vector=ub_text("1"))
        return ub_object(
            base_weights=numbers(), default_left=ub_array(b"U", draw.random.integers(2, size=n), "u1"),
            id=b"L" + struct.pack(">q", number), loss_changes=numbers(), split_conditions=numbers(),
            split_indices=ub_array(b"l", draw.features(n), ">i4"), sum_hessian=numbers(), tree_param=param, **fixed)

    tree_info = ub_list([b"i\0"] * trees)
    head = ub_key("gbtree_model_param") + ub_object(num_parallel_tree=ub_text("1"), num_trees=ub_text(str(trees)))
    start = (ub_key("attributes") + b"{}" + ub_key("feature_names") + ub_list([]) +
             ub_key("feature_types") + ub_list([]))
    rest = (ub_key("learner_model_param") + ub_object(
        base_score=ub_text("5E-1"), boost_from_average=ub_text("1"), num_class=ub_text("0"), num_feature=ub_text(str(FEATURES)),
        num_target=ub_text("1")) + ub_key("objective") + ub_object(
            name=ub_text("reg:squarederror"), reg_loss_param=ub_object(scale_pos_weight=ub_text("1"))))
    with open(path, "wb") as out:
        out.write(b"{" + ub_key("learner") + b"{" + start + ub_key("gradient_booster") + b"{" + ub_key("model") + b"{" +
                  head + ub_key("tree_info") + tree_info + ub_key("trees") + b"[#L" + struct.pack(">q", trees))
        for number in range(trees):
            out.write(tree_object(number))
        out.write(b"}" + ub_key("name") + ub_text("gbtree") + b"}" + rest + b"}" + ub_key("version") +
                  ub_list([b"i\2", b"i\1", b"i\4"]) + b"}")


def lightgbm_text(path, trees, depth):
    inner, leaves, draw = 2**depth - 1, 2**depth, Draw(False)
    at = np.arange(inner)

    def child(node):
        return np.where(node < inner, node, -1 - (node - inner))

    fixed = (f"left_child={' '.join(map(str, child(2 * at + 1)))}\n"
             f"right_child={' '.join(map(str, child(2 * at + 2)))}\n")
    counts = " ".join(["1000"] * leaves)

    def numbers(n):
        return " ".join(draw.texts[draw.picks(n)])

    def block(tree):
        decisions = " ".join(map(str, draw.random.choice([2, 8, 10], size=inner)))
        return (f"Tree={tree}\nnum_leaves={leaves}\nnum_cat=0\nsplit_feature={' '.join(map(str, draw.features(inner)))}"
                f"\nsplit_gain={numbers(inner)}\nthreshold={numbers(inner)}\ndecision_type={decisions}\n{fixed}"
                f"leaf_value={numbers(leaves)}\nleaf_weight={counts}\nleaf_count={counts}\n"
                f"internal_value={numbers(inner)}\ninternal_weight={counts[5:]}\ninternal_count={counts[5:]}\n"
                "is_linear=0\nshrinkage=0.1\n\n\n")

    blocks = [block(tree) for tree in range(trees)]
    with open(path, "w", encoding="ascii") as out:
        names = " ".join(f"Column_{i}" for i in range(FEATURES))
        sizes = " ".join(str(len(text)) for text in blocks)  # LightGBM relies on them
        out.write("tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx="
                  f"{FEATURES - 1}\nobjective=regression\nfeature_names={names}\nfeature_infos="
                  f"{' '.join(['[-9:9]'] * FEATURES)}\ntree_sizes={sizes}\n\n")
        for text in blocks:
            out.write(text)
        out.write("end of trees\n\nfeature_importances:\nColumn_0=1\n\nparameters:\n[boosting: gbdt]\n\n"
                  "end of parameters\n\npandas_categorical:null\n")


def catboost_json(path, trees, depth):
    leaves, draw = 2**depth, Draw(False)
    borders = np.sort(np.random.default_rng(3).normal(size=(FEATURES, 64)).astype(np.float32), axis=1)
    gap, deep = "\n            ", "\n                "
    floats = ",".join(
        f'{{"borders":[{joined(repr(float(b)) for b in borders[i])}],"feature_id":"{i}","feature_index":{i},'
        f'"flat_feature_index":{i},"has_nans":false,"nan_value_treatment":"AsIs"}}' for i in range(FEATURES))
    with open(path, "w", encoding="ascii") as out:
        out.write(f'{{"features_info":{{"float_features":[{floats}]}},"model_info":{{"params":{{"loss_function":'
                  '{"params":{},"type":"RMSE"}}},"oblivious_trees":[')
        for tree in range(trees):
            values = ("," + gap).join(draw.texts[draw.picks(leaves)])
            weights = ("," + gap).join(["1000"] * leaves)
            splits = ("," + gap).join(
                f'{{{deep}"border":{float(borders[f][b])!r},{deep}"float_feature_index":{f},{deep}'
                f'"split_index":{f * 64 + b},{deep}"split_type":"FloatFeature"}}'
                for f, b in zip(draw.features(depth), draw.random.integers(64, size=depth)))
            out.write(f'{"," if tree else ""}\n    {{\n        "leaf_values":\n        [{gap}{values}],\n        '
                      f'"leaf_weights":\n        [{gap}{weights}],\n        "splits":\n        [{gap}{splits}]\n    }}')
        out.write('],"scale_and_bias":[1,[0]]}')


WRITERS = {"xgboost.json": xgboost_json, "xgboost.ubj": xgboost_ubjson, "lightgbm.txt": lightgbm_text,
           "catboost.json": catboost_json}


def n_nodes(trees, depth):
    return trees * (2 ** (depth + 1) - 1)
