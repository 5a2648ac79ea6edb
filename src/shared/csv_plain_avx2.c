/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vector form of plain records. What costs time in a loop over bytes is not the bytes but the branches
 * that depend on them: fields have random signs and lengths. So there are none here.
 *
 * 1. 64 bytes at a time become a bit mask of the bytes that end a field. The fields' borders come from the
 *    mask alone, so the processor works on several fields at once.
 * 2. A field of at most 16 bytes is loaded so that it *ends* where the vector ends: each byte of a number
 *    without a point then stands at its decimal place. Bytes before the field are cleared. If there is a
 *    point, the bytes before it move up by one, over it (one byte shuffle from a table).
 * 3. Three multiply-adds join digits to pairs, quads and eights. Digits (at most 2^53) and the power of ten
 *    (at most 10^15) are exact doubles, so that one division rounds once (Clinger, "How to read floating
 *    point numbers accurately", 1990).
 * 4. All checks end in one branch, which numbers do not take: longer ones, exponents, words and blanks go to
 *    px_str_to_f64.
 *
 * Not tried: a form for AVX-512. The mask would take half the instructions; the numbers, where a profile shows
 * most of the time, would take the same ones.
 */
#if defined(__x86_64__)

#include "shared/csv_plain.h"
#include "shared/number.h"

#include <immintrin.h>
#include <math.h>

enum { BLOCK = 64, FIELD_MAX = 16, NO_POINT = 16 };

/* 16 bytes from `tail_mask + n` have the last n set. */
static const uint8_t tail_mask[32] = {
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

/* For a point at byte p of 16: the power of ten of what follows it. */
static const double scales[17] = {1e15, 1e14, 1e13, 1e12, 1e11, 1e10, 1e9, 1e8, 1e7,
                                  1e6,  1e5,  1e4,  1e3,  1e2,  1e1,  1e0, 1e0};

/*
 * The shuffle that closes the gap of a point at byte p: bytes 1 to p come from one before, byte 0 from
 * nowhere (the index -1 clears). `order - 1 where order <= p` is that.
 */
static inline __m128i close_gap(__m128i digits, unsigned point)
{
    const __m128i order = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m128i last = _mm_set1_epi8((char)((point & 15) - (point >> 4 << 4)));
    __m128i kept = _mm_cmpgt_epi8(order, last);
    __m128i moved = _mm_sub_epi8(order, _mm_set1_epi8(1));
    return _mm_shuffle_epi8(digits, _mm_blendv_epi8(moved, order, kept));
}

/* 16 digits (values 0 to 9) as one number. */
static inline uint64_t join(__m128i digits)
{
    const __m128i tens = _mm_set1_epi16(0x010A), hundreds = _mm_set1_epi32(0x00010064);
    const __m128i myriads = _mm_set1_epi32(0x00012710);
    __m128i quads = _mm_madd_epi16(_mm_maddubs_epi16(digits, tens), hundreds);
    __m128i eights = _mm_madd_epi16(_mm_packus_epi32(quads, quads), myriads);
    uint64_t both = (uint64_t)_mm_cvtsi128_si64(eights);
    return (both & 0xFFFFFFFF) * 100000000 + (both >> 32);
}

/* The number that ends before `end` and has `len` bytes; false when it is another's work. */
static inline bool read_number(const char *end, size_t len, double *ret)
{
    if (PX_UNLIKELY(len > FIELD_MAX))
        return false;
    size_t negative = end[-(ptrdiff_t)len] == '-', n = len - (len ? negative : 0);
    __m128i tail = _mm_loadu_si128((const __m128i *)(const void *)(tail_mask + n));
    __m128i text = _mm_loadu_si128((const __m128i *)(const void *)(end - FIELD_MAX));
    __m128i digits = _mm_and_si128(_mm_sub_epi8(text, _mm_set1_epi8('0')), tail);
    const __m128i nine = _mm_set1_epi8(9), point_less_zero = _mm_set1_epi8('.' - '0');
    unsigned fine = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(digits, nine), nine));
    unsigned points = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(digits, point_less_zero));
    unsigned point = (unsigned)__builtin_ctz(points | 1U << NO_POINT);
    uint64_t value = join(close_gap(digits, point));
    /* Bitwise, so that the compiler makes one branch of it. */
    bool good = ((fine ^ 0xFFFF) == points) & ((points & (points - 1)) == 0) &
                (n > (size_t)(points != 0)) & (value <= (uint64_t)1 << 53);
    double magnitude = (double)(int64_t)value / scales[point];
    uint64_t bits;
    memcpy(&bits, &magnitude, sizeof bits);
    bits |= (uint64_t)negative << 63; /* no branch: signs are random */
    memcpy(ret, &bits, sizeof bits);
    return good;
}

static inline void take(const struct px_csv_plain *plan, size_t column, const char *field,
                        const char *end, struct px_csv_row *row)
{
    int32_t slot = plan->slots[column];
    size_t len = (size_t)(end - field);
    double value = NAN;
    if (slot == PX_CSV_IGNORED)
        return;
    if (slot == PX_CSV_TEXT || PX_UNLIKELY(!read_number(end, len, &value) && len &&
                                           !px_str_to_f64(px_str_n(field, len), &value))) {
        row->left[row->n_left++] = (struct px_csv_left){(uint32_t)column, px_str_n(field, len)};
        return;
    }
    if (len == 0)
        value = NAN;
    if (plan->wide)
        ((double *)row->values)[slot] = value;
    else
        ((float *)row->values)[slot] = (float)value;
}

/* The bytes of 32 that end a field: a separator, LF, CR or a quote. */
static inline uint32_t ends_of_half(const char *at, __m256i separator)
{
    /* LF, CR and quote by their lower halves; no byte equals -1 there, and 0 is not looked up as 0. */
    const __m256i specials =
        _mm256_setr_epi8(-1, 0, '"', 0, 0, 0, 0, 0, 0, 0, '\n', 0, 0, '\r', 0, 0, -1, 0, '"', 0, 0,
                         0, 0, 0, 0, 0, '\n', 0, 0, '\r', 0, 0);
    __m256i text = _mm256_loadu_si256((const __m256i *)(const void *)at);
    __m256i special = _mm256_cmpeq_epi8(_mm256_shuffle_epi8(specials, text), text);
    __m256i ends = _mm256_or_si256(special, _mm256_cmpeq_epi8(text, separator));
    return (uint32_t)_mm256_movemask_epi8(ends);
}

static inline uint64_t ends_of(const char *at, __m256i separator)
{
    return ends_of_half(at, separator) | (uint64_t)ends_of_half(at + 32, separator) << 32;
}

size_t px_csv_plain_avx2(const struct px_csv_plain *plan, struct px_str text, size_t at,
                         struct px_csv_row *row)
{
    const char *start = text.ptr + at, *end = text.ptr + text.len, *field = start;
    __m256i separator = _mm256_set1_epi8(plan->separator);
    size_t column = 0;
    row->n_left = 0;
    if (at < FIELD_MAX)
        return 0;
    for (const char *block = start; end - block > BLOCK; block += BLOCK) {
        for (uint64_t ends = ends_of(block, separator); ends; ends &= ends - 1) {
            const char *stop = block + __builtin_ctzll(ends);
            if (PX_UNLIKELY(column == plan->n_columns || *stop == '"'))
                return 0;
            take(plan, column++, field, stop, row);
            field = stop + 1;
            if (PX_LIKELY(*stop == plan->separator))
                continue;
            bool line_end = *stop == '\n' || stop[1] == '\n';
            return line_end && column == plan->n_columns ? (size_t)(stop - start) : 0;
        }
    }
    return 0;
}

static inline uint64_t equal(const char *at, char byte)
{
    const __m256i *from = (const __m256i *)(const void *)at;
    __m256i all = _mm256_set1_epi8(byte);
    __m256i low = _mm256_cmpeq_epi8(_mm256_loadu_si256(from), all);
    __m256i high = _mm256_cmpeq_epi8(_mm256_loadu_si256(from + 1), all);
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << 32;
}

struct px_csv_survey px_csv_survey_avx2(struct px_str text, bool after_cr)
{
    struct px_csv_survey survey = {0};
    uint64_t carry = after_cr, quotes = 0;
    size_t at = 0;
    for (; text.len - at >= BLOCK; at += BLOCK) {
        uint64_t lf = equal(text.ptr + at, '\n'), cr = equal(text.ptr + at, '\r');
        quotes |= equal(text.ptr + at, '"');
        survey.line_ends += (uint64_t)__builtin_popcountll(cr) +
                            (uint64_t)__builtin_popcountll(lf & ~(cr << 1 | carry));
        carry = cr >> 63;
        if (lf | cr)
            survey.after_last = at + BLOCK - (size_t)__builtin_clzll(lf | cr);
    }
    struct px_csv_survey rest =
        px_csv_survey_portable(px_str_n(text.ptr + at, text.len - at), carry != 0);
    survey.quotes = quotes || rest.quotes;
    survey.line_ends += rest.line_ends;
    if (rest.after_last)
        survey.after_last = at + rest.after_last;
    return survey;
}

#endif
