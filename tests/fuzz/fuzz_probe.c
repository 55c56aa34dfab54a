/* What a probed server answers, in two pieces. */
#include "supervisor/probe.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static struct loop loop;
static struct probe probe;
static struct probe_room room;
static struct address address;
static int listener = -1, is_answered;

static void answered(void *context, int is_good)
{
    (void)context;
    if (!is_good) /* that is not told while it waits for readiness */
        abort();
    is_answered = 1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage name;
    socklen_t name_n;
    (void)argc;
    (void)argv;
    if (loop_init(&loop) < 0 || (listener = sys_socket(AF_INET, SOCK_STREAM, 0)) < 0 ||
        sys_bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || sys_listen(listener, 16) < 0 ||
        sys_socket_name(listener, &name, &name_n) < 0)
        abort();
    address_from_sockaddr(&name, &address);
    probe_init(&probe, &loop, &room, answered, NULL);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_storage peer;
    socklen_t peer_n;
    int client = -1;
    if (size < 1)
        return 0;
    size_t first_n = 1 + (size_t)data[0] * (size - 1) / 255; /* where it is cut */
    is_answered = 0;
    probe_start(&probe, &address, "/api/tags", "\"models\"");
    for (int i = 0; i < 10 && client < 0; i++) {
        (void)loop_turn(&loop, 5);
        client = sys_accept(listener, &peer, &peer_n);
    }
    if (client < 0)
        abort();
    (void)sys_reset_on_close(client); /* thousands a second would use up the ports */
    (void)loop_turn(&loop, 0);
    (void)!sys_send(client, data + 1, first_n - 1, 0);
    (void)loop_turn(&loop, 0);
    (void)!sys_send(client, data + first_n, size - first_n, 0);
    (void)loop_turn(&loop, 0);
    sys_close(client);
    (void)loop_turn(&loop, 0);
    if (is_answered && (!memmem(data, size, " 200", 4) || !memmem(data, size, "\"models\"", 8)))
        abort();
    probe_stop(&probe);
    return 0;
}
