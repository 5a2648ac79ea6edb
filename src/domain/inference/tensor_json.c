/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/inference/tensor_json.h"

void px_tensor_specs_put_json(const struct px_tensor_specs *specs, const char *key,
                              struct px_json_writer *w)
{
    px_json_key(w, key);
    px_json_begin_array(w);
    for (size_t i = 0; i < specs->n; i++) {
        const struct px_tensor_spec *spec = &specs->list[i];
        px_json_begin_object(w);
        px_json_member_str(w, "name", spec->name);
        px_json_member_text(w, "datatype", px_datatype_name(spec->type));
        px_json_key(w, "shape");
        px_json_begin_array(w);
        for (size_t d = 0; d < spec->n_dims; d++)
            px_json_put_i64(w, spec->shape[d]);
        px_json_end_array(w);
        px_json_member_bool(w, "optional", spec->optional);
        px_json_end_object(w);
    }
    px_json_end_array(w);
}
