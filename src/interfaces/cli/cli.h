/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: `phoenix VERB [options] [arguments]`.
 *
 * A verb is a row: name, one-line summary, arguments, table of options, and a function. Parsing, --help,
 * the error for an unknown option (with the nearest match), completion and the list of verbs come from
 * the rows. A verb translates between the terminal and the application; it decides nothing.
 *
 * Exit status: 0 success, 1 the work failed, 2 the command line was wrong, 130 interrupted.
 * Results go to standard output, everything else to standard error.
 */
#ifndef PX_INTERFACES_CLI_CLI_H
#define PX_INTERFACES_CLI_CLI_H

#include "application/config/sources.h"
#include "application/ports/engine_provider.h"
#include "application/ports/http.h"
#include "application/ports/model_store.h"
#include "application/ports/table_reader.h"
#include "application/ports/trainer.h"
#include "application/pressure/pressure.h"
#include "domain/forest/forest.h"

#include <stdio.h>

enum { PX_EXIT_OK = 0, PX_EXIT_FAILED = 1, PX_EXIT_USAGE = 2, PX_EXIT_INTERRUPTED = 130 };

struct px_serving;
struct px_load;

/* A server that is to run. What is lent must outlive it. */
struct px_serve_job {
    const struct px_config_sources *sources; /* that `config` was read from, to be read again */
    const struct px_config *config;
    struct px_serving *serving;
    void (*announce)(void *context, const char *urls[], size_t n_urls);
    void *context; /* of announce */
};

/* A serving process that another one is to take over from. */
struct px_upgrade_job {
    int64_t pid;
    const char *program; /* a file to put in the place of its program first, or NULL */
    uint64_t timeout_ms;
    /* Called when the new process has been started: its number and its program. */
    void (*announce)(void *context, int64_t pid, const char *program);
    void *context; /* of announce */
};

/* What the composition root lends to verbs, so that they need no adapter. */
struct px_cli_services {
    /* A trainer for this machine; the caller destroys it. */
    enum px_code (*open_trainer)(struct px_trainer **ret, struct px_err *err);
    /* A Parquet file, read with so many threads; the caller closes it. */
    enum px_code (*open_parquet)(const char *path, size_t n_threads, struct px_table_reader **ret,
                                 struct px_err *err);
    /* Do the settings agree with each other, and with the files that they name? The same for every verb that reads them. */
    enum px_code (*check_config)(const struct px_config *config, struct px_err *err);
    /* A process that is to serve begins: before it reads or loads anything. NULL: nothing is to be done. */
    void (*serve_begins)(void);
    /* It ends with this error; whoever waits for it is told. NULL: nobody does. */
    void (*serve_failed)(const struct px_err *err);
    /*
     * Serves until SIGTERM or SIGINT and drains. `announce` is called once when connections are
     * accepted, with the URLs ("http://127.0.0.1:8080", "unix:/PATH"). Returns when everything has ended.
     */
    enum px_code (*serve)(const struct px_serve_job *job, struct px_err *err);
    /* Numbers of the processes that serve on this machine; at most `max`. */
    size_t (*list_servers)(int64_t *pids, size_t max);
    /* Returns when another process serves instead; its number is `*ret_pid`. An error has changed nothing, or says what. */
    enum px_code (*upgrade)(const struct px_upgrade_job *job, int64_t *ret_pid, struct px_err *err);
    /* A client that makes load; the caller destroys it. */
    enum px_code (*open_load)(struct px_load **ret, struct px_err *err);
    /* What the system lets the process have, just now; any thread. NULL: nobody knows. */
    struct px_pressure_reading (*read_memory)(void);
    const struct px_engines *engines;     /* what opens models of tensors; NULL: tree models only */
    const struct px_model_stores *stores; /* what models behind URLs come from; NULL: nothing */
};

enum px_option_type { PX_OPTION_FLAG = 1, PX_OPTION_TEXT, PX_OPTION_INT, PX_OPTION_REAL };

struct px_option {
    const char *name; /* "port": given as --port N or --port=N */
    char letter;      /* 'p': -p N; 0 = none */
    enum px_option_type type;
    const char *value; /* name of the value in help, "N"; NULL for flags */
    const char *help;
    const char *def; /* default as text; NULL = none */
};

enum { PX_CLI_OPTIONS_MAX = 48, PX_CLI_ARGUMENTS_MAX = 1024 };

struct px_cli {
    const struct px_cli_services *services;
    const struct px_verb *verb;
    FILE *out, *err;
    /* parsed */
    /* By option row; ptr is NULL for an option without a value and without a default. */
    struct px_str values[PX_CLI_OPTIONS_MAX];
    bool given[PX_CLI_OPTIONS_MAX]; /* on the command line, not by default */
    const char *arguments[PX_CLI_ARGUMENTS_MAX];
    size_t n_arguments;
};

struct px_verb {
    const char *name, *summary;
    const char *arguments;           /* "MODEL | NAME=MODEL... | DIR" */
    const char *details;             /* paragraphs and examples for --help */
    const struct px_option *options; /* ended by a row without a name */
    size_t arguments_min, arguments_max;
    int (*run)(struct px_cli *cli); /* returns an exit status */
};

/* Values of options by name; the name must be in the verb's table (asserted). */
bool px_cli_given(const struct px_cli *cli, const char *option);
bool px_cli_flag(const struct px_cli *cli, const char *option);
struct px_str px_cli_text(const struct px_cli *cli, const char *option); /* {NULL,0} when absent */
/* Checked while parsing, so these cannot fail. The option must be given or have a default. */
int64_t px_cli_int(const struct px_cli *cli, const char *option);
double px_cli_real(const struct px_cli *cli, const char *option);

/* The value of an option "rounds" that a verb has: all or best. */
PX_MUST_USE enum px_code px_cli_rounds(const struct px_cli *cli, enum px_forest_rounds *ret,
                                       struct px_err *err);

/* Prints "phoenix VERB: message" and the hint to standard error; returns PX_EXIT_FAILED. */
int px_cli_fail(struct px_cli *cli, const struct px_err *err);

/* The same for a wrong command line that the option table cannot express, and where to read on;
 * returns PX_EXIT_USAGE. */
int px_cli_usage(struct px_cli *cli, const struct px_err *err);

/* Runs a command line; the whole program but for the services. */
int px_cli_main(int argc, char **argv, const struct px_cli_services *services);

/* All verbs; each lives in a file of its own, declared in verbs.h and listed in verbs.c. */
extern const struct px_verb *const px_verbs[]; /* ended by NULL */

/*
 * A progress bar on standard error when it is a terminal, nothing otherwise. `total` 0 = unknown.
 */
struct px_progress {
    FILE *out;
    const char *label;
    uint64_t total, started_ns, drawn_ns;
    bool shown;
};
struct px_progress px_progress(FILE *out, const char *label, uint64_t total);
void px_progress_update(struct px_progress *p, uint64_t done, const char *note);
void px_progress_end(struct px_progress *p);

#endif
