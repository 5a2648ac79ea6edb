# SPDX-License-Identifier: Apache-2.0
"""Draws what tools/soak has sampled as one SVG: memory, descriptors, latencies and requests over time, with what happened below."""

import math

WIDTH, HEIGHT, LEFT, RIGHT, GAP = 900, 130, 110, 20, 45
CHARTS = [("resident memory, MiB", ["resident_mib"]), ("descriptors", ["descriptors"]),
          ("latency, ms (log)", ["p50_ms", "p99_ms", "p999_ms"]), ("requests per second", ["rate"])]
COLOURS = ["#1f6feb", "#d29922", "#cf222e"]


def text(x, y, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def logarithm(value):
    return math.log10(max(value, 0.01))


def chart(samples, top, title, names):
    """One chart with a line for each name."""
    scale = logarithm if "log" in title else float
    span = max(samples[-1]["seconds"], 1)
    values = [scale(sample[name]) for sample in samples for name in names]
    low, high = (min(values), max(values)) if "log" in title else (0, max(values) * 1.1 or 1)
    high = high if high > low else low + 1

    def x(seconds):
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / span

    def y(value):
        return top + HEIGHT - HEIGHT * (scale(value) - low) / (high - low)

    def shown(value):
        return f"{10 ** value:.3g}" if "log" in title else f"{value:.3g}"

    parts = [f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT}" fill="none" stroke="#999"/>',
             text(LEFT, top - 6, title), text(LEFT - 6, top + 10, shown(high), "end"),
             text(LEFT - 6, top + HEIGHT, shown(low), "end")]
    for i, name in enumerate(names):
        points = " ".join(f"{x(sample['seconds']):.1f},{y(sample[name]):.1f}" for sample in samples)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[i]}"/>')
        if len(names) > 1:
            parts.append(f'<g fill="{COLOURS[i]}">{text(WIDTH - RIGHT - 60 * (len(names) - i), top - 6, name)}</g>')
    return parts, x


def with_rates(samples):
    before, rated = 0, []
    for sample in samples:
        rated.append({**sample, "rate": sample["requests"] / max(sample["seconds"] - before, 0.1)})
        before = sample["seconds"]
    return rated


def svg(samples, happenings):
    """samples: rows of the record; happenings: [(seconds, name)]."""
    samples, parts, top = with_rates(samples), [], 30
    for title, names in CHARTS:
        drawn, x = chart(samples, top, title, names)
        parts += drawn
        top += HEIGHT + GAP
    kinds = sorted({name for _, name in happenings})
    for i, kind in enumerate(kinds):
        parts.append(text(LEFT - 6, top + 14 * i, kind.replace("_", " "), "end"))
        parts += [f'<circle cx="{x(at):.1f}" cy="{top + 14 * i - 3}" r="2"/>' for at, name in happenings
                  if name == kind and at <= samples[-1]["seconds"]]
    height = top + 14 * len(kinds) + 30
    parts.append(text(WIDTH - RIGHT, height - 8, f"{samples[-1]['seconds']:.0f} s", "end"))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
            'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n")
