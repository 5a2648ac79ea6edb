/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two tables come from config.def: the public rows (struct px_config_key) and, beside each, where its
 * field lies in struct px_config and of which type it is. Everything else is a loop over them, so a new
 * setting is one line of config.def.
 *
 * Text settings with a closed set of values list them in the unit ("debug|info|warn|error"); that list is
 * both what the reference shows and what is checked.
 */
#include "application/config/config.h"

#include "shared/yaml.h"

#include <inttypes.h>

enum kind { KIND_STR, KIND_INT, KIND_BOOL };

#define TYPE_NAME_STR  "text"
#define TYPE_NAME_INT  "integer"
#define TYPE_NAME_BOOL "true|false"

static const struct px_config_key keys[] = {
#define PX_SECTION(name, help)
#define PX_KEY(section, field, type, def, min, max, unit, help)                                    \
    {#section "." #field, TYPE_NAME_##type, def, unit, help, min, max, false},
#define PX_LIVE_KEY(section, field, type, def, min, max, unit, help)                               \
    {#section "." #field, TYPE_NAME_##type, def, unit, help, min, max, true},
#include "application/config/config.def"
#undef PX_SECTION
#undef PX_KEY
#undef PX_LIVE_KEY
};

enum { N_KEYS = PX_CONFIG_KEYS };

static const struct slot {
    enum kind kind;
    size_t offset;
} slots[N_KEYS] = {
#define PX_SECTION(name, help)
#define PX_KEY(section, field, type, def, min, max, unit, help)                                    \
    {KIND_##type, offsetof(struct px_config, section##_##field)},
#define PX_LIVE_KEY PX_KEY
#include "application/config/config.def"
#undef PX_SECTION
#undef PX_KEY
#undef PX_LIVE_KEY
};

static const struct section {
    struct px_str name;
    const char *help;
} sections[] = {
#define PX_SECTION(name, help) {PX_STR(#name), help},
#define PX_KEY(section, field, type, def, min, max, unit, help)
#define PX_LIVE_KEY PX_KEY
#include "application/config/config.def"
#undef PX_SECTION
#undef PX_KEY
#undef PX_LIVE_KEY
};

enum { N_SECTIONS = PX_ARRAY_LEN(sections) };

const struct px_config_key *px_config_keys(size_t *ret_n)
{
    *ret_n = N_KEYS;
    return keys;
}

/* The part of a key's name after the section. */
static const char *field_name(const struct px_config_key *key)
{
    return strchr(key->name, '.') + 1;
}

static bool is_in_section(const struct px_config_key *key, struct px_str section)
{
    return px_str_eq(px_str_n(key->name, (size_t)(field_name(key) - key->name - 1)), section);
}

static enum px_code unknown_key(struct px_str name, struct px_err *err)
{
    struct px_str names[N_KEYS], fields[N_KEYS];
    for (size_t i = 0; i < N_KEYS; i++) {
        names[i] = px_str(keys[i].name);
        fields[i] = px_str(field_name(&keys[i]));
    }
    long nearest = px_str_nearest(name, names, N_KEYS);
    if (nearest < 0)
        nearest = px_str_nearest(name, fields, N_KEYS);
    px_err_set(err, PX_E_UNKNOWN_OPTION, "unknown setting '%.*s'", PX_STR_ARG(name));
    if (nearest >= 0)
        return px_err_hint(err, "did you mean '%s'?", keys[nearest].name);
    return px_err_hint(err, "'phoenix config explain' lists every setting");
}

const struct px_config_key *px_config_find(struct px_str name, struct px_err *err)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        if (px_str_is(name, keys[i].name))
            return &keys[i];
    }
    (void)unknown_key(name, err);
    return NULL;
}

static bool is_one_of(struct px_str value, const char *choices)
{
    struct px_str rest = px_str(choices);
    while (rest.ptr) {
        if (px_str_eq(px_str_cut(&rest, '|'), value))
            return true;
    }
    return false;
}

static enum px_code parse_int(const struct px_config_key *key, struct px_str value, int64_t *ret,
                              struct px_err *err)
{
    int64_t number;
    if (!px_str_to_i64(value, &number))
        return px_err_set(err, PX_E_INVALID, "%s must be a whole number, got '%.*s'", key->name,
                          PX_STR_ARG(value));
    if (number < key->min || number > key->max)
        return px_err_set(err, PX_E_INVALID,
                          "%s must be from %" PRId64 " to %" PRId64 " (%s), got %" PRId64,
                          key->name, key->min, key->max, key->unit, number);
    *ret = number;
    return PX_OK;
}

static enum px_code parse_bool(const struct px_config_key *key, struct px_str value, bool *ret,
                               struct px_err *err)
{
    bool yes = is_one_of(value, "true|yes|on"), no = is_one_of(value, "false|no|off");
    if (!yes && !no)
        return px_err_set(err, PX_E_INVALID, "%s must be true or false, got '%.*s'", key->name,
                          PX_STR_ARG(value));
    *ret = yes;
    return PX_OK;
}

static enum px_code parse_str(const struct px_config_key *key, struct px_str value,
                              struct px_str *ret, struct px_err *err)
{
    if (strchr(key->unit, '|') && !is_one_of(value, key->unit))
        return px_err_set(err, PX_E_INVALID, "%s must be one of %s, got '%.*s'", key->name,
                          key->unit, PX_STR_ARG(value));
    if (value.len == 0 && key->def[0]) /* where empty is the default it means "not set" */
        return px_err_set(err, PX_E_INVALID, "%s must not be empty", key->name);
    *ret = value;
    return PX_OK;
}

static enum px_code parse_value(struct px_config *config, size_t index, struct px_str value,
                                struct px_err *err)
{
    void *field = (char *)config + slots[index].offset;
    switch (slots[index].kind) {
    case KIND_STR:
        return parse_str(&keys[index], value, field, err);
    case KIND_INT:
        return parse_int(&keys[index], value, field, err);
    case KIND_BOOL:
        return parse_bool(&keys[index], value, field, err);
    }
    return px_err_set(err, PX_E_INTERNAL, "setting %s has no type", keys[index].name);
}

static enum px_code set_value(struct px_config *config, enum px_config_origin origin, size_t index,
                              struct px_str value, struct px_err *err)
{
    enum px_code code = parse_value(config, index, value, err);
    if (code == PX_OK)
        config->origins[index] = (unsigned char)origin;
    return code;
}

void px_config_init(struct px_config *config)
{
    *config = (struct px_config){0};
    for (size_t i = 0; i < N_KEYS; i++) {
        struct px_err err;
        enum px_code code = set_value(config, PX_CONFIG_DEFAULT, i, px_str(keys[i].def), &err);
        PX_ASSERT(code == PX_OK);
    }
}

enum px_code px_config_set(struct px_config *config, enum px_config_origin origin,
                           struct px_str name, struct px_str value, struct px_err *err)
{
    const struct px_config_key *key = px_config_find(name, err);
    if (!key)
        return PX_E_UNKNOWN_OPTION;
    return set_value(config, origin, (size_t)(key - keys), value, err);
}

const char *px_config_origin_name(enum px_config_origin origin)
{
    static const char *const names[] = {"default", "file", "environment", "option"};
    return names[origin];
}

static bool is_secret(const struct px_config_key *key)
{
    return strcmp(key->unit, "secret") == 0;
}

void px_config_write_value(const struct px_config *config, size_t key, struct px_buf *out)
{
    PX_ASSERT(key < N_KEYS);
    const void *field = (const char *)config + slots[key].offset;
    const struct px_str *text = field;
    switch (slots[key].kind) {
    case KIND_STR:
        px_buf_str(out, is_secret(&keys[key]) && text->len ? px_str("(hidden)") : *text);
        break;
    case KIND_INT:
        px_buf_printf(out, "%" PRId64, *(const int64_t *)field);
        break;
    case KIND_BOOL:
        px_buf_text(out, *(const bool *)field ? "true" : "false");
        break;
    }
}

bool px_config_is_same(const struct px_config *a, const struct px_config *b, size_t key)
{
    PX_ASSERT(key < N_KEYS);
    const void *left = (const char *)a + slots[key].offset;
    const void *right = (const char *)b + slots[key].offset;
    switch (slots[key].kind) {
    case KIND_STR:
        return px_str_eq(*(const struct px_str *)left, *(const struct px_str *)right);
    case KIND_INT:
        return *(const int64_t *)left == *(const int64_t *)right;
    case KIND_BOOL:
        return *(const bool *)left == *(const bool *)right;
    }
    return false;
}

static enum px_code parse_field(struct px_config *config, struct px_str section,
                                const struct px_yaml *node, struct px_arena *arena,
                                struct px_err *err)
{
    char name[128];
    snprintf(name, sizeof name, "%.*s.%.*s", PX_STR_ARG(section), PX_STR_ARG(node->key));
    const struct px_config_key *key = px_config_find(px_str(name), err);
    if (!key)
        return px_err_wrap(err, "line %u", node->line);
    if (px_yaml_is_null(node))
        return px_err_set(err, PX_E_INVALID, "line %u: %s has no value", node->line, name);
    struct px_str value;
    enum px_code code = px_yaml_str(node, &value, err);
    if (code != PX_OK)
        return px_err_wrap(err, "%s", name);
    struct px_str kept = px_arena_str(arena, value);
    if (!kept.ptr)
        return px_arena_check(arena, "the configuration", err);
    code = set_value(config, PX_CONFIG_FILE, (size_t)(key - keys), kept, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "line %u", node->line);
}

static enum px_code parse_section(struct px_config *config, const struct px_yaml *section,
                                  struct px_arena *arena, struct px_err *err)
{
    if (px_yaml_is_null(section))
        return PX_OK; /* every line of it is commented out */
    if (section->type != PX_YAML_MAPPING)
        return px_err_set(err, PX_E_INVALID, "line %u: '%.*s' must be a mapping of settings",
                          section->line, PX_STR_ARG(section->key));
    for (const struct px_yaml *node = section->first_child; node; node = node->next) {
        enum px_code code = parse_field(config, section->key, node, arena, err);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

enum px_code px_config_parse(struct px_config *config, struct px_str yaml, struct px_arena *arena,
                             struct px_err *err)
{
    const struct px_yaml *root;
    struct px_str names[N_SECTIONS];
    for (size_t i = 0; i < N_SECTIONS; i++)
        names[i] = sections[i].name;
    enum px_code code = px_yaml_parse(yaml, arena, &root, err);
    if (code != PX_OK)
        return code;
    if (root->type != PX_YAML_MAPPING)
        return px_err_set(err, PX_E_INVALID, "line %u: expected sections such as 'server:'",
                          root->line);
    code = px_yaml_only(root, names, N_SECTIONS, err);
    for (const struct px_yaml *node = root->first_child; code == PX_OK && node; node = node->next)
        code = parse_section(config, node, arena, err);
    return code;
}

static void write_range(struct px_buf *out, size_t index)
{
    if (slots[index].kind == KIND_INT)
        px_buf_printf(out, "%" PRId64 " to %" PRId64, keys[index].min, keys[index].max);
}

void px_config_write_yaml(struct px_buf *out)
{
    px_buf_text(out,
                "# Every setting of Phoenix with its default. A file needs only what differs.\n");
    for (size_t s = 0; s < N_SECTIONS; s++) {
        px_buf_printf(out, "\n# %s\n%s:\n", sections[s].help, sections[s].name.ptr);
        for (size_t i = 0; i < N_KEYS; i++) {
            if (!is_in_section(&keys[i], sections[s].name))
                continue;
            px_buf_printf(out, "  # %s [%s", keys[i].help, keys[i].unit);
            if (slots[i].kind == KIND_INT) {
                px_buf_text(out, ", ");
                write_range(out, i);
            }
            px_buf_printf(out, "%s]\n  %s: ", keys[i].is_live ? ", live" : "",
                          field_name(&keys[i]));
            px_yaml_put(out, px_str(keys[i].def));
            px_buf_byte(out, '\n');
        }
    }
}

/* A cell of a table: a bar would end it. */
static void write_cell(struct px_buf *out, const char *text)
{
    px_buf_text(out, " ");
    for (; *text; text++) {
        if (*text == '|')
            px_buf_byte(out, '\\');
        px_buf_byte(out, *text);
    }
    px_buf_text(out, " |");
}

static void write_markdown_key(struct px_buf *out, size_t index)
{
    px_buf_printf(out, "| `%s` | `%s` |", keys[index].name, keys[index].def);
    write_cell(out, keys[index].unit);
    px_buf_byte(out, ' ');
    write_range(out, index);
    px_buf_printf(out, " | %s |", keys[index].is_live ? "yes" : "");
    write_cell(out, keys[index].help);
    px_buf_byte(out, '\n');
}

void px_config_write_markdown(struct px_buf *out)
{
    px_buf_text(out,
                "# Settings of phoenix.yaml\n\n"
                "A command-line option goes before the file, the file before the default. An "
                "unknown key is an error that\nnames the nearest one. `phoenix config defaults` "
                "prints a file with every setting to start from,\n`phoenix config check FILE` "
                "says whether a file is right.\n\n"
                "A *live* setting is taken over by a running server that reads its file again; "
                "the others need a restart\n([changing settings](../operations/reloading.md)).\n");
    for (size_t s = 0; s < N_SECTIONS; s++) {
        px_buf_printf(out, "\n## %s\n\n%s\n\n", sections[s].name.ptr, sections[s].help);
        px_buf_text(
            out, "| key | default | unit | range | live | meaning |\n|---|---|---|---|---|---|\n");
        for (size_t i = 0; i < N_KEYS; i++) {
            if (is_in_section(&keys[i], sections[s].name))
                write_markdown_key(out, i);
        }
    }
    px_buf_text(out,
                "\n## Environment\n\n"
                "| variable | meaning |\n|---|---|\n"
                "| `PHOENIX_KERNEL` | The kernel that scores every model, instead of the plan made "
                "at load; see [running](../operations/running.md). |\n"
                "| `PHOENIX_XGBOOST_LIBRARY` | The file of libxgboost that `phoenix train` "
                "loads. |\n"
                "| `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`, `LISTEN_FDS`, `LISTEN_PID` | "
                "Set by systemd; see [systemd](../operations/systemd.md) and "
                "[socket activation](../operations/upgrading.md#socket-activation). |\n"
                "| `PHOENIX_HANDOVER` | Set for a process that takes over from this one; see "
                "[upgrading](../operations/upgrading.md). |\n");
}
