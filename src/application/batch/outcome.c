/* SPDX-License-Identifier: Apache-2.0 */
#include "application/batch/outcome.h"

#include <inttypes.h>

enum { OUTPUT_MAX = 1 << 30 };

void px_outcome_clear(struct px_outcome *outcome)
{
    outcome->output.max = OUTPUT_MAX;
    px_buf_clear(&outcome->output);
    outcome->n_rows = outcome->n_bad = 0;
    outcome->code = PX_OK;
}

void px_outcome_deinit(struct px_outcome *outcome)
{
    px_buf_deinit(&outcome->output);
}

void px_outcome_fail(struct px_outcome *outcome, const struct px_err *why)
{
    outcome->err = *why;
    outcome->code = why->code;
}

void px_outcome_bad_row(struct px_outcome *outcome, uint64_t place, const struct px_err *why)
{
    if (outcome->n_bad < PX_BATCH_BAD_ROWS_TOLD)
        outcome->bad[outcome->n_bad] = (struct px_bad_row){place, *why};
    outcome->n_bad++;
}

enum px_code px_sink_init(struct px_sink *sink, const struct px_package *package, const char *place,
                          struct px_err *err)
{
    sink->format.margin = sink->options->margin;
    sink->format.json = sink->options->json;
    sink->format.place = place;
    sink->head = px_buf(OUTPUT_MAX);
    enum px_code code = px_format_init(&sink->format, package, err);
    if (code == PX_OK)
        px_format_header(&sink->format, &sink->head);
    return code == PX_OK ? px_buf_check(&sink->head, "the header", err) : code;
}

void px_sink_deinit(struct px_sink *sink)
{
    px_format_deinit(&sink->format);
    px_buf_deinit(&sink->head);
}

static enum px_code write_text(struct px_sink *sink, const struct px_buf *text, struct px_err *err)
{
    return text->len ? sink->io->write(sink->io->context, px_buf_view(text), err) : PX_OK;
}

/* Counts the bad rows one by one, so that whoever is told can see which it is. */
static enum px_code tell_bad_rows(struct px_sink *sink, const struct px_outcome *outcome,
                                  struct px_err *err)
{
    for (uint64_t i = 0; i < outcome->n_bad; i++) {
        bool told = sink->progress->rows_bad++ < PX_BATCH_BAD_ROWS_TOLD;
        const struct px_bad_row *bad = &outcome->bad[told ? i : 0];
        if (sink->options->fail_on_error) {
            if (err)
                *err = bad->why;
            return px_err_wrap(err, "%s %" PRIu64, sink->format.place, bad->place);
        }
        if (told && sink->io->bad_row)
            sink->io->bad_row(sink->io->context, bad->place, &bad->why);
    }
    return PX_OK;
}

enum px_code px_sink_take(struct px_sink *sink, const struct px_outcome *outcome,
                          struct px_err *err)
{
    enum px_code code = tell_bad_rows(sink, outcome, err);
    if (code != PX_OK)
        return code;
    if (outcome->code != PX_OK) {
        if (err)
            *err = outcome->err;
        return outcome->code;
    }
    code = px_buf_check(&outcome->output, "the output of a block", err);
    if (code == PX_OK && outcome->output.len)
        code = px_sink_finish(sink, err);
    if (code == PX_OK)
        code = write_text(sink, &outcome->output, err);
    sink->progress->rows_scored += outcome->n_rows;
    if (code == PX_OK && sink->io->progress)
        sink->io->progress(sink->io->context, sink->progress);
    return code;
}

enum px_code px_sink_finish(struct px_sink *sink, struct px_err *err)
{
    enum px_code code = write_text(sink, &sink->head, err);
    px_buf_clear(&sink->head);
    return code;
}
