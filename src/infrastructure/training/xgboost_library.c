/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/training/xgboost_library.h"

#include "infrastructure/training/xgboost.h"

#include <dlfcn.h>

struct symbol {
    const char *name;
    size_t offset; /* of the function pointer in struct px_xgb_library */
};

#define SYMBOL(member, name)                                                                       \
    {                                                                                              \
        name, offsetof(struct px_xgb_library, member)                                              \
    }

static const struct symbol symbols[] = {
    SYMBOL(version, "XGBoostVersion"),
    SYMBOL(last_error, "XGBGetLastError"),
    SYMBOL(set_global, "XGBSetGlobalConfig"),
    SYMBOL(matrix_from_dense, "XGDMatrixCreateFromDense"),
    SYMBOL(matrix_set_floats, "XGDMatrixSetFloatInfo"),
    SYMBOL(matrix_set_texts, "XGDMatrixSetStrFeatureInfo"),
    SYMBOL(booster_create, "XGBoosterCreate"),
    SYMBOL(booster_set_param, "XGBoosterSetParam"),
    SYMBOL(booster_update, "XGBoosterUpdateOneIter"),
    SYMBOL(booster_eval, "XGBoosterEvalOneIter"),
    SYMBOL(booster_slice, "XGBoosterSlice"),
    SYMBOL(booster_set_texts, "XGBoosterSetStrFeatureInfo"),
    SYMBOL(booster_set_attribute, "XGBoosterSetAttr"),
    SYMBOL(booster_save, "XGBoosterSaveModelToBuffer"),
};

static void *open_first(struct px_err *err)
{
    static const char *const names[] = {"libxgboost.so.0", "libxgboost.so"};
    const char *chosen = getenv(PX_XGBOOST_LIBRARY_VARIABLE);
    if (chosen && *chosen) {
        void *handle = dlopen(chosen, RTLD_NOW | RTLD_LOCAL);
        if (!handle) {
            px_err_set(err, PX_E_UNAVAILABLE, "cannot load libxgboost: %s", dlerror());
            px_err_hint(err, "%s names the file to load", PX_XGBOOST_LIBRARY_VARIABLE);
        }
        return handle;
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        void *handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (handle)
            return handle;
    }
    px_err_set(err, PX_E_UNAVAILABLE, "training needs the library libxgboost: %s", dlerror());
    px_err_hint(err, "install it with 'apt-get install libxgboost0', or point %s at libxgboost.so",
                PX_XGBOOST_LIBRARY_VARIABLE);
    return NULL;
}

enum px_code px_xgb_library_open(struct px_xgb_library *library, struct px_err *err)
{
    void *handle = open_first(err);
    if (!handle)
        return PX_E_UNAVAILABLE;
    for (size_t i = 0; i < PX_ARRAY_LEN(symbols); i++) {
        void *address = dlsym(handle, symbols[i].name);
        if (!address) {
            px_err_set(err, PX_E_UNAVAILABLE, "this libxgboost has no function %s",
                       symbols[i].name);
            return px_err_hint(err, "versions 1.6 and later work");
        }
        memcpy((char *)library + symbols[i].offset, &address, sizeof address);
    }
    return PX_OK;
}
