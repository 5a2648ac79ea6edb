/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of a running server: what holds, where it came from, and reading the file again.
 *
 * Concepts
 * - A reload reads all sources as a start would, and checks the whole. It is applied as a whole or not at all: a file that is
 *   wrong, or that changes a setting that is not live (config.def), changes nothing and says why. So after a reload
 *   that went well, what runs is what the file says.
 * - Every change is logged (config.changed: key, from, to), and so is every refusal (config.refused).
 * - All of it happens on one control thread, which alone touches the current settings.
 *
 * Threads: create, stop and destroy on main; submit on any. `apply` runs on the control thread and may wait for loops.
 */
#ifndef PX_APPLICATION_CONFIG_LIVE_H
#define PX_APPLICATION_CONFIG_LIVE_H

#include "application/config/sources.h"
#include "application/control/control.h"
#include "application/ports/loops.h"

enum px_live_action { PX_LIVE_SHOW = 1, PX_LIVE_RELOAD };

/* One setting as it holds. */
struct px_live_setting {
    const struct px_config_key *key;
    struct px_str value;
    enum px_config_origin origin;
};

struct px_live_change {
    const struct px_config_key *key;
    struct px_str from, to;
};

/* What an interface asks; `done` gets it back on `loop`, and it is freed after that. */
struct px_live_request {
    enum px_live_action action;
    unsigned loop;
    void (*done)(struct px_live_request *request);
    void *owner;

    /* answered; texts live in the request */
    enum px_code code; /* PX_E_CONFLICT: something would need a restart, or there is no file */
    struct px_err err;
    struct px_str path;               /* the file, or empty */
    struct px_live_setting *settings; /* of SHOW; [n_settings], in the order of config.def */
    size_t n_settings;
    struct px_live_change *changes; /* of RELOAD */
    size_t n_changes;

    /* private */
    struct px_live_config *live;
    struct px_arena arena;
    struct px_control_job job;
    struct px_loop_task task;
};

/* What the composition root lends. */
struct px_live_hooks {
    void *context;
    enum px_code (*check)(const struct px_config *config, struct px_err *err);
    /* Before anything changes: can `apply` do it? */
    enum px_code (*prepare)(void *context, const struct px_config *to, struct px_err *err);
    /* Cannot fail. When it returns nothing reads the texts of `from` any more, but for settings that are not live. */
    void (*apply)(void *context, const struct px_config *from, const struct px_config *to);
    /* A reload begins and ends (with its answer); on the control thread. */
    void (*reloading)(void *context, bool begins);
};

struct px_live_config;

/* What is given is borrowed, the settings too. */
PX_MUST_USE enum px_code px_live_config_create(const struct px_config_sources *sources,
                                               const struct px_config *config,
                                               const struct px_live_hooks *hooks,
                                               struct px_live_config **ret, struct px_err *err);
/* Lends the loops that requests come from; before they start. */
void px_live_config_use_loops(struct px_live_config *live, const struct px_loops *loops);

/* NULL without memory. */
struct px_live_request *px_live_request_create(enum px_live_action action);
/* PX_E_OVERLOADED, PX_E_UNAVAILABLE; `done` is not called then, and the request is freed. */
PX_MUST_USE enum px_code px_live_config_submit(struct px_live_config *live,
                                               struct px_live_request *request, struct px_err *err);
/* A reload that nobody waits for, as at SIGHUP; how it went is logged. */
void px_live_config_reload(struct px_live_config *live);

/* Ends the control thread. Requests that wait are freed. */
void px_live_config_stop(struct px_live_config *live); /* NULL is fine */
/* What holds; after the stop. */
const struct px_config *px_live_config_current(const struct px_live_config *live);
void px_live_config_destroy(struct px_live_config *live);

#endif
