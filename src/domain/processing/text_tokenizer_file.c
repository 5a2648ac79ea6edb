/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the document. Counts come from looking ahead, so that tables are made at their size. Whatever is
 * wrong is a failure of the reader, which knows the place.
 */
#include "domain/processing/text_tokenizer_file.h"

/* How many members or elements the next value has. A fault in it is the reader's. */
static size_t count_ahead(struct px_json *json, bool is_object)
{
    struct px_json ahead = *json;
    struct px_str key;
    size_t n = 0;
    if (is_object)
        px_json_enter_object(&ahead);
    else
        px_json_enter_array(&ahead);
    for (; is_object ? px_json_next_key(&ahead, &key) : px_json_next_element(&ahead); n++)
        px_json_skip(&ahead);
    if (px_json_failed(&ahead))
        *json = ahead;
    return n;
}

static uint32_t read_id(struct px_json *json)
{
    uint64_t id = px_json_u64(json);
    if (id >= INT32_MAX)
        px_json_fail(json, "expected the number of a token, below 2^31");
    return px_json_failed(json) ? 0 : (uint32_t)id;
}

void px_text_vocabulary_read_json(struct px_json *json, struct px_text_vocabulary *vocabulary,
                                  struct px_arena *arena)
{
    size_t n = count_ahead(json, true);
    struct px_str key;
    if (px_json_failed(json))
        return;
    if (vocabulary->slots || px_text_vocabulary_init(vocabulary, n, arena, NULL) != PX_OK) {
        px_json_fail(json, "expected one vocabulary of at most %d tokens, got %zu",
                     PX_TEXT_VOCABULARY_MAX, n);
        return;
    }
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        uint32_t id = read_id(json);
        if (!px_json_failed(json) && px_text_vocabulary_put(vocabulary, key, id, NULL) != PX_OK)
            px_json_fail(json, "a token of %zu bytes; at most %d", key.len,
                         PX_TEXT_TOKEN_BYTES_MAX);
    }
}

/* "a b", or ["a", "b"] as newer files have it. */
static struct px_text_merge read_merge(struct px_json *json)
{
    struct px_text_merge merge = {{NULL, 0}, {NULL, 0}};
    if (px_json_peek(json) != PX_JSON_ARRAY) {
        merge.right = px_json_str(json);
        merge.left = px_str_cut(&merge.right, ' ');
    } else {
        px_json_enter_array(json);
        merge.left = px_json_next_element(json) ? px_json_str(json) : merge.left;
        merge.right = px_json_next_element(json) ? px_json_str(json) : merge.right;
        if (px_json_next_element(json))
            px_json_fail(json, "expected a merge of two tokens");
    }
    if (!px_json_failed(json) && (merge.left.len == 0 || merge.right.len == 0))
        px_json_fail(json, "expected a merge of two tokens");
    return merge;
}

static void read_merges(struct px_json *json, struct px_text_tokenizer_file *file,
                        struct px_arena *arena)
{
    size_t n = count_ahead(json, false), i = 0;
    if (px_json_failed(json))
        return;
    if (n > PX_TEXT_VOCABULARY_MAX || file->merges) {
        px_json_fail(json, "expected one list of at most %d merges", PX_TEXT_VOCABULARY_MAX);
        return;
    }
    file->merges = px_arena_alloc(arena, n + 1, sizeof *file->merges);
    px_json_enter_array(json);
    for (; px_json_next_element(json) && file->merges && i < n; i++)
        file->merges[i] = read_merge(json);
    file->n_merges = i;
    if (!file->merges)
        px_json_fail(json, "no memory for the merges");
}

/* A text that may be null. */
static struct px_str read_str(struct px_json *json)
{
    return px_json_null(json) ? px_str_n(NULL, 0) : px_json_str(json);
}

static bool read_flag(struct px_json *json)
{
    return px_json_null(json) ? false : px_json_bool(json);
}

static void read_model_type(struct px_json *json, struct px_text_tokenizer_file *file)
{
    struct px_str type = px_json_str(json);
    if (px_str_is(type, "WordPiece"))
        file->model = PX_TEXT_MODEL_WORDPIECE;
    else if (px_str_is(type, "BPE"))
        file->model = PX_TEXT_MODEL_BPE;
    else
        px_json_fail(json, "model of type '%.*s'; expected WordPiece or BPE", PX_STR_ARG(type));
}

/* What other models have: fine when it is off. */
static void refuse_option(struct px_json *json, struct px_str key)
{
    bool known = true, is_on = false;
    if (px_str_is(key, "end_of_word_suffix"))
        is_on = read_str(json).len;
    else if (px_str_is(key, "byte_fallback"))
        is_on = read_flag(json);
    else if (px_str_is(key, "dropout"))
        is_on = !px_json_null(json) && px_json_f64(json) > 0;
    else
        known = false;
    if (!px_json_failed(json) && (is_on || !known))
        px_json_fail(json, "'%.*s' of the model is not supported", PX_STR_ARG(key));
}

static void read_model(struct px_json *json, struct px_text_tokenizer_file *file,
                       struct px_arena *arena)
{
    struct px_str key;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "type"))
            read_model_type(json, file);
        else if (px_str_is(key, "vocab"))
            px_text_vocabulary_read_json(json, &file->vocabulary, arena);
        else if (px_str_is(key, "merges"))
            read_merges(json, file, arena);
        else if (px_str_is(key, "unk_token"))
            file->unk_token = read_str(json);
        else if (px_str_is(key, "continuing_subword_prefix"))
            file->continuing = read_str(json);
        else if (px_str_is(key, "max_input_chars_per_word"))
            file->word_chars_max = px_json_u64(json);
        else if (px_str_is(key, "ignore_merges"))
            file->ignores_merges = read_flag(json);
        else if (px_str_is(key, "fuse_unk"))
            file->fuses_unk = read_flag(json);
        else
            refuse_option(json, key);
    }
}

static void read_normalizer(struct px_json *json, struct px_text_tokenizer_file *file)
{
    struct px_str key, type = {NULL, 0};
    int strips = -1; /* null: as lowercase says */
    if (px_json_null(json))
        return;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "type"))
            type = px_json_str(json);
        else if (px_str_is(key, "clean_text"))
            file->bert.cleans = px_json_bool(json);
        else if (px_str_is(key, "handle_chinese_chars"))
            file->bert.splits_chinese = px_json_bool(json);
        else if (px_str_is(key, "strip_accents"))
            strips = px_json_null(json) ? -1 : px_json_bool(json);
        else if (px_str_is(key, "lowercase"))
            file->bert.lowercases = px_json_bool(json);
        else
            px_json_skip(json);
    }
    if (!px_json_failed(json) && !px_str_is(type, "BertNormalizer"))
        px_json_fail(json, "normalizer '%.*s'; expected BertNormalizer or null", PX_STR_ARG(type));
    file->bert.strips_accents = strips < 0 ? file->bert.lowercases : strips;
    file->has_bert_normalizer = true;
}

static void read_pre_tokenizer(struct px_json *json, struct px_text_tokenizer_file *file)
{
    struct px_str key, type = {NULL, 0};
    file->splits_words = true;
    if (px_json_null(json))
        return;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "type"))
            type = px_json_str(json);
        else if (px_str_is(key, "add_prefix_space"))
            file->adds_prefix_space = px_json_bool(json);
        else if (px_str_is(key, "use_regex"))
            file->splits_words = px_json_bool(json);
        else
            px_json_skip(json);
    }
    file->has_bert_split = px_str_is(type, "BertPreTokenizer");
    file->has_byte_level = px_str_is(type, "ByteLevel");
    if (!px_json_failed(json) && !file->has_bert_split && !file->has_byte_level)
        px_json_fail(json, "pre_tokenizer '%.*s'; expected BertPreTokenizer or ByteLevel",
                     PX_STR_ARG(type));
}

static void read_special(struct px_json *json, struct px_text_special *special)
{
    struct px_str key;
    *special = (struct px_text_special){.text = {NULL, 0}};
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "id"))
            special->id = read_id(json);
        else if (px_str_is(key, "content"))
            special->text = px_json_str(json);
        else if (px_str_is(key, "lstrip"))
            special->takes_left = px_json_bool(json);
        else if (px_str_is(key, "rstrip"))
            special->takes_right = px_json_bool(json);
        else if (px_str_is(key, "single_word") && px_json_bool(json))
            px_json_fail(json, "an added token that is a single_word is not supported");
        else if (!px_str_is(key, "single_word"))
            px_json_skip(json);
    }
    if (!px_json_failed(json) && special->text.len == 0)
        px_json_fail(json, "expected the content of an added token");
}

static void read_added_tokens(struct px_json *json, struct px_text_tokenizer_file *file,
                              struct px_arena *arena)
{
    file->specials = px_arena_alloc(arena, PX_TEXT_SPECIALS_MAX, sizeof *file->specials);
    file->n_specials = 0;
    if (!file->specials)
        px_json_fail(json, "no memory for the added tokens");
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        if (file->n_specials == PX_TEXT_SPECIALS_MAX)
            px_json_fail(json, "more than %d added tokens", PX_TEXT_SPECIALS_MAX);
        else
            read_special(json, &file->specials[file->n_specials++]);
    }
}

static void frame_add(struct px_json *json, uint32_t *ids, size_t *n, uint32_t id)
{
    if (*n == PX_TEXT_FRAME_MAX)
        px_json_fail(json, "more than %d special tokens around a text", PX_TEXT_FRAME_MAX);
    else
        ids[(*n)++] = id;
}

/* ["</s>", 2] */
static uint32_t read_pair(struct px_json *json)
{
    uint32_t id = 0;
    px_json_enter_array(json);
    if (px_json_next_element(json))
        (void)px_json_str(json);
    if (px_json_next_element(json))
        id = read_id(json);
    if (px_json_next_element(json))
        px_json_fail(json, "expected a token and its number");
    return id;
}

/* What a template says of one text: names of special tokens, and where the text goes. */
struct template
{
    struct px_str before[PX_TEXT_FRAME_MAX], after[PX_TEXT_FRAME_MAX];
    size_t n_before, n_after;
    bool has_text;
};

/* {"id": "[CLS]", "type_id": 0} */
static struct px_str read_piece(struct px_json *json)
{
    struct px_str key, id = {NULL, 0};
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "id"))
            id = px_json_str(json);
        else if (px_str_is(key, "type_id") && px_json_u64(json) != 0)
            px_json_fail(json, "expected type_id 0 for a text alone");
        else if (!px_str_is(key, "type_id"))
            px_json_skip(json);
    }
    return id;
}

static void read_template_piece(struct px_json *json, struct template *template)
{
    struct px_str key;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        struct px_str id = read_piece(json);
        size_t *n = template->has_text ? &template->n_after : &template->n_before;
        if (px_str_is(key, "Sequence"))
            template->has_text = true;
        else if (!px_str_is(key, "SpecialToken") || *n == PX_TEXT_FRAME_MAX)
            px_json_fail(json, "expected Sequence or at most %d of SpecialToken",
                         PX_TEXT_FRAME_MAX);
        else
            (template->has_text ? template->after : template->before)[(*n)++] = id;
    }
}

enum { NAMED_MAX = 16 };

/* The entries of `special_tokens`. */
struct named {
    struct px_str name[NAMED_MAX];
    uint32_t ids[NAMED_MAX][PX_TEXT_FRAME_MAX];
    size_t n_ids[NAMED_MAX], n;
};

static void read_named(struct px_json *json, struct named *named)
{
    struct px_str key;
    if (named->n == NAMED_MAX) {
        px_json_fail(json, "more than %d special tokens in the template", NAMED_MAX);
        return;
    }
    size_t at = named->n++;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "id")) {
            named->name[at] = px_json_str(json);
        } else if (px_str_is(key, "ids")) {
            px_json_enter_array(json);
            while (px_json_next_element(json))
                frame_add(json, named->ids[at], &named->n_ids[at], read_id(json));
        } else {
            px_json_skip(json);
        }
    }
}

static void resolve(struct px_json *json, const struct named *named, struct px_str name,
                    uint32_t *ids, size_t *n)
{
    for (size_t i = 0; i < named->n; i++) {
        if (!px_str_eq(named->name[i], name))
            continue;
        for (size_t j = 0; j < named->n_ids[i]; j++)
            frame_add(json, ids, n, named->ids[i][j]);
        return;
    }
    px_json_fail(json, "the template has no numbers for '%.*s'", PX_STR_ARG(name));
}

/* What any kind of post-processor may hold. */
struct post_processor {
    struct px_str type;
    struct template template;
    struct named named;
    uint32_t cls, sep;
};

static void read_post_key(struct px_json *json, struct px_str key, struct post_processor *post)
{
    if (px_str_is(key, "type")) {
        post->type = px_json_str(json);
    } else if (px_str_is(key, "single")) {
        px_json_enter_array(json);
        while (px_json_next_element(json))
            read_template_piece(json, &post->template);
    } else if (px_str_is(key, "special_tokens")) {
        struct px_str name;
        px_json_enter_object(json);
        while (px_json_next_key(json, &name))
            read_named(json, &post->named);
    } else if (px_str_is(key, "cls")) {
        post->cls = read_pair(json);
    } else if (px_str_is(key, "sep")) {
        post->sep = read_pair(json);
    } else {
        px_json_skip(json);
    }
}

static void read_post_processor(struct px_json *json, struct px_text_tokenizer_file *file)
{
    struct post_processor post = {.cls = 0};
    struct px_text_frame *frame = &file->frame;
    struct px_str key;
    if (px_json_null(json))
        return;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key))
        read_post_key(json, key, &post);
    *frame = (struct px_text_frame){.n_before = 0};
    if (px_str_is(post.type, "TemplateProcessing")) {
        for (size_t i = 0; i < post.template.n_before; i++)
            resolve(json, &post.named, post.template.before[i], frame->before, &frame->n_before);
        for (size_t i = 0; i < post.template.n_after; i++)
            resolve(json, &post.named, post.template.after[i], frame->after, &frame->n_after);
    } else if (px_str_is(post.type, "BertProcessing") ||
               px_str_is(post.type, "RobertaProcessing")) {
        frame_add(json, frame->before, &frame->n_before, post.cls);
        frame_add(json, frame->after, &frame->n_after, post.sep);
    } else if (!px_str_is(post.type, "ByteLevel")) {
        px_json_fail(json, "post_processor '%.*s' is not supported", PX_STR_ARG(post.type));
    }
}

/* Only which token fills rows: how long they are is the step's business. */
static void read_padding(struct px_json *json, struct px_text_tokenizer_file *file)
{
    struct px_str key;
    if (px_json_peek(json) != PX_JSON_OBJECT) {
        px_json_skip(json);
        return;
    }
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (!px_str_is(key, "pad_id")) {
            px_json_skip(json);
            continue;
        }
        uint64_t id = px_json_u64(json);
        if (id > UINT32_MAX)
            px_json_fail(json, "pad_id of padding is beyond 32 bits");
        file->pad_id = (int64_t)(id & UINT32_MAX);
    }
}

enum px_code px_text_tokenizer_pad_id(const struct px_text_tokenizer_file *file, int64_t own,
                                      uint32_t *ret, struct px_err *err)
{
    int64_t theirs = file->pad_id;
    if (own != PX_TEXT_ID_NONE && theirs != PX_TEXT_ID_NONE && own != theirs) {
        px_err_set(err, PX_E_CONFLICT,
                   "pad_token is token %lld of the vocabulary, but padding in tokenizer.json has "
                   "pad_id %lld",
                   (long long)own, (long long)theirs);
        return px_err_hint(err, "leave out pad_token, or correct the file");
    }
    if (own == PX_TEXT_ID_NONE)
        own = theirs;
    *ret = own == PX_TEXT_ID_NONE ? 0 : (uint32_t)own;
    return PX_OK;
}

enum px_code px_text_tokenizer_read(struct px_text_tokenizer_file *file, struct px_str text,
                                    struct px_arena *arena, struct px_err *err)
{
    struct px_json json;
    struct px_str key;
    *file = (struct px_text_tokenizer_file){
        .word_chars_max = 100, .continuing = {NULL, 0}, .pad_id = PX_TEXT_ID_NONE};
    px_json_init(&json, text, arena, 0);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        if (px_str_is(key, "model"))
            read_model(&json, file, arena);
        else if (px_str_is(key, "normalizer"))
            read_normalizer(&json, file);
        else if (px_str_is(key, "pre_tokenizer"))
            read_pre_tokenizer(&json, file);
        else if (px_str_is(key, "post_processor"))
            read_post_processor(&json, file);
        else if (px_str_is(key, "added_tokens"))
            read_added_tokens(&json, file, arena);
        else if (px_str_is(key, "padding"))
            read_padding(&json, file);
        else
            px_json_skip(&json);
    }
    enum px_code code = px_arena_check(arena, "tokenizer", err);
    if (code == PX_OK)
        code = px_json_finish(&json, err);
    if (code == PX_OK && (file->model == PX_TEXT_MODEL_NONE || file->vocabulary.n == 0))
        return px_err_set(err, PX_E_INVALID, "expected a model with `type` and `vocab`");
    if (code == PX_OK &&
        (file->word_chars_max == 0 || file->word_chars_max > PX_TEXT_WORD_CHARS_MAX))
        return px_err_set(err, PX_E_INVALID, "max_input_chars_per_word: expected 1 to %d",
                          PX_TEXT_WORD_CHARS_MAX);
    return code;
}
