/* SPDX-License-Identifier: Apache-2.0 */
#include "application/config/sources.h"

#include "shared/cores.h"
#include "shared/file.h"

enum { LOOPS_MAX = 256 }; /* as server.threads in config.def */

void px_config_sources_add(struct px_config_sources *sources, struct px_config_override override)
{
    PX_ASSERT(sources->n_overrides < PX_CONFIG_OVERRIDES_MAX);
    sources->overrides[sources->n_overrides++] = override;
}

static enum px_code read_file(const char *path, struct px_config *config, struct px_arena *arena,
                              struct px_err *err)
{
    struct px_buf text = px_buf(PX_CONFIG_FILE_MAX);
    enum px_code code = px_file_read(path, &text, err);
    if (code == PX_OK) {
        code = px_config_parse(config, px_buf_view(&text), arena, err);
        if (code != PX_OK)
            px_err_wrap(err, "%s", path);
    }
    px_buf_deinit(&text);
    return code;
}

enum px_code px_config_read(const struct px_config_sources *sources, struct px_config *config,
                            struct px_arena *arena, struct px_err *err)
{
    px_config_init(config);
    enum px_code code = PX_OK;
    if (sources->path)
        code = read_file(sources->path, config, arena, err);
    for (size_t i = 0; code == PX_OK && i < sources->n_overrides; i++) {
        const struct px_config_override *o = &sources->overrides[i];
        code = px_config_set(config, o->origin, px_str(o->key), o->value, err);
        if (code != PX_OK)
            px_err_wrap(err, "%s", o->said_by);
    }
    if (code == PX_OK && config->server_threads == 0)
        config->server_threads = px_cores(LOOPS_MAX);
    return code;
}
