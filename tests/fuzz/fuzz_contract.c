/* The channel's messages, and a page full of lies. */
#include "common/contract.h"
#include "supervisor/board.h"
#include "supervisor/instances/start_request.h"

#include <stdlib.h>
#include <string.h>

static void receive(const uint8_t *data, size_t size)
{
    int fds[2];
    struct contract_message m;
    int fd = -1;
    if (sys_socketpair(AF_UNIX, SOCK_SEQPACKET, fds) < 0)
        abort();
    if (size > 0 && sys_send(fds[0], data, size, 0) == (ssize_t)size) {
        int got = size % 2 ? contract_receive(fds[1], &m) : contract_receive_fd(fds[1], &m, &fd);
        if (fd >= 0 || (got == 1 && (size != sizeof m || m.version != CONTRACT_VERSION || strnlen(m.name, sizeof m.name) == sizeof m.name ||
                                     strnlen(m.detail, sizeof m.detail) == sizeof m.detail)))
            abort();
    }
    sys_close(fds[0]);
    sys_close(fds[1]);
}

/* What of a message's detail is believed stays below the cache. */
static void read_detail(const uint8_t *data, size_t size)
{
    char detail[CONTRACT_DETAIL_BYTES] = "", why[START_REQUEST_WHY_BYTES], path[START_REQUEST_PATH_BYTES];
    struct start_request r;
    memcpy(detail, data, size < sizeof detail ? size : sizeof detail - 1);
    if (start_request_parse(detail, &r, why) < 0)
        return;
    if (strlen(r.revision) != START_REQUEST_REVISION_N || r.length_n < 1 || r.length_n > START_REQUEST_LENGTH_MAX || r.file[0] == '/' ||
        strncmp(r.file, "../", 3) == 0 || strstr(r.file, "/../") || start_request_path(&r, "/c", "o/n", path) < 0 ||
        strncmp(path, "/c/models--o--n/snapshots/", 26) != 0 || strchr(path + 26, '/'))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct contract_page page;
    char reason[CONTRACT_REASON_BYTES];
    receive(data, size);
    read_detail(data, size);
    if (size < 4)
        return 0;
    size_t at = ((size_t)data[0] << 8 | data[1]) * 8 % sizeof page; /* where in the page the lie is */
    size_t n = size - 2 < sizeof page - at ? size - 2 : sizeof page - at;
    memcpy((char *)&page + at, data + 2, n);
    for (size_t i = 0; i < CONTRACT_MODELS; i++) {
        struct contract_model_view view;
        contract_model_read(&page.models[i], &view);
        if (strnlen(view.name, sizeof view.name) == sizeof view.name || view.state > CONTRACT_MODEL_FAILED ||
            strnlen(view.reason, sizeof view.reason) == sizeof view.reason)
            abort();
    }
    for (size_t i = 0; i < CONTRACT_PROGRAMS; i++) {
        contract_program_read_reason(&page.programs[i], reason);
        if (strnlen(reason, sizeof reason) == sizeof reason)
            abort();
        (void)contract_state_name((enum contract_state)atomic_load(&page.programs[i].state));
    }
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++) {
        struct contract_instance_view view;
        contract_instance_read(&page.instances[i], &view);
        if (strnlen(view.model, sizeof view.model) == sizeof view.model || (unsigned)view.state >= CONTRACT_STATE_COUNT ||
            strnlen(view.reason, sizeof view.reason) == sizeof view.reason)
            abort();
    }
    (void)contract_find_program(&page, "ollama");
    struct board board = {.fd = -1, .page = &page};
    struct board_activity activity;
    board_activity(&board, 1000, &activity);
    if (activity.last_active_ms > 1000)
        abort();
    int line = board_take_line(&board);
    board_free_line(&board, line, 1000);
    memset((char *)&page + at, 0, n);
    return 0;
}
