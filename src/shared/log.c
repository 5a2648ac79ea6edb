/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/log.h"

#include "shared/clock.h"
#include "shared/json.h"

#include <stdatomic.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 4096,
    VALUE_MAX_BYTES = 1024,
};

static const char *const level_names[] = {[PX_LOG_DEBUG] = "debug",
                                          [PX_LOG_INFO] = "info",
                                          [PX_LOG_WARN] = "warn",
                                          [PX_LOG_ERROR] = "error"};

static _Atomic int least_level = PX_LOG_INFO;
static _Atomic int line_format = PX_LOG_LOGFMT;

void px_log_configure(enum px_log_level least, enum px_log_format format)
{
    /* Independent settings: nothing else is published by them. */
    atomic_store_explicit(&least_level, least, memory_order_relaxed);
    atomic_store_explicit(&line_format, format, memory_order_relaxed);
}

/* Where a line is built: a buffer over the caller's stack that never grows. */
static struct px_buf line_over(char *memory)
{
    return (struct px_buf){.ptr = memory, .max = LINE_MAX_BYTES - 1, .cap = LINE_MAX_BYTES};
}

static bool is_bare(struct px_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7F)
            return false;
    }
    return text.len > 0;
}

/* The part of `text` that is logged; what is longer is cut and the line says so. */
static struct px_str cut(struct px_str text, bool *is_cut)
{
    if (text.len <= VALUE_MAX_BYTES)
        return text;
    *is_cut = true;
    return px_str_n(text.ptr, VALUE_MAX_BYTES);
}

static void put_value(struct px_json_writer *w, const struct px_log_value *value, bool json,
                      bool *is_cut)
{
    struct px_str text;
    switch (value->type) {
    case PX_LOG_VALUE_STR:
        text = cut(value->str, is_cut);
        if (!json && is_bare(text))
            px_buf_str(w->buf, text);
        else
            px_json_put_str(w, text);
        break;
    case PX_LOG_VALUE_I64:
        px_json_put_i64(w, value->i64);
        break;
    case PX_LOG_VALUE_U64:
        px_json_put_u64(w, value->u64);
        break;
    case PX_LOG_VALUE_F64:
        px_json_put_f64(w, value->f64, !json);
        break;
    }
}

static void put_pair(struct px_buf *line, const struct px_log_pair *pair, bool json, bool *is_cut)
{
    struct px_buf before = *line;
    px_buf_printf(line, json ? ",\"%s\":" : " %s=", pair->key);
    struct px_json_writer w = px_json_writer(line);
    put_value(&w, &pair->value, json, is_cut);
    if (line->failed) { /* a pair that does not fit is left out whole, so the line stays well-formed */
        *line = before;
        *is_cut = true;
    }
}

void px_log_write(enum px_log_level level, const char *event, const struct px_log_pair *pairs,
                  size_t n)
{
    char memory[LINE_MAX_BYTES];
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    bool json = atomic_load_explicit(&line_format, memory_order_relaxed) == PX_LOG_JSON,
         is_cut = false;
    struct px_buf line = line_over(memory);
    line.max -= 24; /* room for the end of the line */
    px_buf_text(&line, json ? "{\"ts\":\"" : "ts=");
    px_clock_format(&line, px_clock_wall_ns());
    px_buf_printf(&line, json ? "\",\"level\":\"%s\",\"event\":\"%s\"" : " level=%s event=%s",
                  level_names[level], event);
    for (size_t i = 0; i < n; i++)
        put_pair(&line, &pairs[i], json, &is_cut);
    line.max += 24;
    if (is_cut)
        px_buf_text(&line, json ? ",\"cut\":true" : " cut=true");
    px_buf_text(&line, json ? "}\n" : "\n");
    /* One write keeps lines of threads apart; a log that cannot be written has nowhere to say so. */
    ssize_t written = write(STDERR_FILENO, line.ptr, line.len);
    (void)written;
}

void px_log_err(enum px_log_level level, const char *event, const struct px_err *err)
{
    px_log(level, event, PX_LOG_T("code", px_code_name(err->code)),
           PX_LOG_T("message", err->message), PX_LOG_T("hint", err->hint),
           PX_LOG_T("file", err->file), PX_LOG_I("line", err->line));
}
