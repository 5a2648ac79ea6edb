/* SPDX-License-Identifier: Apache-2.0 */
#include "application/ports/engine_provider.h"

const struct px_engine_provider *px_engines_find(const struct px_engines *engines,
                                                 struct px_str name)
{
    for (size_t i = 0; engines && i < engines->n; i++) {
        if (px_str_is(name, engines->list[i]->name))
            return engines->list[i];
    }
    return NULL;
}

const struct px_engine_provider *px_engines_recognise(const struct px_engines *engines,
                                                      const char *path, struct px_str first_bytes)
{
    for (size_t i = 0; engines && i < engines->n; i++) {
        const struct px_engine_provider *provider = engines->list[i];
        if (provider->knows && provider->knows(path, first_bytes))
            return provider;
    }
    return NULL;
}
