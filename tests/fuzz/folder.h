/*
 * folder: a folder of its own for a target that reads files: an ini and a list of models.
 */
#ifndef TESTS_FUZZ_FOLDER_H
#define TESTS_FUZZ_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64], file[96], models[96];

static void put(const char *path, const void *bytes, size_t bytes_n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, bytes_n, f) != bytes_n || fclose(f) != 0)
        abort();
}

static void clean(void)
{
    (void)unlink(file);
    (void)unlink(models);
    (void)rmdir(dir);
}

static void folder_init(void)
{
    snprintf(dir, sizeof dir, "%s/sidecar-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(dir))
        abort();
    snprintf(file, sizeof file, "%s/supervisor.ini", dir);
    snprintf(models, sizeof models, "%s/preload-models.txt", dir);
    atexit(clean);
}

#endif
