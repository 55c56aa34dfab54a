/* What a machine's API answers, in two pieces: one end is told, in a text that may stand in a log. */
#include "supervisor/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static struct loop loop;
static struct machine machine;
static char path[64];
static int listener = -1, told_n, is_yes;

static void told(void *context, const char *why)
{
    (void)context;
    told_n++;
    is_yes = *why == '\0';
    for (const char *c = why; *c; c++)
        if ((unsigned char)*c < ' ' || *c == '"' || *c == 0x7f)
            abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)argc;
    (void)argv;
    snprintf(path, sizeof path, "/tmp/fuzz-machine-%d", (int)getpid());
    unlink(path);
    memcpy(at.sun_path, path, strlen(path));
    if (loop_init(&loop) < 0 || (listener = sys_socket(AF_UNIX, SOCK_STREAM, 0)) < 0 ||
        sys_bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || sys_listen(listener, 16) < 0)
        abort();
    machine_init(&machine, &loop, told, NULL);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_storage peer;
    socklen_t peer_n;
    if (size < 1)
        return 0;
    size_t first_n = 1 + (size_t)data[0] * (size - 1) / 255; /* where it is cut */
    told_n = is_yes = 0;
    if (machine_ask(&machine, path, "app", "id", 1000) < 0)
        abort();
    (void)loop_turn(&loop, 0);
    int api = sys_accept(listener, &peer, &peer_n);
    if (api < 0)
        abort();
    (void)!sys_send(api, data + 1, first_n - 1, 0);
    (void)loop_turn(&loop, 0);
    (void)!sys_send(api, data + first_n, size - first_n, 0);
    (void)loop_turn(&loop, 0);
    sys_close(api);
    for (int i = 0; i < 16 && told_n == 0; i++)
        (void)loop_turn(&loop, 0);
    if (told_n != 1 || machine.fd >= 0 || (is_yes && !memmem(data, size, " 2", 2)))
        abort();
    return 0;
}
