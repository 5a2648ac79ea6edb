/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model repository: models come and go while the server answers. For every dialect.
 *
 *     request = px_repository_request_create(PX_REPOSITORY_LOAD);
 *     request->name, ->loop, ->done, ->owner = ...          // texts may go to request->arena
 *     px_repository_add_parameter(request, key, &value, err) // as the client sent them
 *     px_repository_submit(serving, request, err)            // takes the request, also on failure
 *     ... `done(request)` runs on that loop; then the request is freed
 *
 * Concepts
 * - A load reads every version of one model again, from the arguments of `phoenix serve` (folders are looked at anew, so
 *   new models and versions are found) or from the files that came with the request. The new versions are built and
 *   warmed beside the old ones and swapped in; requests in flight finish on the old ones. A version that cannot be loaded
 *   leaves the old one serving; the request fails with the reason, which the index shows as well.
 * - An unload takes every version of a model out; it can be loaded again later.
 * - Memory of what was replaced is given back once every loop has finished what it had parked for it.
 * - The index lists what serves and what could be loaded.
 *
 * Jobs run one after the other on a control thread of their own; listing does not wait for loading. At most
 * PX_REPOSITORY_WAITING_MAX requests of a kind wait, and all of them hold at most PX_REPOSITORY_WAITING_BYTES_MAX with
 * their files until they are answered; more are refused with PX_E_OVERLOADED.
 *
 * Ownership: a request belongs to the repository from submit on, with everything in its arena. It never touches `owner`,
 * which may die before `done` as far as the repository is concerned; when the loops have stopped `done` is not called.
 * Threads: create and submit on a loop.
 */
#ifndef PX_APPLICATION_SERVING_REPOSITORY_H
#define PX_APPLICATION_SERVING_REPOSITORY_H

#include "application/control/control.h"
#include "application/fetching/fetcher.h"
#include "application/ports/loops.h"
#include "application/serving/serving.h"

enum {
    PX_REPOSITORY_WAITING_MAX = 64,
    PX_REPOSITORY_FILES_MAX = 64,              /* in one load */
    PX_REPOSITORY_MODELS_MAX = 100000,         /* versions that are known at a time */
    PX_REPOSITORY_REQUEST_BYTES_MAX = 1 << 30, /* with its files */
    PX_REPOSITORY_WAITING_BYTES_MAX = 1 << 30, /* of all that are not answered yet */
};

enum px_repository_action { PX_REPOSITORY_LOAD = 1, PX_REPOSITORY_UNLOAD, PX_REPOSITORY_INDEX };

/* A parameter as it came: base64 is how JSON carries bytes. */
struct px_repository_value {
    enum {
        PX_REPOSITORY_BOOL = 1,
        PX_REPOSITORY_INT,
        PX_REPOSITORY_TEXT, /* `text`; base64 for a file */
        PX_REPOSITORY_BYTES,
    } type;
    bool boolean;
    int64_t integer;
    struct px_str text;
};

/* One line of the index. */
struct px_repository_entry {
    struct px_str name, version;
    const char *state;    /* "READY", "UNAVAILABLE", "LOADING", "UNLOADING" */
    struct px_str reason; /* why it is not ready or what failed last; may be empty */
};

/* A file that replaces what the repository holds. */
struct px_repository_file {
    struct px_str version, path; /* "1", "model.json" */
    struct px_str bytes;
};

struct px_fetched;

struct px_repository_request {
    enum px_repository_action action;
    struct px_arena arena;
    struct px_str name;
    bool ready_only; /* of an index */
    unsigned loop;
    void (*done)(struct px_repository_request *request);
    void *owner;

    /* filled by px_repository_add_parameter */
    struct px_str config; /* JSON, empty without */
    struct px_repository_file *files;
    size_t n_files;

    /* answered */
    enum px_code code;
    struct px_err err;
    struct px_repository_entry *entries; /* of an index */
    size_t n_entries;

    /* private */
    bool is_own;    /* the server's, which may whatever clients may */
    bool is_polled; /* only what has changed is loaded: the rest stays if it is still there */
    const struct px_str *changed; /* versions; in the arena */
    size_t n_changed;
    struct px_serving *serving;
    struct px_fetched *fetched; /* versions behind URLs (repository_fetch.c) */
    bool was_fetched;           /* what it needs is in that list */
    struct px_fetcher_job fetch;
    size_t charged; /* to the repository's waiting_bytes */
    struct px_control_job job;
    struct px_loop_task task;
};

/* NULL without memory. One that is not submitted is given back with px_repository_request_free. */
struct px_repository_request *px_repository_request_create(enum px_repository_action action);
void px_repository_request_free(struct px_repository_request *request);

/*
 * Takes one parameter of a load or unload: `config` (a ModelConfig as JSON), `file:<version>/<path>`,
 * `unload_dependents`; anything else is PX_E_INVALID.
 */
PX_MUST_USE enum px_code px_repository_add_parameter(struct px_repository_request *request,
                                                     struct px_str key,
                                                     const struct px_repository_value *value,
                                                     struct px_err *err);

/*
 * PX_E_UNAVAILABLE when clients may change nothing (px_serving_check_control), PX_E_INVALID for a name
 * that no model can have, PX_E_OVERLOADED. An error means that `done` is not called.
 */
PX_MUST_USE enum px_code px_repository_submit(struct px_serving *serving,
                                              struct px_repository_request *request,
                                              struct px_err *err);

/*
 * May clients change what the server does: its models, its traces, its log? PX_E_UNAVAILABLE and how to allow it
 * when serving.model_control turns that off; reading is always allowed. `what` is refused, as the message says it.
 */
PX_MUST_USE enum px_code px_serving_check_control(struct px_serving *serving, const char *what,
                                                  struct px_err *err);

/* What was done since the start; read it anywhere. */
struct px_repository_counts {
    _Atomic uint64_t loads, failed_loads, unloads;
    _Atomic uint64_t load_ns; /* that loads took, failed ones too */
};
/* NULL before px_serving_manage. */
const struct px_repository_counts *px_repository_counts(struct px_serving *serving);

/* ---- the composition root ---- */

/* Starts the control threads; before it requests are refused. `may_control`: clients may change things. `loops` must outlive px_serving_unmanage. */
PX_MUST_USE enum px_code px_serving_manage(struct px_serving *serving, const struct px_loops *loops,
                                           bool may_control, struct px_err *err);
/*
 * Stops them; when the loops have stopped or never started, and before they are destroyed. False: engines did not end their runs in
 * time (struct px_serving_limits, stop_ns). Then nothing that a run may touch is freed, and the process ends without it.
 */
bool px_serving_unmanage(struct px_serving *serving);

#endif
