/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/processing/text_vocabulary.h"

enum { SLOTS_LEAST = 16 };

enum px_code px_text_vocabulary_init(struct px_text_vocabulary *vocabulary, size_t n_max,
                                     struct px_arena *arena, struct px_err *err)
{
    size_t n_slots = SLOTS_LEAST;
    if (n_max > PX_TEXT_VOCABULARY_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "vocabulary of %zu tokens; at most %d", n_max,
                          PX_TEXT_VOCABULARY_MAX);
    while (n_slots < n_max * 2)
        n_slots *= 2;
    *vocabulary = (struct px_text_vocabulary){
        .hashes = px_arena_zalloc(arena, n_slots, sizeof *vocabulary->hashes),
        .slots = px_arena_zalloc(arena, n_slots, sizeof *vocabulary->slots),
        .mask = n_slots - 1,
        .id_most = PX_TEXT_ID_NONE};
    return px_arena_check(arena, "vocabulary", err);
}

enum px_code px_text_vocabulary_put(struct px_text_vocabulary *vocabulary, struct px_str key,
                                    int64_t id, struct px_err *err)
{
    uint64_t state = 0;
    if (key.len > PX_TEXT_TOKEN_BYTES_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "token of %zu bytes; at most %d", key.len,
                          PX_TEXT_TOKEN_BYTES_MAX);
    if (key.len == 0)
        return PX_OK;
    for (size_t i = 0; i < key.len; i++)
        state = px_text_hash_byte(state, (unsigned char)key.ptr[i]);
    uint32_t hash = px_text_hash_end(state);
    size_t at = hash & vocabulary->mask;
    struct px_text_vocabulary_slot *slots = vocabulary->slots;
    while (slots[at].len && !px_str_eq(px_str_n(slots[at].key, slots[at].len), key))
        at = (at + 1) & vocabulary->mask;
    if (slots[at].len == 0) {
        PX_ASSERT(vocabulary->n * 2 <= vocabulary->mask);
        vocabulary->n++;
    }
    slots[at] = (struct px_text_vocabulary_slot){(uint32_t)key.len, key.ptr, id};
    vocabulary->hashes[at] = hash;
    if (key.len > vocabulary->len_max)
        vocabulary->len_max = key.len;
    if (id > vocabulary->id_most)
        vocabulary->id_most = id;
    return PX_OK;
}

static enum px_code fail_twice(int64_t id, int64_t earlier, struct px_str token, struct px_err *err)
{
    px_err_set(err, PX_E_INVALID, "line %lld: token '%.*s' is there already, in line %lld",
               (long long)id + 1, PX_STR_ARG(token), (long long)earlier + 1);
    return px_err_hint(err, "rename the one whose number the model does not mean, as [unused0]");
}

enum px_code px_text_vocabulary_read(struct px_text_vocabulary *vocabulary, struct px_str file,
                                     struct px_arena *arena, struct px_err *err)
{
    size_t n_lines = 1;
    for (size_t i = 0; i < file.len; i++)
        n_lines += file.ptr[i] == '\n';
    enum px_code code = px_text_vocabulary_init(vocabulary, n_lines, arena, err);
    int64_t id = 0;
    for (struct px_str rest = file; code == PX_OK && rest.len; id++) {
        struct px_str line = px_str_cut(&rest, '\n');
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        int64_t earlier = px_text_vocabulary_find(vocabulary, line);
        if (earlier != PX_TEXT_ID_NONE)
            return fail_twice(id, earlier, line, err);
        code = px_text_vocabulary_put(vocabulary, line, id, err);
        if (code != PX_OK)
            return px_err_wrap(err, "line %lld", (long long)id + 1);
    }
    if (code == PX_OK && vocabulary->n == 0)
        return px_err_set(err, PX_E_INVALID, "expected a file of one token a line, got no tokens");
    return code;
}
