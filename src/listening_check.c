/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would stop the server from listening and can be seen without binding anything, so that `phoenix config check`
 * says it: hosts without an address, endpoints that are in each other's way, paths where no socket can be made.
 *
 * A port that another program has is not looked for: that says nothing about the file.
 */
#include "listening.h"
#include "shared/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>

/* ---- hosts ---- */

static enum px_code resolve(const struct px_endpoint *endpoint, struct addrinfo **ret,
                            struct px_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    int rc = getaddrinfo(endpoint->host, "0", &hints, ret);
    if (rc == 0)
        return PX_OK;
    px_err_set(err, PX_E_IO, "listen on %s: %s", endpoint->host,
               rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    return px_err_hint(err, "give an address of this machine, as 127.0.0.1, 0.0.0.0 or ::");
}

static const struct in_addr *v4_of(const struct addrinfo *a)
{
    return &((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_addr;
}

static const struct in6_addr *v6_of(const struct addrinfo *a)
{
    return &((const struct sockaddr_in6 *)(const void *)a->ai_addr)->sin6_addr;
}

static bool is_every_address(const struct addrinfo *a)
{
    return a->ai_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(v6_of(a))
                                    : v4_of(a)->s_addr == htonl(INADDR_ANY);
}

/* On one port: may not both be listened on? `::` takes IPv4 as well, 0.0.0.0 no IPv6. */
static bool do_clash(const struct addrinfo *a, const struct addrinfo *b)
{
    if (a->ai_family != b->ai_family)
        return is_every_address(a->ai_family == AF_INET6 ? a : b);
    if (is_every_address(a) || is_every_address(b))
        return true;
    return a->ai_family == AF_INET6 ? IN6_ARE_ADDR_EQUAL(v6_of(a), v6_of(b))
                                    : v4_of(a)->s_addr == v4_of(b)->s_addr;
}

static bool do_any_clash(const struct addrinfo *list, const struct addrinfo *others)
{
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        for (const struct addrinfo *b = others; b; b = b->ai_next) {
            if (do_clash(a, b))
                return true;
        }
    }
    return false;
}

static enum px_code refuse_overlap(const struct px_endpoint *a, const struct px_endpoint *b,
                                   struct px_err *err)
{
    px_err_set(err, PX_E_INVALID, "listen on %s and %s: both would be there on port %u", a->host,
               b->host, (unsigned)a->port);
    return px_err_hint(err, "0.0.0.0 and :: include other addresses, and several names may mean "
                            "the same one; list each once");
}

static enum px_code check_hosts(const struct px_endpoints *endpoints, struct px_err *err)
{
    struct addrinfo *addresses[PX_ENDPOINTS_MAX] = {0};
    enum px_code code = PX_OK;
    size_t n = 0;
    for (; code == PX_OK && n < endpoints->n; n++) {
        const struct px_endpoint *endpoint = &endpoints->items[n];
        if (endpoint->path)
            continue;
        code = resolve(endpoint, &addresses[n], err);
        for (size_t i = 0; code == PX_OK && endpoint->port && i < n; i++) {
            const struct px_endpoint *former = &endpoints->items[i];
            if (!former->path && former->port == endpoint->port &&
                do_any_clash(addresses[i], addresses[n]))
                code = refuse_overlap(former, endpoint, err);
        }
    }
    while (n-- > 0) {
        if (addresses[n])
            freeaddrinfo(addresses[n]);
    }
    return code;
}

/* ---- Unix sockets ---- */

/* The folder that a path is in, and the name in it: a path may say both in several ways. */
struct place {
    char memory[PATH_MAX], name_memory[PATH_MAX];
    const char *folder, *name;
};

static void part_path(const char *path, struct place *ret)
{
    snprintf(ret->memory, sizeof ret->memory, "%s", path);
    snprintf(ret->name_memory, sizeof ret->name_memory, "%s", path);
    ret->folder = dirname(ret->memory);
    ret->name = basename(ret->name_memory);
}

static bool is_same_place(const char *a, const char *b)
{
    struct place first, second;
    part_path(a, &first);
    part_path(b, &second);
    return strcmp(first.name, second.name) == 0 && px_file_same(first.folder, second.folder);
}

static enum px_code check_socket(const char *path, struct px_err *err)
{
    struct place place;
    struct stat info;
    part_path(path, &place);
    if (px_file_kind(place.folder) != PX_FILE_FOLDER) {
        px_err_set(err, PX_E_INVALID, "listen on unix:%s: there is no folder %s", path,
                   place.folder);
        return px_err_hint(err, "make the folder, or choose another path");
    }
    if (lstat(path, &info) == 0 && !S_ISSOCK(info.st_mode)) {
        px_err_set(err, PX_E_INVALID, "listen on unix:%s: what is there is no socket", path);
        return px_err_hint(err, "choose another path, or remove it");
    }
    return PX_OK;
}

static enum px_code check_sockets(const struct px_endpoints *endpoints, struct px_err *err)
{
    for (size_t i = 0; i < endpoints->n; i++) {
        const char *path = endpoints->items[i].path;
        enum px_code code = path ? check_socket(path, err) : PX_OK;
        if (code != PX_OK)
            return code;
        for (size_t k = 0; path && k < i; k++) {
            const char *former = endpoints->items[k].path;
            if (former && is_same_place(former, path))
                return px_err_set(err, PX_E_INVALID,
                                  "listen on unix:%s and unix:%s: both are one file", former, path);
        }
    }
    return PX_OK;
}

enum px_code px_listening_check(const struct px_listening *listening, struct px_err *err)
{
    enum px_code code = check_sockets(&listening->endpoints, err);
    return code == PX_OK ? check_hosts(&listening->endpoints, err) : code;
}
