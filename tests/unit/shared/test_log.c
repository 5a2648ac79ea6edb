/* SPDX-License-Identifier: Apache-2.0 */
/* Standard error is a pipe here; what comes out of it is one line per event. */
#include "harness.h"
#include "shared/json.h"
#include "shared/log.h"

#include <fcntl.h>
#include <unistd.h>

static int reading_end;
static int real_stderr;

/* The one line that was written since the last call, without its line end; "" when none was. */
static const char *line(void)
{
    static char bytes[2 * PX_LOG_LINE_MAX];
    ssize_t n = read(reading_end, bytes, sizeof bytes - 1);
    if (n <= 0)
        return "";
    bytes[n] = '\0';
    CHECK(n <= PX_LOG_LINE_MAX);
    CHECK(strchr(bytes, '\n') == bytes + n - 1);
    bytes[n - 1] = '\0';
    return bytes;
}

/* What follows the time. */
static const char *after_time(const char *text)
{
    CHECK(strncmp(text, "ts=2", 4) == 0 && strlen(text) > 28 && text[27] == ' ');
    return text + 28;
}

PX_TEST(logfmt)
{
    px_log_configure(PX_LOG_INFO, PX_LOG_LOGFMT);
    px_log(PX_LOG_INFO, "model.loaded", PX_LOG_T("model", "fraud"), PX_LOG_U("trees", 500),
           PX_LOG_I("delta", -3), PX_LOG_F("auc", 0.93), PX_LOG_S("path", px_str("a b")));
    CHECK_STR(px_str(after_time(line())),
              "level=info event=model.loaded model=fraud trees=500 delta=-3 auc=0.93 path=\"a b\"");
}

PX_TEST(json)
{
    px_log_configure(PX_LOG_INFO, PX_LOG_JSON);
    px_log(PX_LOG_WARN, "x.y", PX_LOG_T("text", "a \"b\"\n"), PX_LOG_F("nan", NAN),
           PX_LOG_U("n", 1), PX_LOG_I("i", -1));
    const char *text = line();
    CHECK_CONTAINS(text, "{\"ts\":\"2");
    CHECK_CONTAINS(text, "Z\",\"level\":\"warn\",\"event\":\"x.y\",\"text\":\"a \\\"b\\\"\\n\","
                         "\"nan\":null,\"n\":1,\"i\":-1}");
}

PX_TEST(values_cannot_forge_lines)
{
    px_log_configure(PX_LOG_INFO, PX_LOG_LOGFMT);
    px_log(PX_LOG_INFO, "x", PX_LOG_T("a", "b\nlevel=error c=d"), PX_LOG_T("empty", ""),
           PX_LOG_T("esc", "\x1B[31m"), PX_LOG_T("bad", "\xFF"), PX_LOG_T("eq", "k=v"),
           PX_LOG_S("nul", px_str_n("a\0b", 3)), PX_LOG_T("e", "\xC3\xA9"));
    CHECK_STR(px_str(after_time(line())),
              "level=info event=x a=\"b\\nlevel=error c=d\" empty=\"\" esc=\"\\u001b[31m\" "
              "bad=\"\xEF\xBF\xBD\" eq=\"k=v\" nul=\"a\\u0000b\" e=\"\xC3\xA9\"");
}

PX_TEST(levels)
{
    px_log_configure(PX_LOG_WARN, PX_LOG_LOGFMT);
    px_log(PX_LOG_INFO, "x", PX_LOG_U("n", 1));
    CHECK_STR(px_str(line()), "");
    px_log(PX_LOG_WARN, "x", PX_LOG_U("n", 1));
    CHECK_CONTAINS(line(), "level=warn");
    px_log_configure(PX_LOG_DEBUG, PX_LOG_LOGFMT);
    px_log(PX_LOG_DEBUG, "x", PX_LOG_U("n", 1));
    CHECK_CONTAINS(line(), "level=debug");
    px_log(PX_LOG_ERROR, "x", PX_LOG_U("n", 1));
    CHECK_CONTAINS(line(), "level=error");
}

PX_TEST(long_texts_are_cut_and_marked)
{
    static char text[3 * PX_LOG_TEXT_MAX];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xC3\xA9", 3);
    px_log_configure(PX_LOG_INFO, PX_LOG_JSON);
    px_log(PX_LOG_INFO, "x", PX_LOG_T("text", text), PX_LOG_U("after", 1));
    const char *got = line();
    CHECK_CONTAINS(got, "\xC3\xA9\xE2\x80\xA6\",\"after\":1}");
    CHECK(px_str_is_utf8(px_str(got)));
    px_log(PX_LOG_INFO, "x", PX_LOG_T("text", text + 1)); /* the cut falls into a character */
    got = line();
    CHECK_CONTAINS(got, "\xC3\xA9\xE2\x80\xA6\"}");
    CHECK(px_str_is_utf8(px_str(got)));
}

PX_TEST(long_lines_are_cut_between_pairs)
{
    static char text[PX_LOG_TEXT_MAX];
    memset(text, 'x', sizeof text - 1);
    for (int format = PX_LOG_LOGFMT; format <= PX_LOG_JSON; format++) {
        px_log_configure(PX_LOG_INFO, (enum px_log_format)format);
        px_log(PX_LOG_INFO, "x", PX_LOG_T("a", text), PX_LOG_T("b", text), PX_LOG_T("c", text),
               PX_LOG_T("d", text), PX_LOG_U("e", 1));
        const char *got = line();
        CHECK_CONTAINS(got, format == PX_LOG_JSON ? ",\"cut\":true}" : " cut=true");
        CHECK(!strstr(got, "\"d\"") && !strstr(got, " d="));
        CHECK(strstr(got, "\"c\"") || strstr(got, " c="));
        if (format == PX_LOG_JSON) {
            struct px_json json;
            px_json_init(&json, px_str(got), NULL, 0);
            px_json_skip(&json);
            CHECK_OK(px_json_finish(&json, NULL));
        }
    }
}

PX_TEST(errors_as_events)
{
    struct px_err err;
    px_log_configure(PX_LOG_INFO, PX_LOG_LOGFMT);
    px_err_set(&err, PX_E_NOT_FOUND, "no model '%s'", "m");
    px_log_err(PX_LOG_ERROR, "model.failed", &err);
    const char *got = line();
    CHECK_CONTAINS(got, "event=model.failed code=NOT_FOUND message=\"no model 'm'\" file=");
    CHECK(!strstr(got, "hint="));
    px_err_hint(&err, "list them");
    px_log_err(PX_LOG_ERROR, "model.failed", &err);
    CHECK_CONTAINS(line(), " hint=\"list them\"");
}

static const struct px_test tests[] = {T(logfmt) T(json) T(values_cannot_forge_lines) T(levels) T(
    long_texts_are_cut_and_marked) T(long_lines_are_cut_between_pairs) T(errors_as_events)};

int main(int argc, char **argv)
{
    int ends[2];
    real_stderr = dup(STDERR_FILENO);
    if (pipe2(ends, O_NONBLOCK) != 0 || real_stderr < 0)
        return 1;
    reading_end = ends[0];
    dup2(ends[1], STDERR_FILENO);
    int rc = px_test_run_all(tests, sizeof tests / sizeof tests[0], argc > 1 ? argv[1] : NULL);
    dup2(real_stderr, STDERR_FILENO);
    char left[4096]; /* the account of a failed check */
    ssize_t n = read(reading_end, left, sizeof left);
    if (n > 0)
        fprintf(stderr, "%.*s", (int)n, left);
    return rc;
}
