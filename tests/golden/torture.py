# SPDX-License-Identifier: Apache-2.0
"""Rows that sit on and next to every threshold of a model.

For each split of each tree: a row whose other features lead to that split, and whose own feature is the
threshold, each of its neighbours, and special numbers. Rows of independent features seldom come to the
splits deep in a tree, and even less with a value that matters there.
"""

import numpy as np


PROBES = [0.0, -0.0, np.nan, 1e-36, -1e-40, 3.7, -0.5]


def neighbours(threshold, dtype):
    t = dtype(threshold)
    with np.errstate(over="ignore", under="ignore"):
        return [t, np.nextafter(t, dtype(np.inf)), np.nextafter(t, dtype(-np.inf))]


class Path:
    """What the splits above a node demand of each feature: an interval, or a choice of categories."""

    def __init__(self, n_features):
        self.low = [-np.inf] * n_features
        self.high = [np.inf] * n_features
        self.categories = [None] * n_features

    def copy(self):
        other = Path(0)
        other.low, other.high = self.low[:], self.high[:]
        other.categories = [c if c is None else set(c) for c in self.categories]
        return other

    def possible(self):
        return all(c is None or c for c in self.categories)

    def fill(self, row, dtype):
        """Sets the features of `row` that are constrained to a value that keeps to the path."""
        for f, (low, high) in enumerate(zip(self.low, self.high)):
            if self.categories[f] is not None:
                row[f] = min(self.categories[f])
            elif low > -np.inf:
                row[f] = low
            elif high < np.inf:
                row[f] = np.nextafter(dtype(high), dtype(-np.inf))
        return row


class Split:
    """A split: `threshold` or `categories` (those that go `in_left` or not), and two children."""

    def __init__(self, feature, threshold, categories, in_left, left, right):
        self.feature, self.threshold, self.categories = feature, threshold, categories
        self.in_left, self.left, self.right = in_left, left, right


def rows_for_tree(root, base, le):
    """Rows for every split below `root`; `le`: the threshold itself goes left."""
    dtype = base.dtype.type
    rows, todo = [], [(root, Path(base.shape[1]))]
    while todo:
        node, path = todo.pop()
        if node is None or not path.possible():
            continue
        start = path.fill(base[len(rows) % len(base)].copy(), dtype)
        if node.categories is None:
            values = neighbours(node.threshold, dtype) + PROBES
        else:
            near = {c + d for c in node.categories for d in (-1, 0, 1)}
            values = [dtype(c) for c in sorted(near | {100, 2**24, 2**31})] + PROBES
        for value in values:
            row = start.copy()
            row[node.feature] = value
            rows.append(row)
        todo += children(node, path, dtype, le)
    return rows


def children(node, path, dtype, le):
    left, right = path.copy(), path.copy()
    f = node.feature
    if node.categories is None:
        cut = dtype(node.threshold)
        if le:  # the first value that goes right
            cut = np.nextafter(cut, dtype(np.inf))
        left.high[f], right.low[f] = min(left.high[f], cut), max(right.low[f], cut)
    else:
        universe = path.categories[f]
        if universe is None:
            universe = set(range(max(node.categories) + 2))
        hit, rest = universe & node.categories, universe - node.categories
        left.categories[f], right.categories[f] = (hit, rest) if node.in_left else (rest, hit)
    return [(node.left, left), (node.right, right)]


def path_rows(roots, base, le, most=1500):
    """Rows for all trees, at most `most`, of the type of `base`, whose rows fill the other features."""
    rows = []
    for root in roots:
        if root is not None:
            rows += rows_for_tree(root, base, le)
    rows = np.array(rows, dtype=base.dtype).reshape(-1, base.shape[1])
    return rows[np.random.RandomState(0).permutation(len(rows))[:most]]
