/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries whose entry or table is not what a host can use; definitions say in which way. */
#include <phoenix/engine.h>

#ifndef PX_TABLE_ABI
#define PX_TABLE_ABI PHX_ENGINE_ABI
#endif
#ifndef PX_TABLE_SIZE
#define PX_TABLE_SIZE sizeof(phx_engine_ops)
#endif

#ifndef PX_NO_ENTRY
static int create(const phx_engine_config *config, phx_engine **ret, phx_error *error)
{
    (void)config, (void)ret, (void)error;
    return PHX_ENGINE_FAILED;
}

#ifndef PX_NO_RUN
static int run(phx_engine *engine, phx_run *run)
{
    (void)engine, (void)run;
    return PHX_ENGINE_FAILED;
}
#endif

static void destroy(phx_engine *engine)
{
    (void)engine;
}

const phx_engine_ops *phx_engine_entry(uint32_t host_abi)
{
    static const phx_engine_ops ops = {.size = PX_TABLE_SIZE,
                                       .abi = PX_TABLE_ABI,
                                       .name = "bad",
                                       .create = create,
#ifndef PX_NO_RUN
                                       .run = run,
#endif
                                       .destroy = destroy};
    (void)host_abi;
#ifdef PX_REFUSES
    return ops.size ? NULL : &ops;
#else
    return &ops;
#endif
}
#else
int px_nothing;
int px_nothing = 1;
#endif
