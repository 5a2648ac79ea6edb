/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "infrastructure/host/cgroup.h"
#include "shared/file.h"
#include "shared/str.h"

#include <unistd.h>

static char root[] = "/tmp/px-cgroup-XXXXXX";
static struct px_cgroup_memory memory;

static void begin(void)
{
    snprintf(root, sizeof root, "/tmp/px-cgroup-XXXXXX");
    CHECK(mkdtemp(root));
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[256];
    struct px_err err;
    snprintf(path, sizeof path, "%s%s", root, folder);
    CHECK_OK(px_file_mkdirs(path, &err));
    snprintf(path, sizeof path, "%s%s/%s", root, folder, name);
    CHECK_OK(px_file_write(path, px_str(text), &err));
}

PX_TEST(the_tightest_of_a_group_and_its_ancestors_holds)
{
    begin();
    put("/a/b", "memory.max", "max\n");
    put("/a/b", "memory.high", "900\n");
    put("/a/b", "memory.current", "500\n");
    put("/a/b", "memory.stat", "anon 400\ninactive_file 100\nactive_file 3\n");
    put("/a", "memory.max", "1000\n");
    put("/a", "memory.current", "950\n");
    CHECK(px_cgroup_memory("0::/a/b\n", root, &memory));
    CHECK_INT(memory.max, 1000);
    CHECK_INT(memory.used, 950);
    put("/a", "memory.current", "450\n");
    CHECK(px_cgroup_memory("0::/a/b\n", root, &memory));
    CHECK_INT(memory.max, 900); /* 500 are left there, 550 above */
    CHECK_INT(memory.used, 400);
    CHECK_STR(px_str(memory.limit), "cgroup memory.high");
}

PX_TEST(version_1_is_read_where_it_counts_memory)
{
    begin();
    put("/memory/x", "memory.limit_in_bytes", "4096\n");
    put("/memory/x", "memory.usage_in_bytes", "1024\n");
    put("/memory/x", "memory.stat", "inactive_file 1\ntotal_inactive_file 24\n");
    put("/memory", "memory.limit_in_bytes", "9223372036854771712\n");
    put("/memory", "memory.usage_in_bytes", "1\n");
    CHECK(px_cgroup_memory("5:cpu:/x\n4:memory:/x\n0::/\n", root, &memory));
    CHECK_INT(memory.max, 4096);
    CHECK_INT(memory.used, 1000);
}

PX_TEST(in_a_container_the_mount_stands_for_the_own_group)
{
    begin();
    put("", "memory.max", "2000\n");
    put("", "memory.current", "10\n");
    CHECK(px_cgroup_memory("0::/system.slice/docker-1.scope\n", root, &memory));
    CHECK_INT(memory.max, 2000);
}

PX_TEST(without_a_limit_there_is_none)
{
    begin();
    put("", "memory.max", "max\n");
    put("", "memory.current", "10\n");
    CHECK(!px_cgroup_memory("0::/\n", root, &memory));
    CHECK(!px_cgroup_memory("", root, &memory));
    CHECK(!px_cgroup_memory("nonsense\n::\n", root, &memory));
    CHECK(!px_cgroup_memory("0::/../../..\n", "/nowhere", &memory));
    put("", "memory.max", "12 apples\n");
    CHECK(!px_cgroup_memory("0::/\n", root, &memory));
}

PX_TEST_MAIN(T(the_tightest_of_a_group_and_its_ancestors_holds)
                 T(version_1_is_read_where_it_counts_memory)
                     T(in_a_container_the_mount_stands_for_the_own_group)
                         T(without_a_limit_there_is_none))
