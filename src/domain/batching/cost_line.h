/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cost line: what computing takes, learned from what it took: time = a + b * size.
 *
 * `size` is whatever the work grows with (rows, bytes); `a` is what one computation costs however small it is, so a + b * n against
 * n * (a + b) is what a batch of n saves. The line is a least-squares fit that forgets: the last 100 observations
 * or so count. One that is far above the line (a preempted thread, a cold cache) is counted as OUTLIER_TIMES the line only, so that
 * it bends the line little, while a lasting change moves it within some observations; one that is far below makes the line forget
 * faster, since nothing makes a computation faster than it can be.
 *
 * As in Clipper and BentoML, which fit the same line to choose batch sizes. Pure values: no clock, no threads, no memory.
 */
#ifndef PX_DOMAIN_BATCHING_COST_LINE_H
#define PX_DOMAIN_BATCHING_COST_LINE_H

#include <stdbool.h>
#include <stdint.h>

enum { PX_COST_LINE_SURE = 8 }; /* observations from which the line is worth asking */

struct px_cost_line {
    uint64_t n;              /* observations so far */
    double w, x, y, xx, xy;  /* sums, each observation with a weight that fades */
    double fixed_ns, one_ns; /* a and b, neither below 0 */
    double size_max;         /* the largest size seen; it fades as well */
};

void px_cost_line_learn(struct px_cost_line *line, double size, double took_ns);

/* Nanoseconds for that size; 0 before the first observation. */
double px_cost_line_predict(const struct px_cost_line *line, double size);

/* Have there been enough observations, some of them near that size or above? */
bool px_cost_line_knows(const struct px_cost_line *line, double size);

#endif
