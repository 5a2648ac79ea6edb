/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "domain/forest/forest.h"

static enum px_forest_format detect(const char *bytes, size_t n, struct px_err *err)
{
    return px_forest_detect(px_str_n(bytes, n), err);
}

#define DETECT(literal) detect("" literal, sizeof(literal) - 1, NULL)

PX_TEST(formats_are_told_by_content)
{
    CHECK_INT(DETECT("{\"learner\":{}}"), PX_FOREST_XGBOOST_JSON);
    CHECK_INT(DETECT(" \n{ \n \"version\":[1],\"learner\":{}}"), PX_FOREST_XGBOOST_JSON);
    CHECK_INT(DETECT("\xEF\xBB\xBF{\"learner\":{}}"), PX_FOREST_XGBOOST_JSON);
    CHECK_INT(DETECT("{\"Config\":{\"a\":1},\"Model\":{\"learner\":{}}}"), PX_FOREST_XGBOOST_JSON);
    CHECK_INT(DETECT("{L\0\0\0\0\0\0\0\7learner"), PX_FOREST_XGBOOST_UBJSON);
    CHECK_INT(DETECT("{i\7learner"), PX_FOREST_XGBOOST_UBJSON);
    CHECK_INT(DETECT("tree\nversion=v4\n"), PX_FOREST_LIGHTGBM_TEXT);
    CHECK_INT(DETECT("tree\r\nversion=v4\r\n"), PX_FOREST_LIGHTGBM_TEXT);
    CHECK_INT(DETECT("{\"features_info\":{},\"oblivious_trees\":[]}"), PX_FOREST_CATBOOST_JSON);
    CHECK_INT(DETECT("{\"trees\":[],\"features_info\":{}}"), PX_FOREST_CATBOOST_JSON);
    CHECK_INT(
        DETECT("{\"oblivious_trees\" : [], \"features_info\"\n:{\"feature_id\":\"learner\"}}"),
        PX_FOREST_CATBOOST_JSON);
    CHECK_INT(DETECT("{\"name\":\"learner\",\"learner\" \n\t:{}}"), PX_FOREST_XGBOOST_JSON);
    CHECK_INT(DETECT("{\"a\":\"learner\""), PX_FOREST_UNKNOWN);
    CHECK_INT(DETECT("\x08\x07\x12\x0bskl2onnx"), PX_FOREST_ONNX);
    CHECK_STR(px_str(px_forest_format_name(PX_FOREST_LIGHTGBM_TEXT)), "lightgbm-text");
    CHECK_STR(px_str(px_forest_format_name(PX_FOREST_UNKNOWN)), "unknown");
}

PX_TEST(known_strangers_are_refused_by_name_with_a_hint)
{
    static const struct {
        struct px_str bytes;
        const char *message, *hint;
    } cases[] = {
        {PX_STR("binf\0\0\0\0"), "old binary XGBoost model", "save_model('model.json')"},
        {PX_STR("\x80\x04\x95"), "Python pickle", "save_model"},
        {PX_STR("\x80\x02\x8A\x0Al\xFC\x9C"
                "F\xF9 j\xA8P\x19.\x80\x02M"),
         "torch.save", "torch.jit.script"},
        {PX_STR("PK\x03\x04zzzz"), "zip archive", "unpack"},
        {PX_STR("\x1F\x8B\x08"), "gzip", "gunzip"},
        {PX_STR("\x28\xB5\x2F\xFD"), "zstd", "unzstd"},
        {PX_STR("CBM1xxxx"), "binary CatBoost model", "format='json'"},
        {PX_STR("<?xml version=\"1.0\"?><PMML version=\"4.4\">"), "PMML", "own format"},
        {PX_STR("{\"name\":\"tree\",\"feature_infos\":{},\"tree_info\":[]}"), "dump of LightGBM",
         "model.txt"},
        {PX_STR("[{ \"nodeid\": 0, \"depth\": 0}]"), "dump of XGBoost trees", "model.json"},
        {PX_STR("{ \"nodeid\": 0, \"depth\": 0}"), "dump of XGBoost trees", "model.json"},
        {PX_STR("booster[0]:\n0:[f0<1]"), "text dump of XGBoost", "model.json"},
        {PX_STR("{\"a\":1}"), "neither XGBoost's \"learner\" nor CatBoost's", "save_model"},
        {PX_STR("{\"features_info\":{},\"class_names\":[\"trees\"]}"), "no model", "save_model"},
        {PX_STR("{x"), "neither JSON nor UBJSON", "complete"},
        {PX_STR("{"), "cut off after its '{'", "again"},
        {PX_STR("{ } \n"), "an empty JSON object", "completely"},
        {PX_STR("{\"ctr_data\":{\"a}\\\"\":1},\"features_info\":{\"ctrs\":[]}"), "cut off",
         "again"},
        {PX_STR(""), "empty", "completely"},
        {PX_STR(" \n\t"), "empty", "completely"},
        {PX_STR("hello"), "no model that is known here (it starts with byte 0x68)", ".json"},
        {PX_STR("\0\0\0\0"), "byte 0x00", ".json"},
        {PX_STR("tree"), "no model that is known", ".txt"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct px_err err = {0};
        CHECK_INT(px_forest_detect(cases[i].bytes, &err), PX_FOREST_UNKNOWN);
        CHECK(err.code == PX_E_UNSUPPORTED || err.code == PX_E_CORRUPT);
        CHECK_CONTAINS(err.message, cases[i].message);
        CHECK_CONTAINS(err.hint, cases[i].hint);
        CHECK_INT(px_forest_detect(cases[i].bytes, NULL), PX_FOREST_UNKNOWN);
    }
}

PX_TEST(what_is_no_file_of_any_kind_is_corrupt_and_not_merely_unsupported)
{
    static const char *const garbage[] = {"", "hello", "{", "{}", "{x", "{\"a\":1}", "{\"a\":{"};
    for (size_t i = 0; i < PX_ARRAY_LEN(garbage); i++) {
        struct px_forest *forest = NULL;
        struct px_err err = {0};
        CHECK_INT(px_forest_create(px_str(garbage[i]), NULL, &forest, &err), PX_E_CORRUPT);
    }
}

PX_TEST(creating_from_a_stranger_gives_the_same_message)
{
    struct px_forest *forest = NULL;
    struct px_err err = {0};
    CHECK_INT(px_forest_create(px_str("binf...."), NULL, &forest, &err), PX_E_UNSUPPORTED);
    CHECK_CONTAINS(err.message, "old binary XGBoost model");
    CHECK_CONTAINS(err.hint, "save_model");
    CHECK(!forest);
}

// clang-format off
PX_TEST_MAIN(
    T(formats_are_told_by_content)
    T(known_strangers_are_refused_by_name_with_a_hint)
    T(creating_from_a_stranger_gives_the_same_message) T(what_is_no_file_of_any_kind_is_corrupt_and_not_merely_unsupported)
)
