/* See torture.h. The linker puts these wrappers between the rooms and what they call (ld --wrap). */
#include "tests/torture/torture.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct faults *faults;
int faults_are_on, faults_are_traced, faults_pid;
long faults_live_n;

void __sanitizer_print_stack_trace(void) __attribute__((weak));

/* The fault of this call, or 0. */
static int unlucky(int id)
{
    if (!faults || !faults_are_on)
        return 0;
    unsigned number = atomic_fetch_add(&faults->called_n[id], 1) + 1;
    if (id != faults->target || number != (unsigned)faults->number)
        return 0;
    atomic_store(&faults->was_hit, 1);
    if (faults_are_traced && __sanitizer_print_stack_trace) {
        faults_are_on = 0;
        __sanitizer_print_stack_trace();
        faults_are_on = 1;
    }
    return faults->fault;
}

static int failure_of(int fault)
{
    return fault == FAULT_END ? 0 : -fault;
}

#define SAME_TYPE(name) _Static_assert(__builtin_types_compatible_p(__typeof__(__wrap_##name), __typeof__(name)), #name)

#define CALL(type, name, params, args, ...)        \
    type __real_##name params;                     \
    type __wrap_##name params;                     \
    type __wrap_##name params                      \
    {                                              \
        int fault = unlucky(CALL_##name);          \
        return fault ? failure_of(fault) : __real_##name args; \
    }                                              \
    SAME_TYPE(name);
#define CALL_SHORT(type, name, params, args, short_args, ...)  \
    type __real_##name params;                                 \
    type __wrap_##name params;                                 \
    type __wrap_##name params                                  \
    {                                                          \
        int fault = unlucky(CALL_##name);                      \
        if (fault == FAULT_SHORT)                              \
            return __real_##name short_args;                   \
        return fault ? failure_of(fault) : __real_##name args; \
    }                                                          \
    SAME_TYPE(name);
#define CALL_DONE(type, name, params, args, ...)   \
    type __real_##name params;                     \
    type __wrap_##name params;                     \
    type __wrap_##name params                      \
    {                                              \
        int fault = unlucky(CALL_##name);          \
        type done = __real_##name args;            \
        return fault ? failure_of(fault) : done;   \
    }                                              \
    SAME_TYPE(name);
#define CALL_OWN(type, name, ...)
#define NEVER(name, why)
#include "tests/torture/calls.def"
#undef CALL
#undef CALL_SHORT
#undef CALL_DONE
#undef CALL_OWN
#undef NEVER

/* ---- those by hand ---- */

int __real_sys_poll(struct pollfd *fds, size_t fds_n, int timeout_ms);
int __wrap_sys_poll(struct pollfd *fds, size_t fds_n, int timeout_ms);
int __wrap_sys_poll(struct pollfd *fds, size_t fds_n, int timeout_ms)
{
    if (faults_are_on && getpid() == faults_pid)
        timeout_ms = puppet_turn(fds, fds_n, timeout_ms);
    int fault = unlucky(CALL_sys_poll);
    return fault ? -fault : __real_sys_poll(fds, fds_n, timeout_ms);
}
SAME_TYPE(sys_poll);

/* Only now the puppet may have descriptors of its own: what was open by chance is closed by main(). */
void __real_sys_close_from(int lowest_fd, int kept_fd);
void __wrap_sys_close_from(int lowest_fd, int kept_fd);
void __wrap_sys_close_from(int lowest_fd, int kept_fd)
{
    __real_sys_close_from(lowest_fd, kept_fd);
    if (getpid() == faults_pid)
        torture_fds_are_closed();
}
SAME_TYPE(sys_close_from);

/* A connection that is broken is so in both directions: else who waits for an answer would wait for one that no kernel could give. */
ssize_t __real_sys_send_parts(int fd, const struct iovec *parts, int parts_n);
ssize_t __wrap_sys_send_parts(int fd, const struct iovec *parts, int parts_n);
ssize_t __wrap_sys_send_parts(int fd, const struct iovec *parts, int parts_n)
{
    int fault = unlucky(CALL_sys_send_parts);
    if (fault == EPIPE || fault == ECONNRESET)
        shutdown(fd, SHUT_RDWR);
    return fault ? -fault : __real_sys_send_parts(fd, parts, parts_n);
}
SAME_TYPE(sys_send_parts);

/* What the rooms allocate and free is counted, too: the sum of a run must be 0. */
static void *counted(void *at)
{
    if (faults_are_on && at)
        faults_live_n++;
    return at;
}

static int has_no_memory(int id)
{
    int fault = unlucky(id);
    if (fault)
        errno = fault;
    return fault;
}

void *__real_malloc(size_t bytes_n);
void *__wrap_malloc(size_t bytes_n);
void *__wrap_malloc(size_t bytes_n)
{
    return has_no_memory(CALL_malloc) ? NULL : counted(__real_malloc(bytes_n));
}

void *__real_calloc(size_t items_n, size_t item_bytes);
void *__wrap_calloc(size_t items_n, size_t item_bytes);
void *__wrap_calloc(size_t items_n, size_t item_bytes)
{
    return has_no_memory(CALL_calloc) ? NULL : counted(__real_calloc(items_n, item_bytes));
}

void *__real_realloc(void *at, size_t bytes_n);
void *__wrap_realloc(void *at, size_t bytes_n);
void *__wrap_realloc(void *at, size_t bytes_n)
{
    if (has_no_memory(CALL_realloc))
        return NULL;
    return at ? __real_realloc(at, bytes_n) : counted(__real_realloc(NULL, bytes_n));
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return has_no_memory(CALL_strdup) ? NULL : counted(__real_strdup(text));
}

int __wrap_asprintf(char **out, const char *format, ...) PRINTF_LIKE(2, 3);
int __wrap_asprintf(char **out, const char *format, ...)
{
    va_list args;
    if (has_no_memory(CALL_asprintf))
        return -1;
    va_start(args, format);
    int n = vasprintf(out, format, args);
    va_end(args);
    if (n >= 0)
        (void)counted(*out);
    return n;
}

void __real_free(void *at);
void __wrap_free(void *at);
void __wrap_free(void *at)
{
    if (faults_are_on && at)
        faults_live_n--;
    __real_free(at);
}

/* ---- the table as data ---- */

static const struct {
    const char *name, *faults;
    int values[8];
} rows[] = {
#define CALL(type, name, params, args, ...) {#name, #__VA_ARGS__, {__VA_ARGS__}},
#define CALL_SHORT(type, name, params, args, short_args, ...) {#name, #__VA_ARGS__, {__VA_ARGS__}},
#define CALL_DONE(type, name, params, args, ...) {#name, #__VA_ARGS__, {__VA_ARGS__}},
#define CALL_OWN(type, name, ...) {#name, #__VA_ARGS__, {__VA_ARGS__}},
#define NEVER(name, why)
#define SHORT FAULT_SHORT
#define END FAULT_END
#include "tests/torture/calls.def"
};

const char *call_name(int id)
{
    return rows[id].name;
}

int call_find(const char *name)
{
    for (int i = 0; i < CALL_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0)
            return i;
    return -1;
}

int call_fault(int id, size_t n, char *name, size_t name_n)
{
    const char *at = rows[id].faults;
    if (n >= sizeof rows[id].values / sizeof *rows[id].values || rows[id].values[n] == 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        at = strchr(at, ',') + 2;
    snprintf(name, name_n, "%.*s", (int)strcspn(at, ","), at);
    return rows[id].values[n];
}
