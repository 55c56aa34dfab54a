/* The variables by which a child is handed its sockets, its page and its channel (sd_listen_fds(3), docs/contract.md): lines
 * NAME=value, SELF for our own pid. Behind them, after a byte 0x1e, the page. Some descriptors are what they should be. */
#include "common/contract.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE_FD = 7, CHANNEL_FD = 8, LISTEN_FD = 3 };

static const char *const names[] = {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "SIDECAR_PAGE_FD", "SIDECAR_PAGE_LINE", "SIDECAR_CHANNEL_FD",
                                    "SIDECAR_RUN", "SIDECAR_OLLAMA", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (int fd = LISTEN_FD; fd <= CHANNEL_FD + 3; fd++) /* so that the fuzzer's own files get others */
        if (dup2(STDERR_FILENO, fd) < 0)
            abort();
    return 0;
}

static void move_to(int from, int to)
{
    if (from != to && (dup2(from, to) < 0 || close(from) < 0))
        abort();
}

static void prepare(const uint8_t *page, size_t page_n)
{
    int fds[2];
    for (int fd = LISTEN_FD; fd <= CHANNEL_FD + 3; fd++)
        (void)close(fd);
    move_to(sys_socket(AF_UNIX, SOCK_STREAM, 0), LISTEN_FD);
    int memory = memfd_create("page", 0);
    if (memory < 0 || ftruncate(memory, page_n % 2 ? (off_t)page_n : (off_t)sizeof(struct contract_page)) < 0 ||
        pwrite(memory, page, page_n, 0) != (ssize_t)page_n)
        abort();
    move_to(memory, PAGE_FD);
    if (sys_socketpair(AF_UNIX, SOCK_SEQPACKET, fds) < 0)
        abort();
    move_to(fds[1], CHANNEL_FD + 3);
    move_to(fds[0], CHANNEL_FD);
}

static void set_variables(char *text)
{
    char self[16];
    snprintf(self, sizeof self, "%d", (int)getpid());
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unsetenv(names[i]);
    for (char *rest = NULL, *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *value = strchr(line, '=');
        for (size_t i = 0; value && i < sizeof names / sizeof *names; i++)
            if (strncmp(line, names[i], (size_t)(value - line)) == 0 && strlen(names[i]) == (size_t)(value - line))
                (void)setenv(names[i], strcmp(value + 1, "SELF") == 0 ? self : value + 1, 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *mark = memchr(data, 0x1e, size);
    size_t text_n = mark ? (size_t)(mark - data) : size;
    char *text = malloc(text_n + 1);
    struct contract c;
    if (!text)
        return 0;
    memcpy(text, data, text_n);
    text[text_n] = '\0';
    prepare(mark ? mark + 1 : data, mark ? size - text_n - 1 : 0);
    set_variables(text);
    int error = contract_adopt(&c);
    if (error && (c.page || c.line || c.listen_fds_n || c.channel_fd != -1 || c.notify_path))
        abort();
    if (!error && (c.listen_fds_n < 0 || c.watchdog_ms < 0 || (c.page == NULL) != (c.line == NULL)))
        abort();
    if (!error && c.line && (c.line < c.page->lines || c.line >= c.page->lines + CONTRACT_LINES))
        abort();
    for (int i = 0; !error && i < c.listen_fds_n; i++)
        if (!(fcntl(LISTEN_FD + i, F_GETFD) & FD_CLOEXEC))
            abort();
    if (getenv("SIDECAR_PAGE_FD") || getenv("LISTEN_FDS"))
        abort(); /* children of ours would take them for theirs */
    contract_release(&c);
    free(text);
    return 0;
}
