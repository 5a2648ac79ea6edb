/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of the node-parallel kernel. What they compute, in plain C:
 *
 *     decisions of a heap:   bit p = bytes[which[p]] >= least[p], or the class masks say so
 *     walk of a heap:        i = 1; depth times: i = 2 * i + (decisions >> i & 1); reached place i - 2^depth
 *
 * Results go from one stage to the next through memory. A vector that is read back at once from numbers stored
 * one by one waits until the stores have left the processor's queue, so a stage runs over many trees before the
 * next one reads, or (shallow trees) works on an earlier block than the stage before it.
 */
#include "domain/forest/kernels/node_parallel/node_parallel.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define UNROLL_4 _Pragma("GCC unroll 4")

/* What the loops are compiled for. */
struct shape {
    int registers;      /* for the row's bytes */
    uint32_t top_depth; /* SHALLOW */
    size_t bottom_size;
};

/* Results of the stages of form SHALLOW, for as many blocks as are under way; block b has place b modulo that. */
struct stages {
    uint8_t bottoms[2][PX_NP_BLOCK];     /* which one the tree's top leads to */
    uint8_t decisions[2][PX_NP_BLOCK];   /* of that bottom */
    uint8_t leaves[2][PX_NP_BLOCK];      /* which of its eight */
    const char *reached[4][PX_NP_BLOCK]; /* its address */
};

/* What a call keeps in the scratch. */
struct scratch {
    uint8_t *codes, *bytes; /* of the row */
    const uint8_t **top_masks;
    const void **masks; /* of each class column, for the row's class */
    struct stages *stages;
    uint32_t *panels, *trees; /* PANELS: where each unfinished tree stands */
    uint32_t *leaves;         /* PANELS: of each tree */
    uint16_t *decisions;      /* PANELS: of each list entry */
};

static size_t round_up(size_t n)
{
    return (n + PX_CACHE_LINE - 1) / PX_CACHE_LINE * PX_CACHE_LINE;
}

static size_t codes_size(const struct px_kernel_input *input)
{
    size_t n = input->codes->n_slots;
    return round_up(n > PX_NP_BYTES_MAX ? n : PX_NP_BYTES_MAX);
}

/* Lists have room for PX_NP_LANES more than there are trees: they are written so many at a time. */
static size_t list_size(const struct px_node_parallel *np)
{
    return round_up((np->n_trees + PX_NP_LANES) * sizeof(uint32_t));
}

size_t px_node_parallel_scratch_size(const struct px_kernel_input *input, const void *compiled,
                                     size_t n_rows)
{
    const struct px_node_parallel *np = compiled;
    size_t pointers = round_up(np->n_class_columns * sizeof(void *));
    (void)n_rows;
    return codes_size(input) + PX_NP_BYTES_MAX + 2 * pointers +
           (np->panels ? 4 * list_size(np) : round_up(sizeof(struct stages)));
}

static struct scratch lay_out(const struct px_kernel_input *input,
                              const struct px_node_parallel *np, char *at)
{
    struct scratch s = {.codes = (uint8_t *)at};
    at += codes_size(input);
    s.bytes = np->as_coded ? s.codes : (uint8_t *)at;
    at += PX_NP_BYTES_MAX;
    s.top_masks = (const uint8_t **)(void *)at;
    at += round_up(np->n_class_columns * sizeof(void *));
    s.masks = (const void **)(void *)at;
    at += round_up(np->n_class_columns * sizeof(void *));
    s.stages = (struct stages *)(void *)at;
    s.panels = (uint32_t *)(void *)at;
    s.trees = (uint32_t *)(void *)(at + list_size(np));
    s.leaves = (uint32_t *)(void *)(at + 2 * list_size(np));
    s.decisions = (uint16_t *)(void *)(at + 3 * list_size(np));
    return s;
}

/* ---- the row ---- */

static uint32_t code_at(const struct scratch *s, uint32_t slot, bool wide)
{
    return s->codes[slot] | (wide ? (uint32_t)s->codes[slot + 1] << 8 : 0);
}

static void make_bytes(const struct px_node_parallel *np, const struct scratch *s)
{
    for (size_t b = 0; b < np->n_row_bytes; b++) {
        const struct px_np_byte *byte = &np->row_bytes[b];
        uint32_t code = code_at(s, byte->slot, byte->wide);
        uint32_t above = code > byte->minus ? code - byte->minus : 0;
        s->bytes[b] = (uint8_t)(above < UINT8_MAX ? above : UINT8_MAX);
    }
}

static void find_class_masks(const struct px_node_parallel *np, const struct scratch *s)
{
    size_t size = np->panels ? sizeof(uint16_t) : sizeof(uint8_t);
    for (size_t c = 0; c < np->n_class_columns; c++) {
        const struct px_np_class_column *column = &np->class_columns[c];
        size_t value_class = code_at(s, column->slot, column->wide);
        s->top_masks[c] = np->top_masks + column->first_top + value_class * np->n_tops;
        s->masks[c] = (const char *)np->masks + (column->first + value_class * np->n_units) * size;
    }
}

/* The row's bytes in registers, for the loops to hold. */
struct bytes {
    __m512i of[4];
};

static struct bytes read_row(const struct px_kernel_input *input, const struct px_node_parallel *np,
                             const struct px_matrix *rows, size_t at, const struct scratch *s)
{
    struct bytes bytes;
    px_codes_encode(input->codes, rows, at, 1, s->codes, 1);
    if (!np->as_coded)
        make_bytes(np, s);
    find_class_masks(np, s);
    for (int r = 0; r < 4; r++)
        bytes.of[r] = _mm512_load_si512(s->bytes + r * PX_CACHE_LINE);
    return bytes;
}

/* The row's bytes at `which`, when there are at most 64, 128 or 256 of them, in so many registers. */
static PX_ALWAYS_INLINE __m512i fetch(struct bytes bytes, __m512i which, int registers)
{
    if (registers == 1)
        return _mm512_permutexvar_epi8(which, bytes.of[0]);
    __m512i low = _mm512_permutex2var_epi8(bytes.of[0], which, bytes.of[1]);
    if (registers == 2)
        return low;
    __m512i high = _mm512_permutex2var_epi8(bytes.of[2], which, bytes.of[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(which), low, high);
}

static PX_ALWAYS_INLINE __m128i fetch_16(struct bytes bytes, __m128i which, int registers)
{
    return _mm512_castsi512_si128(fetch(bytes, _mm512_castsi128_si512(which), registers));
}

/* A comparison's bits in a general register: a store from a mask register would take twice as long. */
static PX_ALWAYS_INLINE uint32_t at_least_16(__m128i bytes, __m128i least)
{
    uint32_t bits = _mm_cmpge_epu8_mask(bytes, least);
    __asm__("" : "+r"(bits));
    return bits;
}

/* ---- shallow trees ---- */

static PX_ALWAYS_INLINE __m256i look_up(const uint8_t *table, __m256i decisions)
{
    __m512i low = _mm512_load_si512(table), high = _mm512_load_si512(table + PX_CACHE_LINE);
    return _mm512_castsi512_si256(
        _mm512_permutex2var_epi8(low, _mm512_castsi256_si512(decisions), high));
}

/* First stage: which bottoms the tops of a block lead to. */
static PX_ALWAYS_INLINE void decide_tops(const struct px_node_parallel *np, const struct scratch *s,
                                         struct bytes bytes, size_t block, int registers)
{
    const struct px_tops *tops = &np->tops[block * (PX_NP_BLOCK / 8)];
    long long right[PX_NP_BLOCK / 8];
    UNROLL_4
    for (int i = 0; i < PX_NP_BLOCK / 8; i++) {
        __m512i row = fetch(bytes, _mm512_load_si512(tops[i].which), registers);
        right[i] = (long long)_mm512_cmpge_epu8_mask(row, _mm512_load_si512(tops[i].least));
    }
    __m256i decisions = _mm256_setr_epi64x(right[0], right[1], right[2], right[3]);
    for (size_t c = 0; c < np->n_class_columns; c++) {
        const uint8_t *mask = s->top_masks[c] + block * PX_NP_BLOCK;
        decisions = _mm256_or_si256(decisions, _mm256_loadu_si256((const void *)mask));
    }
    _mm256_store_si256((void *)s->stages->bottoms[block % 2], look_up(np->bottom_of, decisions));
}

/* Second stage: the decisions of the bottoms that four trees of a block lead to, from tree `i` on. */
static PX_ALWAYS_INLINE void decide_bottoms(const struct px_node_parallel *np,
                                            const struct scratch *s, struct bytes bytes,
                                            size_t block, size_t i, struct shape shape)
{
    const uint8_t *bottoms = &s->stages->bottoms[block % 2][i];
    uint8_t *decisions = &s->stages->decisions[block % 2][i];
    const char **reached = &s->stages->reached[block % 4][i];
    size_t unit = (block * PX_NP_BLOCK + i) << shape.top_depth;
    UNROLL_4
    for (size_t t = 0; t < 4; t++) {
        const char *first = np->bottoms + (unit + (t << shape.top_depth)) * shape.bottom_size;
        const char *bottom = first + bottoms[t] * shape.bottom_size;
        __m128i which = _mm_load_si128((const void *)bottom);
        __m128i least = _mm_loadu_si128((const void *)(bottom + PX_SMALL_PLACES));
        decisions[t] = (uint8_t)at_least_16(fetch_16(bytes, which, shape.registers), least);
        reached[t] = bottom;
    }
}

static void decide_classes(const struct px_node_parallel *np, const struct scratch *s, size_t block)
{
    const char **reached = s->stages->reached[block % 4];
    uint8_t *decisions = s->stages->decisions[block % 2];
    for (size_t c = 0; c < np->n_class_columns; c++) {
        const uint8_t *mask = s->masks[c];
        for (size_t i = 0; i < PX_NP_BLOCK; i++)
            decisions[i] |= mask[(size_t)(reached[i] - np->bottoms) / np->bottom_size];
    }
}

/* Third stage: the leaves. */
static PX_ALWAYS_INLINE void find_leaves(const struct px_node_parallel *np, const struct scratch *s,
                                         size_t block)
{
    __m256i decisions = _mm256_load_si256((const void *)s->stages->decisions[block % 2]);
    _mm256_store_si256((void *)s->stages->leaves[block % 2], look_up(np->leaf_of, decisions));
}

/* ---- deep trees ---- */

/* i = 2 * i + the lowest bit of `from_i`, the decisions from place i on. */
static PX_ALWAYS_INLINE __m512i step(__m512i i, __m512i from_i)
{
    return _mm512_ternarylogic_epi32(_mm512_add_epi32(i, i), from_i, _mm512_set1_epi32(1),
                                     0xF8); /* a | (b & c) */
}

static PX_ALWAYS_INLINE void decide_panels(const struct px_node_parallel *np,
                                           const struct scratch *s, struct bytes bytes, size_t n,
                                           int registers)
{
    for (size_t i = 0; i < n; i++) {
        const struct px_panel *panel = &np->panel[s->panels[i]];
        __m128i which = _mm_load_si128((const void *)panel->which);
        __m128i least = _mm_load_si128((const void *)panel->least);
        uint32_t right = at_least_16(fetch_16(bytes, which, registers), least);
        for (size_t c = 0; c < np->n_class_columns; c++)
            right |= ((const uint16_t *)s->masks[c])[s->panels[i]];
        s->decisions[i] = (uint16_t)right;
    }
}

/* Exits of 16 panels in the upper halves: the one of place i - 16 lies 32 + 2 (i - 16) bytes into its panel. */
static PX_ALWAYS_INLINE __m512i find_exits(const struct px_node_parallel *np,
                                           const struct scratch *s, size_t at, __m512i panels)
{
    __m512i right = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)&s->decisions[at]));
    __m512i i = _mm512_set1_epi32(1);
    for (int d = 0; d < PX_PANEL_DEPTH; d++)
        i = step(i, _mm512_srlv_epi32(right, i));
    __m512i twice = _mm512_sub_epi32(_mm512_add_epi32(i, i), _mm512_set1_epi32(2));
    __m512i offset = _mm512_add_epi32(_mm512_slli_epi32(panels, 6), twice);
    return _mm512_i32gather_epi32(offset, np->panel, 1);
}

/* One panel further for the first `n` of the lists. Who reaches a leaf is done; returns how many are left. */
static PX_ALWAYS_INLINE size_t walk_wave(const struct px_node_parallel *np, const struct scratch *s,
                                         struct bytes bytes, size_t n, int registers)
{
    size_t kept = 0;
    decide_panels(np, s, bytes, n, registers);
    for (size_t at = 0; at < n; at += PX_NP_LANES) {
        uint32_t left = n - at < PX_NP_LANES ? (uint32_t)(n - at) : PX_NP_LANES;
        __mmask16 lanes = _cvtu32_mask16(_bzhi_u32(0xFFFF, left));
        __m512i panels = _mm512_maskz_loadu_epi32(lanes, &s->panels[at]);
        __m512i trees = _mm512_maskz_loadu_epi32(lanes, &s->trees[at]);
        __m512i exits = find_exits(np, s, at, panels);
        __mmask16 further = _kand_mask16(lanes, _mm512_movepi32_mask(exits));
        __m512i number = _mm512_srli_epi32(exits, 16);
        __m512i ahead = _mm512_and_si512(number, _mm512_set1_epi32(PX_PANEL_FURTHER - 1));
        __m512i next = _mm512_add_epi32(panels, ahead);
        _mm512_mask_i32scatter_epi32(s->leaves, _kandn_mask16(further, lanes), trees, number, 4);
        _mm512_storeu_si512(&s->panels[kept], _mm512_maskz_compress_epi32(further, next));
        _mm512_storeu_si512(&s->trees[kept], _mm512_maskz_compress_epi32(further, trees));
        kept += (size_t)_mm_popcnt_u32(further);
    }
    return kept;
}

static PX_ALWAYS_INLINE void walk_panels(const struct px_node_parallel *np, const struct scratch *s,
                                         struct bytes bytes, int registers)
{
    size_t n = np->n_trees;
    __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (size_t t = 0; t < n; t += PX_NP_LANES) {
        _mm512_storeu_si512(&s->panels[t], _mm512_loadu_si512(&np->roots[t]));
        _mm512_storeu_si512(&s->trees[t], _mm512_add_epi32(lane, _mm512_set1_epi32((int)t)));
    }
    while (n)
        n = walk_wave(np, s, bytes, n, registers);
}

/* ---- sums ---- */

#define ELEMENT     float
#define PLACE       uint32_t
#define NAMED(name) name##_f32
#include "domain/forest/kernels/node_parallel/node_parallel_sums.h"
#undef ELEMENT
#undef PLACE
#undef NAMED

#define ELEMENT     double
#define PLACE       uint64_t
#define NAMED(name) name##_f64
#include "domain/forest/kernels/node_parallel/node_parallel_sums.h"
#undef ELEMENT
#undef PLACE
#undef NAMED

void px_node_parallel_margins(const struct px_kernel_input *input, const void *compiled,
                              const struct px_matrix *rows, void *margins, void *scratch)
{
    const struct px_node_parallel *np = compiled;
    struct scratch s = lay_out(input, np, scratch);
    if (rows->type == PX_TYPE_FP32)
        score_f32(input, np, &s, rows, margins);
    else
        score_f64(input, np, &s, rows, margins);
}

#endif
