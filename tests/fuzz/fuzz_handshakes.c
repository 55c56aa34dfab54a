/* /proc/net/tcp, line by line, and what sock_diag(7) answers. The first byte says which. */
#include "supervisor/handshakes.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct handshakes_ports ports = {.ports = {11434, 80}, .n = 2}, none = {.n = 0};
    char *text = size > 0 ? malloc(size) : NULL;
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] & 1) {
        if (handshakes_answer(text, size - 1, &none) == HANDSHAKES_FOUND)
            abort();
        (void)handshakes_answer(text, size - 1, &ports);
    } else if (handshakes_line(text, &none) != 0 || (handshakes_line(text, &ports) & ~1)) {
        abort();
    }
    free(text);
    return 0;
}
