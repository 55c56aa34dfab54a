/*
 * in_child: a part of a test that changes what a process has only one of (descriptors by number, environment,
 * signals) runs in a child. CHILD_CHECK says where it failed.
 */
#ifndef TESTS_UNIT_IN_CHILD_H
#define TESTS_UNIT_IN_CHILD_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_CHECK(condition)                                                        \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            _exit(1);                                                                 \
        }                                                                             \
    } while (0)

/* 0 when fn came back in the child. */
static inline int in_child(void (*fn)(void *context), void *context)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        fn(context);
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

#endif
