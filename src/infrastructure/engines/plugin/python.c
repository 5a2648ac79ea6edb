/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Python models: the interpreter is started with the embedded worker script (worker.py) as its program text, and that speaks
 * ring.h. The script is an argument of `python -c`, so there is no file that could be missing or changed.
 */
#include "infrastructure/engines/plugin/plugin.h"

#include "infrastructure/engines/plugin/isolated.h"
#include "infrastructure/engines/plugin/library.h"
#include "shared/unconst.h"

extern const unsigned char px_python_worker[], px_python_worker_end[];

/* "python3 -u -B -c <script>". */
static char *const *command_line(const struct px_plugin_settings *settings, struct px_arena *arena)
{
    struct px_str script =
        px_str_n((const char *)px_python_worker, (size_t)(px_python_worker_end - px_python_worker));
    const char *words[] = {settings->python.ptr, "-u", "-B", "-c", px_arena_cstr(arena, script)};
    char **argv = px_arena_zalloc(arena, PX_ARRAY_LEN(words) + 1, sizeof *argv);
    for (size_t i = 0; argv && i < PX_ARRAY_LEN(words); i++)
        argv[i] = px_unconst(words[i]);
    return argv;
}

static enum px_code open_python(const struct px_engine_request *request, struct px_engine **ret,
                                struct px_err *err)
{
    struct px_plugin_settings settings;
    char path[PATH_MAX];
    enum px_code code = px_plugin_settings_read(request, PX_PLUGIN_PYTHON, &settings, err);
    if (code == PX_OK)
        code = px_plugin_resolve_inside(request->folder, settings.file, "engine.file", path, err);
    if (code != PX_OK)
        return code;
    struct px_isolated_code isolated = {.engine_name = "python",
                                        .argv = command_line(&settings, request->arena),
                                        .path = path,
                                        .function = settings.function.ptr};
    if (request->arena->failed)
        return px_arena_check(request->arena, "the Python model", err);
    return px_isolated_open(request, &settings, &isolated, ret, err);
}

static void describe_python(struct px_engine_state *ret)
{
    *ret = (struct px_engine_state){.available = true};
    snprintf(ret->details, sizeof ret->details,
             "runs the interpreter that model.yaml names, or python3 of PATH");
}

const struct px_engine_provider px_python_provider = {
    .name = "python",
    .summary = "a Python file with predict(dict) -> dict, in processes of its own",
    .needs_trust = true,
    .open = open_python,
    .describe = describe_python,
};
