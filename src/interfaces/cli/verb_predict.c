/* SPDX-License-Identifier: Apache-2.0 */
#include "application/batch/predict_tensors.h"
#include "interfaces/cli/stream.h"
#include "interfaces/cli/verbs.h"
#include "interfaces/cli/visible.h"
#include "shared/clock.h"
#include "shared/cores.h"

#include <inttypes.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

struct session {
    struct px_cli *cli;
    struct px_package *package;
    struct px_input input;
    struct px_output output;
    struct px_progress bar;
    struct px_batch_options options;
    struct px_batch_progress done;
    uint64_t started_ns;
    const char *input_path;        /* "-" is standard input */
    struct px_table_reader *table; /* of a Parquet file; NULL: the input is CSV */
};

/* Parquet files begin and end with these four bytes. */
static const char parquet_mark[4] = {'P', 'A', 'R', '1'};

static bool is_parquet_file(const struct px_input *input)
{
    char first[4], last[4];
    off_t end = (off_t)input->size - 4;
    return end > 4 && pread(input->fd, first, 4, 0) == 4 && pread(input->fd, last, 4, end) == 4 &&
           memcmp(first, parquet_mark, 4) == 0 && memcmp(last, parquet_mark, 4) == 0;
}

/* After the mark a Parquet file goes on with a byte that no text has there. */
static bool looks_like_parquet(const char *bytes, size_t n)
{
    return n > 4 && memcmp(bytes, parquet_mark, 4) == 0 && (unsigned char)bytes[4] < ' ' &&
           !strchr("\t\n\r", bytes[4]);
}

/* A whole file would have been opened as a table: this one is cut off, or comes through a pipe. */
static enum px_code refuse_parquet(int fd, struct px_err *err)
{
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        px_err_set(err, PX_E_CORRUPT, "this Parquet file is cut off: it has no mark at its end");
        return px_err_hint(err, "write or copy it again");
    }
    px_err_set(err, PX_E_INVALID, "this is a Parquet file, and what it holds is said at its end");
    return px_err_hint(err, "give the file's name instead of a pipe");
}

/* Files that are no CSV, by their first bytes. */
static const struct {
    const char *mark;
    size_t len;
    const char *what, *hint;
} strangers[] = {
    {"\x1F\x8B", 2, "gzip-compressed", "zcat FILE | phoenix predict MODEL"},
    {"\x28\xB5\x2F\xFD", 4, "zstd-compressed", "zstdcat FILE | phoenix predict MODEL"},
    {"BZh", 3, "bzip2-compressed", "bzcat FILE | phoenix predict MODEL"},
    {"\xFD"
     "7zXZ",
     5, "xz-compressed", "xzcat FILE | phoenix predict MODEL"},
    {"PK\x03\x04", 4, "a zip archive or a spreadsheet", "unpack it, or save it as CSV"},
    {"\xFF\xFE", 2, "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE | phoenix predict MODEL"},
    {"\xFE\xFF", 2, "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE | phoenix predict MODEL"},
};

static enum px_code check_is_text(const char *bytes, size_t n, struct px_err *err)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(strangers); i++) {
        if (n < strangers[i].len || memcmp(bytes, strangers[i].mark, strangers[i].len) != 0)
            continue;
        px_err_set(err, PX_E_INVALID, "the input is %s, expected CSV in UTF-8", strangers[i].what);
        return px_err_hint(err, "%s", strangers[i].hint);
    }
    return PX_OK;
}

static enum px_code read_input(void *context, char *out, size_t cap, size_t *ret_n,
                               struct px_err *err)
{
    struct session *s = context;
    enum px_code code = px_input_read(&s->input, out, cap, ret_n, err);
    if (code != PX_OK || s->done.bytes_read)
        return code;
    if (looks_like_parquet(out, *ret_n))
        return refuse_parquet(s->input.fd, err);
    return check_is_text(out, *ret_n, err);
}

/* Would a read return at once, with bytes or the end? */
static bool input_is_ready(void *context)
{
    struct session *s = context;
    struct pollfd input = {.fd = s->input.fd, .events = POLLIN};
    return poll(&input, 1, 0) != 0;
}

static enum px_code write_output(void *context, struct px_str bytes, struct px_err *err)
{
    struct session *s = context;
    return px_output_write(&s->output, bytes, err);
}

static void show_bad_row(void *context, uint64_t line, const struct px_err *why)
{
    struct session *s = context;
    if (s->bar.shown)
        fputs("\r\033[K", s->cli->err);
    fprintf(s->cli->err, "%s %" PRIu64 ": ", s->table ? "row" : "line", line);
    px_print_visible(s->cli->err, px_str(why->message));
    fputc('\n', s->cli->err);
    if (s->done.rows_bad == PX_BATCH_BAD_ROWS_TOLD)
        fputs("further bad rows are counted, not shown\n", s->cli->err);
}

static double seconds_since(uint64_t started_ns)
{
    return (double)(px_clock_monotonic_ns() - started_ns) / (double)PX_NS_PER_S;
}

static void show_progress(void *context, const struct px_batch_progress *done)
{
    struct session *s = context;
    char note[96];
    double seconds = seconds_since(s->started_ns);
    uint64_t rows = done->rows_scored + done->rows_bad;
    if (!s->bar.shown)
        return;
    snprintf(note, sizeof note, "%" PRIu64 " rows, %.0f rows/s,", rows,
             seconds > 0 ? (double)rows / seconds : 0.0);
    px_progress_update(&s->bar, done->bytes_read, note);
}

/* "," or "tab", "\t": one byte that cannot be part of the syntax. */
static enum px_code parse_separator(struct px_str text, char *ret, struct px_err *err)
{
    if (px_str_is(text, "tab") || px_str_is(text, "\\t"))
        text = px_str("\t");
    if (text.len != 1 || strchr("\"\r\n", text.ptr[0]))
        return px_err_set(err, PX_E_INVALID,
                          "--separator must be one character or 'tab', got '%.*s'",
                          PX_STR_ARG(text));
    *ret = text.ptr[0];
    return PX_OK;
}

static enum px_code read_options(struct session *s, struct px_err *err)
{
    struct px_cli *cli = s->cli;
    struct px_str on_error = px_cli_text(cli, "on-error");
    int64_t threads = px_cli_given(cli, "threads") ? px_cli_int(cli, "threads")
                                                   : px_cores(PX_PIPELINE_THREADS_MAX);
    if (threads < 1 || threads > PX_PIPELINE_THREADS_MAX)
        return px_err_set(err, PX_E_INVALID, "--threads must be 1 to %d, got %" PRId64,
                          PX_PIPELINE_THREADS_MAX, threads);
    s->options = (struct px_batch_options){
        .rows = {.by_position = px_cli_flag(cli, "by-position"),
                 .no_header = px_cli_flag(cli, "no-header")},
        .margin = px_cli_flag(cli, "margin"),
        .json = px_cli_flag(cli, "json"),
        .fail_on_error = px_str_is(on_error, "fail"),
        .n_threads = (size_t)threads,
    };
    if (!s->options.fail_on_error && !px_str_is(on_error, "skip"))
        return px_err_set(err, PX_E_INVALID, "--on-error must be skip or fail, got '%.*s'",
                          PX_STR_ARG(on_error));
    s->input_path = cli->n_arguments > 1 ? cli->arguments[1] : px_cli_text(cli, "input").ptr;
    if (cli->n_arguments > 1 && px_cli_given(cli, "input"))
        return px_err_set(err, PX_E_INVALID, "two inputs: '%s' and --input %s", s->input_path,
                          px_cli_text(cli, "input").ptr);
    if (strcmp(s->input_path, "-") == 0 && isatty(STDIN_FILENO))
        return px_err_set(err, PX_E_INVALID, "no rows: give a file, or rows on standard input");
    if (px_cli_given(cli, "separator"))
        return parse_separator(px_cli_text(cli, "separator"), &s->options.rows.separator, err);
    return PX_OK;
}

static enum px_code predict(struct session *s, struct px_err *err)
{
    const struct px_batch_io io = {
        .read = read_input,
        .ready = input_is_ready,
        .write = write_output,
        .bad_row = show_bad_row,
        .progress = show_progress,
        .context = s,
    };
    const char *output = px_cli_text(s->cli, "output").ptr;
    if (px_input_is(&s->input, output))
        return px_err_set(err, PX_E_CONFLICT, "--output %s is the input: the rows would be lost",
                          output);
    enum px_code code = px_output_open(&s->output, output, err);
    if (code != PX_OK)
        return code;
    s->bar = px_progress(s->cli->err, "predict", s->table ? 0 : s->input.size);
    s->started_ns = px_clock_monotonic_ns();
    const struct px_batch_table table = {s->table, &s->done};
    if (s->package->engine)
        code = px_batch_predict_tensors(s->package, &s->options, &io, &s->done, err);
    else if (s->table)
        code = px_batch_predict_table(s->package, &s->options, &io, &table, err);
    else
        code = px_batch_predict(s->package, &s->options, &io, &s->done, err);
    px_progress_end(&s->bar);
    if (code == PX_OK)
        code = px_output_commit(&s->output, err);
    else if (code == PX_E_INVALID)
        px_err_wrap(err, "%s", s->input.name);
    px_output_close(&s->output);
    return code;
}

/* What a person at a terminal wants to know, and what nobody should miss. */
static void print_summary(const struct session *s)
{
    const struct px_batch_progress *done = &s->done;
    double seconds = seconds_since(s->started_ns);
    if (!done->rows_bad && !done->rows_degraded && !isatty(STDERR_FILENO))
        return;
    fprintf(s->cli->err, "%" PRIu64 " rows scored in %.1f s (%.0f rows/s)", done->rows_scored,
            seconds, seconds > 0 ? (double)done->rows_scored / seconds : 0.0);
    if (done->rows_bad)
        fprintf(s->cli->err, ", %" PRIu64 " bad rows skipped", done->rows_bad);
    if (done->rows_degraded)
        fprintf(s->cli->err, ", %" PRIu64 " degraded: a step failed and its fallback stood in",
                done->rows_degraded);
    fputc('\n', s->cli->err);
}

static int finish(struct session *s, enum px_code code, struct px_err *err)
{
    if (code == PX_E_CANCELLED) {
        (void)px_cli_fail(s->cli, err);
        return PX_EXIT_INTERRUPTED;
    }
    if (code == PX_E_INVALID && s->options.fail_on_error && s->done.rows_bad)
        px_err_hint(err, "--on-error skip leaves bad rows out and goes on");
    if (code != PX_OK)
        return px_cli_fail(s->cli, err);
    print_summary(s);
    if (s->done.rows_bad && !s->done.rows_scored) {
        px_err_set(err, PX_E_INVALID, "none of the %" PRIu64 " rows could be scored",
                   s->done.rows_bad);
        return px_cli_fail(s->cli, err);
    }
    return PX_EXIT_OK;
}

/* Opens the input, and the table in it when it is a Parquet file. */
static enum px_code open_input(struct session *s, struct px_err *err)
{
    enum px_code code = px_input_open(&s->input, s->input_path, err);
    if (code != PX_OK || !is_parquet_file(&s->input))
        return code;
    if (s->package->engine)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "%s: a model of tensors takes JSON lines, not a Parquet file",
                          s->input.name);
    bool standard = strcmp(s->input_path, "-") == 0;
    code = s->cli->services->open_parquet(standard ? "/dev/stdin" : s->input_path,
                                          s->options.n_threads, &s->table, err);
    if (code != PX_OK)
        px_err_wrap(err, "%s", s->input.name);
    return code;
}

static int run_predict(struct px_cli *cli)
{
    struct session s = {.cli = cli, .input = {.fd = -1}};
    struct px_err err = {0};
    struct px_forest_options forest = {0};
    const struct px_package_options opening = {.forest = &forest,
                                               .engines = cli->services->engines};
    if (read_options(&s, &err) != PX_OK || px_cli_rounds(cli, &forest.rounds, &err) != PX_OK)
        return px_cli_usage(cli, &err);
    px_interrupts_guard();
    enum px_code code = px_package_open(cli->arguments[0], &opening, &s.package, &err);
    if (code == PX_OK)
        code = open_input(&s, &err);
    if (code == PX_OK)
        code = predict(&s, &err);
    px_table_reader_close(s.table);
    px_input_close(&s.input);
    px_package_close(s.package);
    return finish(&s, code, &err);
}

static const struct px_option options[] = {
    {"input", 'i', PX_OPTION_TEXT, "FILE",
     "Rows as CSV or Parquet; - is standard input. The same as INPUT.", "-"},
    {"output", 'o', PX_OPTION_TEXT, "FILE",
     "Where the scores go; - is standard output. A file appears when it is complete.", "-"},
    {"margin", 'm', PX_OPTION_FLAG, NULL, "Print raw margins instead of scores.", NULL},
    {"json", 0, PX_OPTION_FLAG, NULL,
     "Print JSON lines {\"line\":2,\"score\":0.93}; line is where the row begins in the input.",
     NULL},
    {"on-error", 0, PX_OPTION_TEXT, "skip|fail",
     "What a bad row does: skip it with a message, or end the work without an output file.",
     "fail"},
    {"by-position", 0, PX_OPTION_FLAG, NULL,
     "Match columns by their order instead of by name. A column with the target's name is left "
     "out.",
     NULL},
    {"no-header", 0, PX_OPTION_FLAG, NULL, "The first line is a row; implies --by-position.", NULL},
    {"separator", 's', PX_OPTION_TEXT, "CHAR",
     "Character between fields, or 'tab'. Without it the first line decides among , ; tab and |.",
     NULL},
    {"threads", 't', PX_OPTION_INT, "N",
     "Threads that read, score and print; one per usable core by default. The output is the "
     "same for any number.",
     NULL},
    {"rounds", 0, PX_OPTION_TEXT, "all|best",
     "Which trees of an early-stopped model count, unless the package's model.yaml says so.",
     "all"},
    {0},
};

const struct px_verb px_verb_predict = {
    .name = "predict",
    .summary = "Score the rows of a CSV or Parquet file, or JSON lines.",
    .arguments = "MODEL [INPUT]",
    .details =
        "MODEL is a package folder or a bare model file (XGBoost JSON or UBJSON, LightGBM "
        "text, CatBoost JSON, ONNX). The "
        "input may have any size; it is read by all cores in bounded memory, and the order "
        "of rows is kept. "
        "Columns that are "
        "no feature, such as the target, are ignored.\n"
        "\n"
        "A model of tensors (another ONNX graph, a plug-in, a remote model, an ensemble) takes "
        "JSON lines: a "
        "row each, as in \"instances\" of /v1/models/M:predict, and answers "
        "{\"line\":1,\"prediction\":...}, with \"degraded\":\"STEP\" where a step of an ensemble "
        "failed "
        "and its fallback stood in. A model that keeps state (\"sequence\" in model.yaml) is "
        "refused: "
        "rows of a file belong to no sequence.\n"
        "\n"
        "The output has one column 'score', or 'score_<class>' for each class. An empty "
        "field, NA, NaN, "
        "null, None and ? mean missing. Bad rows (a field that is no number, a wrong count "
        "of fields) "
        "are reported with their line numbers; a skipped row has no output row. Empty lines are "
        "passed "
        "over, but where there is one column each is a row with a missing value.\n"
        "\n"
        "A Parquet file is known by its content and read with DuckDB's library, when there is "
        "one (libduckdb.so; PHOENIX_DUCKDB_LIBRARY names its file). NULL is missing, and "
        "'row' takes the place of 'line'.\n"
        "\n"
        "    phoenix predict bank --input rows.csv --output scores.csv\n"
        "    phoenix predict bank rows.parquet --output scores.csv\n"
        "    zcat rows.csv.gz | phoenix predict model.json --json | head",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 2,
    .run = run_predict,
};
