/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/rest/operations/metrics_page.h"
#include "shared/clock.h"
#include "shared/number.h"

static const uint64_t latency_bounds_us[] = {10,     25,     50,     100,     250,     500,
                                             1000,   2500,   5000,   10000,   25000,   50000,
                                             100000, 250000, 500000, 1000000, 2500000, 10000000};

void px_put_head(struct px_buf *out, const char *name, const char *type, const char *help)
{
    px_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label must be UTF-8 or the whole page is unreadable; a file name, and so a model's name, may be anything. */
void px_put_label_text(struct px_buf *out, struct px_str text)
{
    bool is_utf8 = px_str_is_utf8(text);
    for (size_t i = 0; i < text.len; i++) {
        char c = is_utf8 || (text.ptr[i] & 0x80) == 0 ? text.ptr[i] : '?';
        if (c == '\\' || c == '"')
            px_buf_byte(out, '\\');
        if (c == '\n')
            px_buf_text(out, "\\n");
        else
            px_buf_byte(out, c);
    }
}

void px_put_model_name(struct px_buf *out, const char *name, const char *suffix,
                       const struct px_model *model)
{
    px_buf_printf(out, "%s%s{model=\"", name, suffix);
    px_put_label_text(out, model->name);
    px_buf_text(out, "\",version=\"");
    px_put_label_text(out, model->version);
    px_buf_byte(out, '"');
}

void px_put_double(struct px_buf *out, double value)
{
    char text[PX_NUMBER_TEXT_MAX];
    px_buf_append(out, text, px_number_print_f64(value, text));
}

void px_put_value(struct px_buf *out, uint64_t value)
{
    px_buf_byte(out, ' ');
    px_buf_u64(out, value);
    px_buf_byte(out, '\n');
}

void px_put_plain(struct px_buf *out, const char *name, uint64_t value)
{
    px_buf_text(out, name);
    px_put_value(out, value);
}

void px_put_model_value(struct px_buf *out, const char *name, const struct px_model *model,
                        uint64_t value)
{
    px_put_model_name(out, name, "", model);
    px_buf_byte(out, '}');
    px_put_value(out, value);
}

void px_put_counter(struct px_buf *out, const char *name, const char *help, uint64_t value)
{
    px_put_head(out, name, "counter", help);
    px_put_plain(out, name, value);
}

void px_put_gauge(struct px_buf *out, const char *name, const char *help, double value)
{
    px_put_head(out, name, "gauge", help);
    px_buf_printf(out, "%s ", name);
    px_put_double(out, value);
    px_buf_byte(out, '\n');
}

void px_put_seconds_total(struct px_buf *out, const char *name, const char *help, uint64_t ns)
{
    px_put_head(out, name, "counter", help);
    px_buf_printf(out, "%s ", name);
    px_put_double(out, (double)ns / (double)PX_NS_PER_S);
    px_buf_byte(out, '\n');
}

void px_put_bucket(struct px_buf *out, const char *name, const struct px_model *model,
                   const char *bound, uint64_t count)
{
    if (model)
        px_put_model_name(out, name, "_bucket", model);
    else
        px_buf_printf(out, "%s_bucket{", name);
    px_buf_printf(out, "%sle=\"%s\"}", model ? "," : "", bound);
    px_put_value(out, count);
}

void px_put_sum_and_count(struct px_buf *out, const char *name, const struct px_model *model,
                          double sum, uint64_t count)
{
    if (model) {
        px_put_model_name(out, name, "_sum", model);
        px_buf_byte(out, '}');
    } else {
        px_buf_printf(out, "%s_sum", name);
    }
    px_buf_byte(out, ' ');
    px_put_double(out, sum);
    px_buf_byte(out, '\n');
    if (model) {
        px_put_model_name(out, name, "_count", model);
        px_buf_byte(out, '}');
    } else {
        px_buf_printf(out, "%s_count", name);
    }
    px_put_value(out, count);
}

void px_put_seconds(struct px_buf *out, const char *name, const struct px_model *model,
                    const struct px_histogram_view *view)
{
    char bound[PX_NUMBER_TEXT_MAX + 1];
    for (size_t i = 0; i < PX_ARRAY_LEN(latency_bounds_us); i++) {
        size_t n = px_number_print_f64((double)latency_bounds_us[i] / 1e6, bound);
        bound[n] = '\0';
        px_put_bucket(out, name, model, bound,
                      px_histogram_count_below(view, latency_bounds_us[i] * PX_NS_PER_US));
    }
    px_put_bucket(out, name, model, "+Inf", view->count);
    px_put_sum_and_count(out, name, model, (double)view->sum / (double)PX_NS_PER_S, view->count);
}
