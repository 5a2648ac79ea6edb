/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder that is prepared out of sight and then takes the place of another one. Private to this folder.
 *
 * px_stage_open makes an empty folder beside the wanted one, whose name begins with '.', so that a server
 * that lists the models around it does not see it. The files are written and checked there. px_stage_commit
 * exchanges the two folders in one step of the file system: who opens the folder sees all of the old or all
 * of the new. Until then the old one is untouched, whatever fails and whenever the process ends.
 *
 * Files in the old folder that the new one does not have are the user's: they are moved into the new one.
 *
 * Ownership: open/close; close removes what is left. Threads: one at a time.
 */
#ifndef PX_APPLICATION_TRAINING_STAGE_H
#define PX_APPLICATION_TRAINING_STAGE_H

#include "shared/err.h"

#include <limits.h>

struct px_stage {
    char path[PATH_MAX]; /* where to write; empty = closed */
    /* private */
    char target[PATH_MAX]; /* the wanted folder with links followed, so that a link stays one */
    bool in_place;         /* the target cannot be exchanged; its files are replaced */
};

/* `last` is the file without which the folder is nothing; see stage.c. */
PX_MUST_USE enum px_code px_stage_open(struct px_stage *stage, const char *target,
                                       struct px_err *err);
PX_MUST_USE enum px_code px_stage_commit(struct px_stage *stage, const char *last,
                                         struct px_err *err);
void px_stage_close(struct px_stage *stage);

#endif
