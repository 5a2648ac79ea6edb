/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/log.h"

#include "shared/clock.h"
#include "shared/json.h"
#include "shared/number.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

/* Read by every thread at every event; they are independent, so relaxed order is enough. */
static _Atomic bool enabled[] = {[PX_LOG_INFO] = true, [PX_LOG_WARN] = true, [PX_LOG_ERROR] = true};
static _Atomic uint32_t verbose_level;
static _Atomic int time_form = PX_LOG_TIME_ISO8601;
static _Atomic int line_format = PX_LOG_LOGFMT;

/* Kept free for the mark of a cut line, the closing brace, and the line end. */
enum { TAIL_MAX = 32 };

static const char *const level_names[] = {"", "debug", "info", "warn", "error"};

#define GET(setting)        atomic_load_explicit(&(setting), memory_order_relaxed)
#define SET(setting, value) atomic_store_explicit(&(setting), value, memory_order_relaxed)

void px_log_configure(enum px_log_level least, enum px_log_format format)
{
    for (int level = PX_LOG_INFO; level <= PX_LOG_ERROR; level++)
        SET(enabled[level], level >= (int)least);
    SET(verbose_level, least == PX_LOG_DEBUG);
    SET(line_format, (int)format);
}

void px_log_read(struct px_log_settings *ret)
{
    *ret = (struct px_log_settings){.info = GET(enabled[PX_LOG_INFO]),
                                    .warning = GET(enabled[PX_LOG_WARN]),
                                    .error = GET(enabled[PX_LOG_ERROR]),
                                    .verbose_level = GET(verbose_level),
                                    .time = (enum px_log_time)GET(time_form)};
}

void px_log_update(const struct px_log_settings *settings)
{
    SET(enabled[PX_LOG_INFO], settings->info);
    SET(enabled[PX_LOG_WARN], settings->warning);
    SET(enabled[PX_LOG_ERROR], settings->error);
    SET(verbose_level, settings->verbose_level);
    SET(time_form, (int)settings->time);
}

static bool is_logged(enum px_log_level level)
{
    return level == PX_LOG_DEBUG ? GET(verbose_level) > 0 : GET(enabled[level]);
}

/* As other servers' logs have it: "1231 23:59:59.123456". */
static void put_short_time(struct px_buf *out, uint64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / PX_NS_PER_S);
    struct tm tm;
    char text[32];
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%m%d %H:%M:%S", &tm);
    px_buf_printf(out, "%s.%06u", text, (unsigned)(wall_ns % PX_NS_PER_S / PX_NS_PER_US));
}

static void put_time(struct px_buf *out)
{
    if (GET(time_form) == PX_LOG_TIME_ISO8601)
        px_clock_format(out, px_clock_wall_ns());
    else
        put_short_time(out, px_clock_wall_ns());
}

/* The text, or its start with "…" when it is too long. */
static struct px_str shorten(struct px_str text, char memory[PX_LOG_TEXT_MAX])
{
    static const char mark[] = "\xE2\x80\xA6";
    if (text.len <= PX_LOG_TEXT_MAX)
        return text;
    size_t len = PX_LOG_TEXT_MAX - sizeof mark;
    while (len > 0 && (text.ptr[len] & 0xC0) == 0x80) /* not inside a character */
        len--;
    memcpy(memory, text.ptr, len);
    memcpy(memory + len, mark, sizeof mark - 1);
    return px_str_n(memory, len + sizeof mark - 1);
}

static void put_json(struct px_json_writer *json, const struct px_log_pair *pair)
{
    const struct px_log_value *value = &pair->value;
    char memory[PX_LOG_TEXT_MAX];
    px_json_key(json, pair->key);
    switch (value->type) {
    case PX_LOG_VALUE_STR:
        px_json_put_str(json, shorten(value->str, memory));
        break;
    case PX_LOG_VALUE_I64:
        px_json_put_i64(json, value->i64);
        break;
    case PX_LOG_VALUE_U64:
        px_json_put_u64(json, value->u64);
        break;
    case PX_LOG_VALUE_F64:
        px_json_put_f64(json, value->f64, false);
        break;
    }
}

/* May the text stand in logfmt without quotes? Only printable ASCII without space, '=', '"', '\'. */
static bool is_bare(struct px_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c <= ' ' || c == 0x7F || c == '=' || c == '"' || c == '\\')
            return false;
    }
    return text.len > 0;
}

/* key=value; a text that is not bare is written as a JSON string. */
static void put_logfmt(struct px_json_writer *json, const struct px_log_pair *pair)
{
    const struct px_log_value *value = &pair->value;
    char memory[PX_LOG_TEXT_MAX];
    if (json->buf->len)
        px_buf_byte(json->buf, ' ');
    px_buf_text(json->buf, pair->key);
    px_buf_byte(json->buf, '=');
    json->comma = false;
    switch (value->type) {
    case PX_LOG_VALUE_STR:
        if (is_bare(value->str))
            px_buf_str(json->buf, shorten(value->str, memory));
        else
            px_json_put_str(json, shorten(value->str, memory));
        break;
    case PX_LOG_VALUE_I64:
        px_json_put_i64(json, value->i64);
        break;
    case PX_LOG_VALUE_U64:
        px_json_put_u64(json, value->u64);
        break;
    case PX_LOG_VALUE_F64:
        px_json_put_f64(json, value->f64, true);
        break;
    }
}

static void write_line(const struct px_buf *line)
{
    ssize_t n;
    do {
        n = write(STDERR_FILENO, line->ptr, line->len);
    } while (n < 0 && errno == EINTR);
    /* Nowhere is left to report that the log itself cannot be written. */
}

void px_log_write(enum px_log_level level, const char *event, const struct px_log_pair *pairs,
                  size_t n)
{
    if (!is_logged(level))
        return;
    char memory[PX_LOG_LINE_MAX], time[32];
    bool as_json = GET(line_format) == PX_LOG_JSON;
    void (*put)(struct px_json_writer *, const struct px_log_pair *) =
        as_json ? put_json : put_logfmt;
    struct px_buf now = px_buf_fixed(time, sizeof time);
    put_time(&now);
    const struct px_log_pair head[] = {PX_LOG_S("ts", px_buf_view(&now)),
                                       PX_LOG_T("level", level_names[level]),
                                       PX_LOG_T("event", event)};

    struct px_buf line = px_buf_fixed(memory, sizeof memory - TAIL_MAX);
    struct px_json_writer json = px_json_writer(&line);
    if (as_json)
        px_json_begin_object(&json);
    for (size_t i = 0; i < PX_ARRAY_LEN(head); i++)
        put(&json, &head[i]);
    size_t whole = line.len;
    for (size_t i = 0; i < n && !line.failed; i++) {
        put(&json, &pairs[i]);
        whole = line.failed ? whole : line.len;
    }
    bool cut = line.failed;
    line = (struct px_buf){
        .ptr = memory, .len = whole, .max = sizeof memory - 1, .cap = sizeof memory};
    if (cut)
        px_buf_text(&line, as_json ? ",\"cut\":true" : " cut=true");
    px_buf_text(&line, as_json ? "}\n" : "\n");
    write_line(&line);
}

void px_log_err(enum px_log_level level, const char *event, const struct px_err *err)
{
    const struct px_log_pair pairs[] = {
        PX_LOG_T("code", px_code_name(err->code)), PX_LOG_T("message", err->message),
        PX_LOG_T("file", err->file), PX_LOG_I("line", err->line), PX_LOG_T("hint", err->hint)};
    px_log_write(level, event, pairs, PX_ARRAY_LEN(pairs) - (err->hint[0] ? 0 : 1));
}
