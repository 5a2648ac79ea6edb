/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/rest: lines of the Prometheus text format 0.0.4, and the parts of the page.
 *
 * All samples of a metric have to stand together behind its head, so the parts go over the models once for each metric.
 */
#ifndef PX_INTERFACES_REST_METRICS_PAGE_H
#define PX_INTERFACES_REST_METRICS_PAGE_H

#include "interfaces/rest/handlers.h"

struct px_metrics_page {
    struct px_rest *rest;
    const struct px_model_set *set;
    struct px_buf *out;
};

void px_put_model_metrics(const struct px_metrics_page *page);
void px_put_pressure_metrics(const struct px_metrics_page *page);
void px_put_fetching_metrics(const struct px_metrics_page *page);

/* `type` is counter, gauge or histogram. */
void px_put_head(struct px_buf *out, const char *name, const char *type, const char *help);
/* Text of a label, between its quotes. */
void px_put_label_text(struct px_buf *out, struct px_str text);
/* name{model="m",version="1" -- and leaves the braces open for more labels; `suffix` follows the name. */
void px_put_model_name(struct px_buf *out, const char *name, const char *suffix,
                       const struct px_model *model);
void px_put_double(struct px_buf *out, double value);
/* The end of a line. */
void px_put_value(struct px_buf *out, uint64_t value);
void px_put_plain(struct px_buf *out, const char *name, uint64_t value);
/* A sample whose only labels are the model and its version. */
void px_put_model_value(struct px_buf *out, const char *name, const struct px_model *model,
                        uint64_t value);

/* Metrics of one sample without labels, with their heads. */
void px_put_counter(struct px_buf *out, const char *name, const char *help, uint64_t value);
void px_put_gauge(struct px_buf *out, const char *name, const char *help, double value);
void px_put_seconds_total(struct px_buf *out, const char *name, const char *help, uint64_t ns);

/* Lines of histograms; `model` is NULL for the process. */
void px_put_bucket(struct px_buf *out, const char *name, const struct px_model *model,
                   const char *bound, uint64_t count);
void px_put_sum_and_count(struct px_buf *out, const char *name, const struct px_model *model,
                          double sum, uint64_t count);
/* Of nanoseconds; buckets, sum and count in seconds. */
void px_put_seconds(struct px_buf *out, const char *name, const struct px_model *model,
                    const struct px_histogram_view *view);

#endif
