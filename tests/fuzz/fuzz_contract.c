/* The channel's messages, and a page full of lies. */
#include "common/contract.h"
#include "supervisor/board.h"

#include <stdlib.h>
#include <string.h>

static void receive(const uint8_t *data, size_t size)
{
    int fds[2];
    struct contract_message m;
    if (sys_socketpair(AF_UNIX, SOCK_SEQPACKET, fds) < 0)
        abort();
    if (size > 0 && sys_send(fds[0], data, size, 0) == (ssize_t)size) {
        int got = contract_receive(fds[1], &m);
        if (got == 1 && (size != sizeof m || m.version != CONTRACT_VERSION || strnlen(m.name, sizeof m.name) == sizeof m.name))
            abort();
    }
    sys_close(fds[0]);
    sys_close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct contract_page page;
    char reason[CONTRACT_REASON_BYTES];
    receive(data, size);
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
