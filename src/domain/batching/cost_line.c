/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/batching/cost_line.h"

/* The weight of an observation halves with every 69 that follow, with every 7 that are far below the line. */
static const double fading = 0.99;
static const double fading_fast = 0.9;

enum { OUTLIER_TIMES = 4, NEAR_TIMES = 2 };

static double at_least_zero(double x)
{
    return x > 0 ? x : 0;
}

/*
 * Least squares; a part that comes out negative is set to 0 and the other fitted alone. Sizes that hardly differ say nothing
 * about the slope: the time then is taken to be proportional, which is the cautious side for what is larger.
 */
static void fit(struct px_cost_line *line)
{
    double mean_x = line->x / line->w, mean_y = line->y / line->w;
    double variance = line->xx / line->w - mean_x * mean_x;
    if (variance <= 1e-6 * mean_x * mean_x) {
        line->fixed_ns = mean_x > 0 ? 0 : mean_y;
        line->one_ns = mean_x > 0 ? mean_y / mean_x : 0;
        return;
    }
    line->one_ns = at_least_zero((line->xy / line->w - mean_x * mean_y) / variance);
    line->fixed_ns = mean_y - line->one_ns * mean_x;
    if (line->fixed_ns < 0) {
        line->fixed_ns = 0;
        line->one_ns = line->xy / line->xx;
    }
}

static double without_outliers(const struct px_cost_line *line, double size, double took_ns)
{
    double most_ns = OUTLIER_TIMES * px_cost_line_predict(line, size);
    bool is_outlier = px_cost_line_knows(line, size) && most_ns > 0 && took_ns > most_ns;
    return is_outlier ? most_ns : took_ns;
}

/* Much may slow a computation down, but nothing makes it faster than it can be: one that was says that the line is of another time. */
static double fading_for(const struct px_cost_line *line, double size, double took_ns)
{
    bool is_far_below = NEAR_TIMES * took_ns < px_cost_line_predict(line, size);
    return is_far_below && px_cost_line_knows(line, size) ? fading_fast : fading;
}

void px_cost_line_learn(struct px_cost_line *line, double size, double took_ns)
{
    double keeps = fading_for(line, size, took_ns);
    took_ns = without_outliers(line, size, took_ns);
    line->w = line->w * keeps + 1;
    line->x = line->x * keeps + size;
    line->y = line->y * keeps + took_ns;
    line->xx = line->xx * keeps + size * size;
    line->xy = line->xy * keeps + size * took_ns;
    line->size_max = size > line->size_max * fading ? size : line->size_max * fading;
    line->n++;
    fit(line);
}

double px_cost_line_predict(const struct px_cost_line *line, double size)
{
    return line->fixed_ns + line->one_ns * size;
}

bool px_cost_line_knows(const struct px_cost_line *line, double size)
{
    return line->n >= PX_COST_LINE_SURE && size <= NEAR_TIMES * line->size_max;
}
