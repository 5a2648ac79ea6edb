/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of an isolated model, and the thread that looks after them. Private to this folder.
 *
 * Each process ("worker") computes one run at a time. When one ends, its caller gets PX_E_UNAVAILABLE with how it ended, and it is started
 * again after a pause that doubles from failure to failure, with jitter, up to a most; a worker that has lived for longer than that begins
 * anew. A run that takes longer than the time-out costs the worker its life. A run that its caller gives up (deadline, cancel) does
 * not: the worker is left alone until it has answered or the time-out is over.
 *
 * Threads: run and cancel any; create and destroy one.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_CHILDREN_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_CHILDREN_H

#include "infrastructure/engines/plugin/child.h"
#include "infrastructure/engines/plugin/instance.h"
#include "infrastructure/engines/plugin/settings.h"

struct px_children;

struct px_children_options {
    char *const *argv;          /* of a worker */
    struct px_plugin_load load; /* what it is told to load */
    const char *code;           /* the library, or the Python file */
    const char *function;       /* of the Python file, or "" */
    const struct px_plugin_settings *settings;
};

/* What the workers say of the model. */
struct px_children_model {
    struct px_tensor_specs takes, gives;
    uint32_t flags; /* phx_engine_flags */
    struct px_str name, version;
};

struct px_children_counts {
    size_t workers, up;
    uint64_t restarts;
    char last_end[PX_CHILD_REASON_MAX]; /* empty: none has ended */
    char last_printed[PX_CHILD_REASON_MAX];
};

/*
 * Starts the workers and waits until the first has loaded the model. `options` and `arena` outlive the object. Errors of loading have
 * the plug-in's own reason.
 */
PX_MUST_USE enum px_code px_children_create(const struct px_children_options *options,
                                            struct px_arena *arena, struct px_children **ret,
                                            struct px_err *err);
/* Ends all processes; no run is left. NULL is fine. */
void px_children_destroy(struct px_children *children);

const struct px_children_model *px_children_model(const struct px_children *children);

/* Computes in a worker; waits for one while all are busy. */
PX_MUST_USE enum px_code px_children_run(struct px_children *children, struct px_run *run,
                                         struct px_err *err);
/* run->cancelled has been set: whoever waits looks at it. */
void px_children_wake(struct px_children *children);

void px_children_count(struct px_children *children, struct px_children_counts *ret);

#endif
