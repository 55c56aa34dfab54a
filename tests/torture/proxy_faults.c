/*
 * The proxy as it is, with the wrappers of faults.c between it and what it calls, and its own main(). What is to fail is told by the
 * environment, as it is another process that plays the scene (tests/torture/proxy):
 *
 *   TORTURE_FAULT=CALL:NUMBER:FAULT   the call to fail
 *   TORTURE_COUNTS=PATH               a file that gets how often each was made, at the end: `CALL=N …`, with `hit` where it came to its call
 *   TORTURE_TABLE=1                   prints the calls and their faults, and ends
 */
#include "tests/torture/torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct faults here;

/* There is no puppeteer. */
int puppet_turn(struct pollfd *fds, size_t fds_n, int timeout_ms)
{
    (void)fds;
    (void)fds_n;
    return timeout_ms;
}

void torture_fds_are_closed(void)
{
}

static void print_table(void)
{
    char name[32];
    for (int i = 0; i < CALL_COUNT; i++) {
        printf("%s", call_name(i));
        for (size_t n = 0; call_fault(i, n, name, sizeof name); n++)
            printf(" %s", name);
        printf("\n");
    }
}

static void aim(char *spec)
{
    char name[32], *number = strchr(spec, ':'), *fault = strrchr(spec, ':');
    if (!number || fault == number)
        return;
    *number++ = *fault++ = '\0';
    here.target = call_find(spec);
    here.number = (int)strtol(number, NULL, 10);
    for (size_t i = 0; here.target >= 0 && !here.fault; i++) {
        int value = call_fault(here.target, i, name, sizeof name);
        if (value == 0)
            break;
        here.fault = strcmp(name, fault) == 0 ? value : 0;
    }
}

static void write_counts(void)
{
    const char *path = getenv("TORTURE_COUNTS");
    FILE *out = path && getpid() == faults_pid ? fopen(path, "w") : NULL;
    faults_are_on = 0;
    for (int i = 0; out && i < CALL_COUNT; i++)
        if (here.called_n[i])
            fprintf(out, "%s=%u ", call_name(i), (unsigned)here.called_n[i]);
    if (out && here.was_hit)
        fprintf(out, "hit");
    if (out)
        fclose(out);
}

__attribute__((constructor)) static void begin(void)
{
    static char spec[128];
    const char *fault = getenv("TORTURE_FAULT");
    if (getenv("TORTURE_TABLE")) {
        print_table();
        exit(0);
    }
    here.target = -1;
    snprintf(spec, sizeof spec, "%s", fault ? fault : "");
    aim(spec);
    if (fault && !here.fault) {
        fprintf(stderr, "TORTURE_FAULT: there is no %s\n", fault);
        _exit(125);
    }
    faults_pid = getpid();
    faults_are_traced = getenv("TORTURE_TRACE") != NULL;
    atexit(write_counts);
    faults = &here;
    faults_are_on = 1;
}
