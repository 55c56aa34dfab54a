/* sd_notify(3) messages by a real socket. */
#include "supervisor/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static struct loop loop;
static struct notify notify;
static int fd = -1;

static void said(void *context, pid_t pid, const char *name, const char *value)
{
    (void)context;
    if (pid != getpid() || strchr(name, '=') || strchr(name, '\n') || strchr(value, '\n') ||
        strlen(name) + strlen(value) >= NOTIFY_MESSAGE_BYTES)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)argc;
    (void)argv;
    if (loop_init(&loop) < 0 || notify_init(&notify, &loop, said, NULL) < 0)
        abort();
    size_t path_n = strlen(notify.path);
    memcpy(to.sun_path, notify.path, path_n);
    to.sun_path[0] = '\0';
    fd = sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0 || sys_connect(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_n)) < 0)
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sys_send(fd, data, size, 0) == (ssize_t)size && loop_turn(&loop, 0) < 0)
        abort();
    return 0;
}
