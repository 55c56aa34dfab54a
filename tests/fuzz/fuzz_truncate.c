/* A system prompt that is made shorter. The first two bytes: the budget; then the text, which definitions of tools are looked for in. */
#include "proxy/truncate.h"
#include "tests/fuzz/truncated.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tool_blocks blocks;
    struct truncate_result r;
    struct buf out;
    if (size < 2)
        return 0;
    size_t budget = (size_t)data[0] << 4 | data[1] >> 4, n = size - 2;
    char *text = malloc(n ? n : 1); /* ends where it ends */
    if (!text)
        abort();
    memcpy(text, data + 2, n);
    buf_init(&out, 0);
    if (tool_blocks_find(&blocks, text, n) < 0 || truncate_prompt(text, n, budget, &out, &r) < 0)
        abort();
    const char *mistake = truncated_mistake(&blocks, text, n, budget, &out, &r);
    if (mistake) {
        fprintf(stderr, "%s\n", mistake);
        abort();
    }
    buf_fini(&out);
    tool_blocks_fini(&blocks);
    free(text);
    return 0;
}
