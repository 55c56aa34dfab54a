/* A file of the last load, as a stranger may have left it: what is taken for one is written as we would, and read again. */
#include "common/parse.h"
#include "proxy/last_load.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct last_load l, again;
    struct buf text;
    char why[PARSE_WHY_BYTES];
    int error = last_load_read(&l, (const char *)data, size);
    if (error) {
        if (error != -EINVAL || l.model[0] != '\0')
            abort();
        return 0;
    }
    if (parse_model_name(l.model, why) < 0 || l.options.set & ~(unsigned)LOAD_ALL_OPTIONS)
        abort();
    buf_init(&text, LAST_LOAD_BYTES);
    if (last_load_write(&l, &text) < 0 || last_load_read(&again, buf_data(&text), buf_size(&text)) < 0 || !last_load_equal(&l, &again))
        abort();
    buf_fini(&text);
    return 0;
}
