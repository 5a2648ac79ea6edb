/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a corpus without a fuzz engine: every file of the folders named on the command line goes
 * through LLVMFuzzerTestOneInput once. Arguments that start with '-' are libFuzzer options and are
 * passed over, so that one CTest command works for both kinds of build.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return;
    static uint8_t bytes[1 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    /* An exact-size copy lets the address sanitizer see a read past the end. */
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static size_t replay_folder(const char *folder)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        replay_file(path);
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-')
            count += replay_folder(argv[i]);
    }
    printf("replayed %zu inputs\n", count);
    return count ? 0 : 1; /* an empty corpus proves nothing */
}
