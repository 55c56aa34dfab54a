/* What a client of the control socket sends, in two pieces. */
#include "supervisor/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static struct loop loop;
static struct control control;
static char path[64];

static int command(void *context, enum control_who who, const char *line, struct buf *reply)
{
    (void)context;
    if (who != CONTROL_OWNER)
        abort();
    if (strlen(line) >= CONTROL_LINE_BYTES || strchr(line, '\n'))
        abort();
    return buf_json_string(reply, line, strlen(line));
}

static void clean(void)
{
    control_fini(&control);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    snprintf(path, sizeof path, "/tmp/sidecar-fuzz-%d.sock", (int)getpid());
    if (loop_init(&loop) < 0 || control_init(&control, &loop, path, command, NULL) < 0)
        abort();
    atexit(clean);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (size < 1)
        return 0;
    size_t first_n = 1 + (size_t)data[0] * (size - 1) / 255;
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = sys_socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || sys_connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        abort();
    (void)loop_turn(&loop, 0);
    (void)!sys_send(fd, data + 1, first_n - 1, 0);
    (void)loop_turn(&loop, 0);
    (void)!sys_send(fd, data + first_n, size - first_n, 0);
    (void)loop_turn(&loop, 0);
    sys_close(fd);
    for (int i = 0; i < 3; i++)
        (void)loop_turn(&loop, 0);
    if (loop.watches.fds_n != 1)
        abort(); /* a client was forgotten */
    return 0;
}
