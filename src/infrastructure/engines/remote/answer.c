/* SPDX-License-Identifier: Apache-2.0 */
/* What both codecs do with the outputs that they find. */
#include "infrastructure/engines/remote/codec.h"

enum px_code px_remote_answer_put(const struct px_remote_answer *answer,
                                  const struct px_tensor *output, struct px_err *err)
{
    for (size_t i = 0; i < answer->n_outputs; i++) {
        struct px_tensor *slot = &answer->outputs[i];
        const struct px_tensor_spec *spec;
        if (!px_str_eq(slot->name, output->name))
            continue;
        if (slot->type != PX_TYPE_NONE)
            return px_err_set(err, PX_E_INVALID, "output '%.*s' came twice",
                              PX_STR_ARG(output->name));
        spec = px_tensor_specs_find(answer->gives, output->name);
        enum px_code code = spec ? px_tensor_check_spec(output, spec, err) : PX_OK;
        if (code == PX_OK)
            code = px_tensor_check_bytes(output, err);
        if (code != PX_OK)
            return px_err_wrap(err, "output '%.*s'", PX_STR_ARG(output->name));
        struct px_str name = slot->name; /* the caller's, which lives longer */
        *slot = *output;
        slot->name = name;
        return PX_OK;
    }
    return PX_OK;
}

enum px_code px_remote_answer_check(const struct px_remote_answer *answer, struct px_err *err)
{
    for (size_t i = 0; i < answer->n_outputs; i++) {
        if (answer->outputs[i].type == PX_TYPE_NONE)
            return px_err_set(err, PX_E_INVALID, "output '%.*s' is missing in the reply",
                              PX_STR_ARG(answer->outputs[i].name));
    }
    return PX_OK;
}

void px_remote_put_printable(struct px_buf *to, struct px_str text)
{
    while (text.len > 0 && to->len < to->max) {
        size_t n = px_str_utf8_char(text), taken = n ? n : 1;
        bool good = n > 1 || (n == 1 && text.ptr[0] >= 0x20 && text.ptr[0] != 0x7F);
        if (good && to->max - to->len >= n)
            px_buf_append(to, text.ptr, n);
        else
            px_buf_byte(to, text.ptr[0] == '\n' ? ' ' : '?');
        text = px_str_n(text.ptr + taken, text.len - taken);
    }
}
