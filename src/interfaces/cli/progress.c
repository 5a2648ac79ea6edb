/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/cli.h"
#include "shared/clock.h"

#include <inttypes.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    REDRAW_MS = 100,
    BAR_WIDTH = 24,
    COLUMNS_DEFAULT = 80,
    COLUMNS_MAX = 160,
};

struct px_progress px_progress(FILE *out, const char *label, uint64_t total)
{
    return (struct px_progress){
        .out = out,
        .label = label,
        .total = total,
        .started_ns = px_clock_monotonic_ns(),
        .shown = isatty(fileno(out)) == 1,
    };
}

static size_t terminal_columns(FILE *out)
{
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
}

/* "[#######.........] 43% " */
static int format_bar(char *out, size_t cap, uint64_t done, uint64_t total)
{
    double share = done < total ? (double)done / (double)total : 1.0;
    size_t full = (size_t)(share * BAR_WIDTH);
    char bar[BAR_WIDTH + 1];
    memset(bar, '#', full);
    memset(bar + full, '.', BAR_WIDTH - full);
    bar[BAR_WIDTH] = '\0';
    return snprintf(out, cap, "[%s] %3d%% ", bar, (int)(share * 100));
}

static void draw(struct px_progress *p, uint64_t done, const char *note, uint64_t now_ns)
{
    char line[512], bar[64] = "";
    double seconds = (double)(now_ns - p->started_ns) / (double)PX_NS_PER_S;
    if (p->total)
        format_bar(bar, sizeof bar, done, p->total);
    snprintf(line, sizeof line, "%s %s%s %.0f s", p->label, bar, note ? note : "", seconds);
    /* A line as wide as the terminal would wrap and could not be redrawn. */
    fprintf(p->out, "\r%.*s\033[K", (int)terminal_columns(p->out) - 1, line);
    fflush(p->out);
    p->drawn_ns = now_ns;
}

void px_progress_update(struct px_progress *p, uint64_t done, const char *note)
{
    if (!p->shown)
        return;
    uint64_t now_ns = px_clock_monotonic_ns();
    if (p->drawn_ns == 0 || now_ns - p->drawn_ns >= REDRAW_MS * PX_NS_PER_MS)
        draw(p, done, note, now_ns);
}

void px_progress_end(struct px_progress *p)
{
    if (p->shown && p->drawn_ns)
        fputs("\r\033[K", p->out);
    p->shown = false;
}
