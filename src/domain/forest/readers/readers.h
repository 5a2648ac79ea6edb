/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readers: bytes of one model format in, a checked internal form out.
 *
 * On failure the internal form may be half built; px_ir_deinit takes it. Errors: PX_E_CORRUPT (place and
 * reason), PX_E_UNSUPPORTED (what, by name, with a hint), PX_E_TOO_LARGE, PX_E_NO_MEMORY.
 */
#ifndef PX_DOMAIN_FOREST_READERS_H
#define PX_DOMAIN_FOREST_READERS_H

#include "domain/forest/ir.h"

/* XGBoost 1.0 to 3.4, gbtree and dart; `binary` is UBJSON. `ir` was px_ir_init'ed. */
PX_MUST_USE enum px_code px_xgboost_read(struct px_forest_ir *ir, struct px_str bytes, bool binary,
                                         enum px_forest_rounds rounds, struct px_err *err);

/* LightGBM text, v2 to v4. */
PX_MUST_USE enum px_code px_lightgbm_read(struct px_forest_ir *ir, struct px_str bytes,
                                          struct px_err *err);

/* CatBoost JSON (save_model(format='json')): oblivious and other trees, one-hot and simple target statistics. */
PX_MUST_USE enum px_code px_catboost_read(struct px_forest_ir *ir, struct px_str bytes,
                                          struct px_err *err);

/* ONNX graphs of tree ensembles (ai.onnx.ml 1 to 5); sets ir->type. */
PX_MUST_USE enum px_code px_onnx_read(struct px_forest_ir *ir, struct px_str bytes,
                                      struct px_err *err);

#endif
