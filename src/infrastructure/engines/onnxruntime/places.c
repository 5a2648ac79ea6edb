/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/onnxruntime/places.h"

#include "shared/file.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <unistd.h>

/* The packages of other people call the file by the one name or the other. */
static const char *const file_names[] = {"libonnxruntime.so", "libonnxruntime.so.1"};

static bool environment(const char *name, const char **ret)
{
    *ret = getenv(name);
    return *ret && **ret;
}

bool px_ort_engines_folder(char *out, size_t cap)
{
    const char *base;
    int n;
    if (environment("XDG_DATA_HOME", &base))
        n = snprintf(out, cap, "%s/phoenix/engines", base);
    else if (environment("HOME", &base))
        n = snprintf(out, cap, "%s/.local/share/phoenix/engines", base);
    else
        return false;
    return n > 0 && (size_t)n < cap;
}

static bool program_folder(char *out, size_t cap)
{
    ssize_t n = readlink("/proc/self/exe", out, cap);
    if (n <= 0 || (size_t)n >= cap)
        return false;
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return true;
}

static void *open_file(const char *path)
{
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

/* The library in a folder. A file that is there and cannot be loaded is worth an error, so it ends the search. */
static void *open_in(const char *folder, const char *below, char *place, size_t cap,
                     bool *ret_found)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(file_names); i++) {
        int n = snprintf(place, cap, "%s%s/%s", folder, below, file_names[i]);
        if (n > 0 && (size_t)n < cap && px_file_kind(place) == PX_FILE_REGULAR) {
            *ret_found = true;
            return open_file(place);
        }
    }
    return NULL;
}

static void *open_chosen(const char *chosen, char *place, size_t cap, struct px_err *err)
{
    bool found = false;
    void *handle;
    if (px_file_kind(chosen) == PX_FILE_FOLDER) {
        handle = open_in(chosen, "", place, cap, &found);
    } else {
        snprintf(place, cap, "%s", chosen);
        handle = open_file(chosen);
        found = true;
    }
    if (handle)
        return handle;
    px_err_set(err, PX_E_UNAVAILABLE, "cannot load ONNX Runtime from %s: %s", chosen,
               found ? dlerror() : "the folder has no libonnxruntime.so");
    px_err_hint(err, "the environment variable %s names the file, or its folder",
                PX_ONNXRUNTIME_VARIABLE);
    return NULL;
}

static void *open_near(char *place, size_t cap, bool *ret_found)
{
    static const char *const below[] = {"", "/engines", "/../engines", "/../lib/phoenix/engines"};
    char folder[PATH_MAX];
    void *handle = NULL;
    if (px_ort_engines_folder(folder, sizeof folder))
        handle = open_in(folder, "", place, cap, ret_found);
    if (handle || *ret_found || !program_folder(folder, sizeof folder))
        return handle;
    for (size_t i = 0; !handle && !*ret_found && i < PX_ARRAY_LEN(below); i++)
        handle = open_in(folder, below[i], place, cap, ret_found);
    return handle;
}

static void *open_system(char *place, size_t cap)
{
    for (size_t i = PX_ARRAY_LEN(file_names); i-- > 0;) {
        void *handle = open_file(file_names[i]);
        struct link_map *map = NULL;
        if (!handle)
            continue;
        bool known = dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0;
        snprintf(place, cap, "%s", known ? map->l_name : file_names[i]);
        return handle;
    }
    return NULL;
}

void *px_ort_open_place(char *ret_place, size_t cap, struct px_err *err)
{
    const char *chosen;
    bool found = false;
    if (environment(PX_ONNXRUNTIME_VARIABLE, &chosen))
        return open_chosen(chosen, ret_place, cap, err);
    void *handle = open_near(ret_place, cap, &found);
    if (!handle && !found)
        handle = open_system(ret_place, cap);
    if (handle)
        return handle;
    if (found)
        px_err_set(err, PX_E_UNAVAILABLE, "cannot load ONNX Runtime: %s", dlerror());
    else
        px_err_set(err, PX_E_UNAVAILABLE,
                   "this model needs ONNX Runtime, and its library was not found");
    px_err_hint(err,
                "install it with 'phoenix engine install onnxruntime', or point %s at "
                "libonnxruntime.so",
                PX_ONNXRUNTIME_VARIABLE);
    return NULL;
}
