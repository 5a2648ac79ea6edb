/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plots of durations for a terminal: columns on a logarithmic axis, drawn with block characters or plain ASCII.
 */
#ifndef PX_INTERFACES_CLI_BENCH_PLOT_H
#define PX_INTERFACES_CLI_BENCH_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { PX_PLOT_COLUMNS_MAX = 128, PX_DURATION_TEXT = 16 };

/* "85.2 us", three digits; `out` has PX_DURATION_TEXT bytes. */
const char *px_format_duration(double ns, char *out);

/* "1,234,567" or "0.25"; `out` has 32 bytes. */
const char *px_format_count(double value, char *out);

struct px_plot_tick {
    size_t column;
    const char *text;
};

struct px_plot {
    /* [n_columns], ns: the column is solid up to low, shaded up to high. */
    const double *low, *high;
    size_t n_columns, n_rows;
    const struct px_plot_tick *ticks; /* under the columns, left to right */
    size_t n_ticks;
    bool unicode;
};

void px_plot_draw(FILE *out, const struct px_plot *plot);

#endif
