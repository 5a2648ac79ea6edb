/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/bench/plot.h"

#include "shared/compiler.h"

#include <math.h>
#include <string.h>

enum { EIGHTHS = 8, LABEL_WIDTH = 9 };

const char *px_format_duration(double ns, char *out)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    size_t unit = 0;
    while (ns >= 999.5 && unit + 1 < PX_ARRAY_LEN(units)) {
        ns /= 1000;
        unit++;
    }
    int digits = ns >= 99.95 || unit == 0 ? 0 : ns >= 9.995 ? 1 : 2;
    snprintf(out, PX_DURATION_TEXT, "%.*f %s", digits, ns, units[unit]);
    return out;
}

const char *px_format_count(double value, char *out)
{
    char digits[32];
    if (value < 9.95 && value != floor(value)) {
        snprintf(out, 32, "%.2f", value);
        return out;
    }
    int n = snprintf(digits, sizeof digits, "%.0f", fmin(value, 1e18));
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

/* The ends of the axis: a little below the least and at the largest value, at least a factor of ten apart. */
static void find_range(const struct px_plot *plot, double *ret_bottom, double *ret_top)
{
    double least = HUGE_VAL, most = 1;
    for (size_t i = 0; i < plot->n_columns; i++) {
        if (plot->low[i] > 0 && plot->low[i] < least)
            least = plot->low[i];
        if (plot->high[i] > most)
            most = plot->high[i];
    }
    least = least < most ? least : most;
    *ret_top = most;
    *ret_bottom = fmin(least / 1.5, most / 10);
}

/* Height of a value in eighths of a row. */
static long height_of(double value, double bottom, double top, size_t n_rows)
{
    if (value <= bottom)
        return 0;
    return lround(log(value / bottom) / log(top / bottom) * (double)n_rows * EIGHTHS);
}

static const char *cell(long low, long high, long floor_of_row, bool unicode)
{
    static const char *const blocks[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                         "\u2585", "\u2586", "\u2587", "\u2588"};
    long solid = low - floor_of_row, shaded = high - floor_of_row;
    if (!unicode)
        return solid >= EIGHTHS / 2 ? "#" : shaded >= EIGHTHS / 2 ? ":" : " ";
    if (solid >= EIGHTHS)
        return blocks[EIGHTHS];
    if (shaded >= EIGHTHS / 2 && solid < EIGHTHS / 2)
        return "\u2591";
    return blocks[solid > 0 ? solid : 0];
}

static void draw_row(FILE *out, const struct px_plot *plot, size_t row, double bottom, double top)
{
    char label[PX_DURATION_TEXT] = "";
    size_t last = plot->n_rows - 1;
    if (row == last || row == 0 || row == last / 2) {
        double share = ((double)row + (row == last)) / (double)plot->n_rows;
        px_format_duration(bottom * pow(top / bottom, share), label);
    }
    fprintf(out, "  %*s %s", LABEL_WIDTH, label, plot->unicode ? "\u2524" : "|");
    for (size_t i = 0; i < plot->n_columns; i++)
        fputs(cell(height_of(plot->low[i], bottom, top, plot->n_rows),
                   height_of(plot->high[i], bottom, top, plot->n_rows), (long)row * EIGHTHS,
                   plot->unicode),
              out);
    fputc('\n', out);
}

static void draw_ticks(FILE *out, const struct px_plot *plot)
{
    char line[PX_PLOT_COLUMNS_MAX + 32];
    size_t end = 0;
    memset(line, ' ', sizeof line);
    for (size_t i = 0; i < plot->n_ticks; i++) {
        size_t at = plot->ticks[i].column, len = strlen(plot->ticks[i].text);
        if ((end && at <= end) || at + len >= sizeof line)
            continue; /* it would run into the one before */
        memcpy(line + at, plot->ticks[i].text, len);
        end = at + len;
    }
    line[end] = '\0';
    fprintf(out, "  %*s  %s\n", LABEL_WIDTH, "", line);
}

void px_plot_draw(FILE *out, const struct px_plot *plot)
{
    double bottom, top;
    PX_ASSERT(plot->n_columns <= PX_PLOT_COLUMNS_MAX && plot->n_rows > 1);
    find_range(plot, &bottom, &top);
    for (size_t row = plot->n_rows; row-- > 0;)
        draw_row(out, plot, row, bottom, top);
    draw_ticks(out, plot);
}
