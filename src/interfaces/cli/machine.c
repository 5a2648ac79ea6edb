/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/machine.h"

#include "shared/cores.h"

#include <limits.h>
#include <stdio.h>

#ifdef __clang__
static const char compiler[] = "clang " __clang_version__;
#else
static const char compiler[] = "gcc " __VERSION__;
#endif

const char *px_machine_compiler(void)
{
    return compiler;
}

/* "model name\t: AMD EPYC ..." of /proc/cpuinfo. */
static bool read_model_name(char *out, size_t cap)
{
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "re");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        struct px_str value = px_str(line), key = px_str_cut(&value, ':');
        value = px_str_trim(value);
        if (!px_str_is(px_str_trim(key), "model name") || value.len == 0)
            continue;
        snprintf(out, cap, "%.*s", PX_STR_ARG(value));
        found = true;
    }
    if (file)
        fclose(file);
    return found;
}

const char *px_machine_processor(char *out, size_t cap)
{
    if (!read_model_name(out, cap)) {
#if defined(__x86_64__)
        snprintf(out, cap, "x86-64");
#elif defined(__aarch64__)
        snprintf(out, cap, "aarch64");
#else
        snprintf(out, cap, "unknown");
#endif
    }
    return out;
}

void px_machine_put(struct px_json_writer *w)
{
    char processor[128];
    px_json_key(w, "machine");
    px_json_begin_object(w);
    px_json_member_text(w, "processor", px_machine_processor(processor, sizeof processor));
    px_json_member_u64(w, "cores", px_cores(UINT_MAX));
    px_json_member_text(w, "version", PX_VERSION);
    px_json_member_text(w, "compiler", px_machine_compiler());
    px_json_end_object(w);
}
