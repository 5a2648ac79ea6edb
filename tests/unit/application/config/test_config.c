/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "application/config/config.h"

static struct px_config config;
static struct px_err err;

static enum px_code parse(const char *yaml)
{
    static struct px_arena arena;
    px_arena_deinit(&arena);
    arena = px_arena(1 << 20);
    err = (struct px_err){0};
    px_config_init(&config);
    return px_config_parse(&config, px_str(yaml), &arena, &err);
}

static enum px_code set(const char *key, const char *value)
{
    err = (struct px_err){0};
    return px_config_set(&config, PX_CONFIG_OPTION, px_str(key), px_str(value), &err);
}

PX_TEST(defaults_come_from_the_table)
{
    px_config_init(&config);
    CHECK_STR(config.server_host, "127.0.0.1");
    CHECK_INT(config.server_port, 8080);
    CHECK_INT(config.serving_request_memory_max, 268435456);
    CHECK_STR(config.log_format, "logfmt");
}

PX_TEST(a_file_overlays_the_defaults)
{
    CHECK_OK(parse("server:\n  port: 9000\n  host: 0.0.0.0\nlog: {level: debug}\n"));
    CHECK_INT(config.server_port, 9000);
    CHECK_STR(config.server_host, "0.0.0.0");
    CHECK_STR(config.log_level, "debug");
    CHECK_INT(config.server_threads, 0);
}

PX_TEST(an_empty_file_and_empty_sections_change_nothing)
{
    CHECK_OK(parse(""));
    CHECK_OK(parse("# nothing\n"));
    CHECK_OK(parse("server:\n  # port: 1\nlog:\n"));
    CHECK_INT(config.server_port, 8080);
}

PX_TEST(an_unknown_key_names_the_nearest_and_the_line)
{
    CHECK_INT(parse("server:\n  host: a\n  prot: 1\n"), PX_E_UNKNOWN_OPTION);
    CHECK_CONTAINS(err.message, "line 3");
    CHECK_CONTAINS(err.message, "server.prot");
    CHECK_CONTAINS(err.hint, "server.port");
    CHECK_INT(parse("servr:\n  port: 1\n"), PX_E_UNKNOWN_OPTION);
    CHECK_CONTAINS(err.message, "servr");
}

PX_TEST(a_key_in_the_wrong_section_is_found_by_its_last_part)
{
    CHECK_INT(parse("serving:\n  connections_max: 1\n"), PX_E_UNKNOWN_OPTION);
    CHECK_CONTAINS(err.hint, "server.connections_max");
}

PX_TEST(values_are_checked_with_their_line)
{
    CHECK_INT(parse("server:\n  port: 70000\n"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "line 2: server.port must be from 0 to 65535 (port), got 70000");
    CHECK_INT(parse("server:\n\n  port: eighty\n"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "line 3: server.port must be a whole number, got 'eighty'");
    CHECK_INT(parse("log:\n  level: loud\n"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "must be one of debug|info|warn|error, got 'loud'");
    CHECK_INT(parse("server:\n  host: ''\n"), PX_E_INVALID);
    CHECK_INT(parse("server:\n  port:\n"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "server.port has no value");
}

PX_TEST(the_shape_of_the_file_is_checked)
{
    CHECK_INT(parse("- server\n"), PX_E_INVALID);
    CHECK_INT(parse("server: 8080\n"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "mapping");
    CHECK_INT(parse("server:\n  port: [1, 2]\n"), PX_E_INVALID);
    CHECK_INT(parse("server:\n  port: 1\n  port: 2\n"), PX_E_INVALID);
    CHECK_INT(parse("server: {port: 1\n"), PX_E_INVALID);
}

PX_TEST(one_key_can_be_set_from_text)
{
    px_config_init(&config);
    CHECK_OK(set("server.port", "81"));
    CHECK_INT(config.server_port, 81);
    CHECK_INT(set("server.port", "-1"), PX_E_INVALID);
    CHECK_INT(config.server_port, 81);
    CHECK_INT(set("port", "1"), PX_E_UNKNOWN_OPTION);
    CHECK_CONTAINS(err.hint, "server.port");
}

PX_TEST(the_printed_defaults_are_a_valid_file_with_every_key)
{
    struct px_buf yaml = px_buf(1 << 20);
    size_t n;
    const struct px_config_key *keys = px_config_keys(&n);
    px_config_write_yaml(&yaml);
    CHECK_OK(parse(px_buf_cstr(&yaml)));
    for (size_t i = 0; i < n; i++)
        CHECK_CONTAINS(px_buf_cstr(&yaml), strchr(keys[i].name, '.') + 1);
    CHECK_INT(config.server_port, 8080);
    px_buf_deinit(&yaml);
}

PX_TEST(the_reference_has_a_row_for_every_key)
{
    struct px_buf text = px_buf(1 << 20);
    size_t n;
    const struct px_config_key *keys = px_config_keys(&n);
    px_config_write_markdown(&text);
    for (size_t i = 0; i < n; i++) {
        CHECK_CONTAINS(px_buf_cstr(&text), keys[i].name);
        CHECK(px_config_find(px_str(keys[i].name), NULL) == &keys[i]);
    }
    px_buf_deinit(&text);
}

/* What a key holds and where that came from. */
static void check_key(const char *name, const char *value, enum px_config_origin origin)
{
    size_t n;
    const struct px_config_key *row = px_config_find(px_str(name), &err);
    size_t at = (size_t)(row - px_config_keys(&n));
    struct px_buf text = px_buf(1 << 10);
    px_config_write_value(&config, at, &text);
    CHECK_STR(px_buf_view(&text), value);
    CHECK_INT(config.origins[at], origin);
    px_buf_deinit(&text);
}

PX_TEST(a_value_tells_where_it_came_from)
{
    CHECK_OK(parse("server:\n  port: 9000\n  cors_credentials: yes\n"));
    CHECK_OK(set("log.level", "debug"));
    check_key("server.port", "9000", PX_CONFIG_FILE);
    check_key("server.cors_credentials", "true", PX_CONFIG_FILE);
    check_key("log.level", "debug", PX_CONFIG_OPTION);
    check_key("log.format", "logfmt", PX_CONFIG_DEFAULT);
    CHECK_INT(set("log.format", "xml"), PX_E_INVALID);
    check_key("log.format", "logfmt", PX_CONFIG_DEFAULT);
}

PX_TEST(a_difference_of_every_type_is_seen)
{
    CHECK_OK(parse(""));
    struct px_config before = config;
    CHECK_OK(parse("server: {port: 1, cors_credentials: true}\nlog: {level: warn}\n"));
    size_t n_different = 0;
    for (size_t i = 0; i < PX_CONFIG_KEYS; i++)
        n_different += !px_config_is_same(&before, &config, i);
    CHECK_INT(n_different, 3);
    CHECK(!px_config_is_same(&before, &config, PX_CONFIG_AT_server_port));
    CHECK(!px_config_is_same(&before, &config, PX_CONFIG_AT_server_cors_credentials));
    CHECK(!px_config_is_same(&before, &config, PX_CONFIG_AT_log_level));
}

PX_TEST_MAIN(T(a_value_tells_where_it_came_from) T(a_difference_of_every_type_is_seen)
                 T(defaults_come_from_the_table) T(a_file_overlays_the_defaults)
                     T(an_empty_file_and_empty_sections_change_nothing)
                         T(an_unknown_key_names_the_nearest_and_the_line)
                             T(a_key_in_the_wrong_section_is_found_by_its_last_part)
                                 T(values_are_checked_with_their_line)
                                     T(the_shape_of_the_file_is_checked)
                                         T(one_key_can_be_set_from_text)
                                             T(the_printed_defaults_are_a_valid_file_with_every_key)
                                                 T(the_reference_has_a_row_for_every_key))
