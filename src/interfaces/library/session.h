/* SPDX-License-Identifier: Apache-2.0 */
/* Private to interfaces/library: the session behind the handle. */
#ifndef PX_INTERFACES_LIBRARY_SESSION_H
#define PX_INTERFACES_LIBRARY_SESSION_H

#include "application/lifecycle/package.h"

#include <phoenix/phoenix.h>
#include <sys/types.h>

struct phx_session {
    struct px_package *package;
    struct px_engine *engine; /* the package's */
    struct px_arena arena;    /* of the specs and their texts */
    phx_specs specs;
    pid_t process; /* that opened it and has the engine's threads */
};

#endif
