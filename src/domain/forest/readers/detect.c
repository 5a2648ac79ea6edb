/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format by content, never by file name. What is recognised but not served gets a message that
 * says what it is and how to get a file that is served.
 */
#include "domain/forest/forest.h"

enum { PROBE_MAX = 4096 }; /* bytes looked at for key words */

const char *px_forest_format_name(enum px_forest_format format)
{
    static const char *const names[] = {
        [PX_FOREST_UNKNOWN] = "unknown",
        [PX_FOREST_XGBOOST_JSON] = "xgboost-json",
        [PX_FOREST_XGBOOST_UBJSON] = "xgboost-ubjson",
        [PX_FOREST_LIGHTGBM_TEXT] = "lightgbm-text",
        [PX_FOREST_CATBOOST_JSON] = "catboost-json",
        [PX_FOREST_ONNX] = "onnx",
    };
    PX_ASSERT((size_t)format < PX_ARRAY_LEN(names));
    return names[format];
}

static bool contains(struct px_str text, const char *word)
{
    return text.len && memmem(text.ptr, text.len, word, strlen(word));
}

/* Is `word`, a JSON string, a key: does a colon follow? The name of a feature may be any word. */
static bool has_key(struct px_str text, const char *word)
{
    const char *end = text.ptr + text.len;
    for (const char *at = text.ptr; at < end;) {
        at = memmem(at, (size_t)(end - at), word, strlen(word));
        if (!at)
            return false;
        at += strlen(word);
        while (at < end && *at && strchr(" \t\r\n", *at))
            at++;
        if (at < end && *at == ':')
            return true;
    }
    return false;
}

static bool starts_with_bytes(struct px_str bytes, const char *magic, size_t n)
{
    return bytes.len >= n && memcmp(bytes.ptr, magic, n) == 0;
}

struct refusal {
    const char *magic;
    size_t len;
    const char *what, *hint;
};

#define SAVE_AS_JSON "load it in Python and call booster.save_model('model.json')"

/* Files that their first bytes give away. */
static const struct refusal refusals[] = {
    {"binf", 4, "an old binary XGBoost model (removed in XGBoost 3.1)",
     "with XGBoost 3.0 or older: " SAVE_AS_JSON},
    {"bs64", 4, "an old base64 XGBoost model", "with XGBoost 3.0 or older: " SAVE_AS_JSON},
    {"\x80\x02\x8A\x0Al\xFC\x9C"
     "F\xF9 j\xA8P\x19.",
     15, "a legacy file of torch.save, which has weights or a pickle and not the program",
     "load it in Python and call torch.jit.script(model.eval()).save('model.pt')"},
    {"\x80", 1, "a Python pickle, which can run code when it is loaded",
     SAVE_AS_JSON " (XGBoost) or save_model('model.txt') (LightGBM)"},
    {"PK\x03\x04", 4, "a zip archive", "unpack it and name the model file inside"},
    {"\x1F\x8B", 2, "gzip-compressed", "decompress it first: gunzip FILE.gz"},
    {"\x28\xB5\x2F\xFD", 4, "zstd-compressed", "decompress it first: unzstd FILE.zst"},
    {"BZh", 3, "bzip2-compressed", "decompress it first: bunzip2 FILE.bz2"},
    {"\xFD"
     "7zXZ",
     5, "xz-compressed", "decompress it first: unxz FILE.xz"},
    {"CBM1", 4, "a binary CatBoost model",
     "load it in Python and call model.save_model('model.json', format='json', pool=train_pool)"},
    {"\x89HDF", 4, "an HDF5 file",
     "tree models of XGBoost, LightGBM, CatBoost and ONNX are served"},
    {"______LightGBM_Binary_File_Token______", 38, "a LightGBM data set, not a model",
     "train on it and save the model with save_model('model.txt')"},
    {"booster[", 8, "a text dump of XGBoost, which loses information", SAVE_AS_JSON},
};

static enum px_forest_format refuse(struct px_err *err, const char *what, const char *hint)
{
    px_err_set(err, PX_E_UNSUPPORTED, "the file is %s", what);
    px_err_hint(err, "%s", hint);
    return PX_FOREST_UNKNOWN;
}

/* What is no file of a known kind at all. */
static enum px_forest_format refuse_broken(struct px_err *err, const char *what, const char *hint)
{
    px_err_set(err, PX_E_CORRUPT, "the file is %s", what);
    px_err_hint(err, "%s", hint);
    return PX_FOREST_UNKNOWN;
}

/* A protobuf ModelProto starts with field 1 (ir_version, a small number), then texts or the opset. */
static bool looks_like_onnx(struct px_str bytes)
{
    if (bytes.len < 4 || bytes.ptr[0] != 0x08 || (unsigned char)bytes.ptr[1] > 30)
        return false;
    return strchr("\x12\x1A\x22\x28\x32\x3A\x42", bytes.ptr[2]) && bytes.ptr[2];
}

static enum px_forest_format refuse_json(struct px_str probe, struct px_err *err)
{
    if (contains(probe, "\"tree_info\"") && contains(probe, "\"feature_infos\""))
        return refuse(err, "a JSON dump of LightGBM (dump_model), which loses information",
                      "save the model itself: booster.save_model('model.txt')");
    if (contains(probe, "\"nodeid\""))
        return refuse(err, "a JSON dump of XGBoost trees, which loses information", SAVE_AS_JSON);
    return refuse_broken(err,
                         "JSON, but no model: it has neither XGBoost's \"learner\" nor CatBoost's "
                         "\"features_info\" and trees",
                         "expected the output of booster.save_model('model.json') (XGBoost) or "
                         "model.save_model('model.json', format='json') (CatBoost)");
}

/* Does the text that begins with a brace go on to the brace that closes it? */
static bool is_closed(struct px_str text)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && c == '{')
            depth++;
        else if (!in_string && c == '}' && --depth == 0)
            return true;
    }
    return false;
}

static enum px_forest_format detect_braces(struct px_str bytes, struct px_err *err)
{
    size_t at = 1;
    while (at < bytes.len && strchr(" \t\r\n", bytes.ptr[at]) && bytes.ptr[at])
        at++;
    char next = at < bytes.len ? bytes.ptr[at] : '\0';
    bool marker = next && strchr("LiUIl", next);
    if (at == 1 && marker)
        return PX_FOREST_XGBOOST_UBJSON;
    if (next == '}')
        return refuse_broken(err, "an empty JSON object, {}", "was it written completely?");
    if (at == bytes.len)
        return refuse_broken(err, "cut off after its '{'", "copy or write it again");
    if (next != '"')
        return refuse_broken(err, "neither JSON nor UBJSON after its '{'",
                             "is it complete? XGBoost models start with {\"learner\"");
    /* Keys may be sorted or nested, so the word may be far; other dialects are told by the beginning. */
    if (has_key(bytes, "\"learner\""))
        return PX_FOREST_XGBOOST_JSON;
    if (has_key(bytes, "\"features_info\"") &&
        (has_key(bytes, "\"oblivious_trees\"") || has_key(bytes, "\"trees\"")))
        return PX_FOREST_CATBOOST_JSON;
    if (!is_closed(bytes))
        return refuse_broken(
            err, "JSON that is cut off: its first '{' is never closed",
            "copy or write it again; what it is stands in the part that is missing");
    return refuse_json(px_str_n(bytes.ptr, bytes.len < PROBE_MAX ? bytes.len : PROBE_MAX), err);
}

static enum px_forest_format refuse_unknown(struct px_str bytes, struct px_err *err)
{
    struct px_str probe = px_str_n(bytes.ptr, bytes.len < PROBE_MAX ? bytes.len : PROBE_MAX);
    for (size_t i = 0; i < PX_ARRAY_LEN(refusals); i++) {
        if (starts_with_bytes(bytes, refusals[i].magic, refusals[i].len))
            return refuse(err, refusals[i].what, refusals[i].hint);
    }
    if (contains(probe, "<PMML"))
        return refuse(err, "PMML", "save the model in its library's own format");
    if (bytes.ptr[0] == '[' && contains(probe, "\"nodeid\""))
        return refuse(err, "a JSON dump of XGBoost trees, which loses information", SAVE_AS_JSON);
    px_err_set(err, PX_E_CORRUPT,
               "the file is no model that is known here (it starts with byte "
               "0x%02x)",
               (unsigned)(unsigned char)bytes.ptr[0]);
    px_err_hint(
        err, "served are XGBoost .json and .ubj, LightGBM .txt, CatBoost .json and ONNX models of "
             "tree ensembles");
    return PX_FOREST_UNKNOWN;
}

enum px_forest_format px_forest_detect(struct px_str bytes, struct px_err *err)
{
    size_t at = 0;
    if (starts_with_bytes(bytes, "\xEF\xBB\xBF", 3)) /* byte order mark of an editor */
        at = 3;
    while (at < bytes.len && bytes.ptr[at] && strchr(" \t\r\n", bytes.ptr[at]))
        at++;
    struct px_str rest = px_str_n(bytes.ptr + at, bytes.len - at);
    if (rest.len == 0)
        return refuse_broken(err, "empty", "was it written completely?");
    if (rest.ptr[0] == '{')
        return detect_braces(rest, err);
    if (px_str_starts(rest, "tree\n") || px_str_starts(rest, "tree\r\n"))
        return PX_FOREST_LIGHTGBM_TEXT;
    if (looks_like_onnx(bytes))
        return PX_FOREST_ONNX;
    return refuse_unknown(rest, err);
}
