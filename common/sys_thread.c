/* The kernel's door, threads, and what needs one: a question that may wait for another machine. See sys.h. */
#include "common/sys.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { STACK_BYTES = 256 * 1024 }; /* for what nsswitch.conf(5) may name */

/* The mask is inherited: it must hold before the thread runs. */
int sys_start_thread(void *(*fn)(void *context), void *context)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int error = pthread_attr_init(&attributes);
    if (error)
        return -error;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES > PTHREAD_STACK_MIN ? STACK_BYTES : (size_t)PTHREAD_STACK_MIN);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, fn, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -error;
}

int sys_each_address(const char *host, void (*fn)(void *context, const struct sockaddr *address), void *context, char *why, size_t why_n)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
    int error = getaddrinfo(host, NULL, &hints, &found);
    if (error) {
        snprintf(why, why_n, "%s", error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
        return -EHOSTUNREACH;
    }
    for (const struct addrinfo *a = found; a; a = a->ai_next)
        fn(context, a->ai_addr);
    freeaddrinfo(found);
    return 0;
}
