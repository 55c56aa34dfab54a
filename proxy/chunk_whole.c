/* See chunk_whole.h. Pure; says yes only to what every parser reads in the same way. */
#include "proxy/chunk_whole.h"

#include "common/parse.h"

size_t chunk_whole(const char *bytes, size_t bytes_n, struct span *data)
{
    size_t at = 0, data_n = 0;
    for (int digit; at < bytes_n && at < CHUNK_WHOLE_DIGITS && (digit = parse_hex_digit(bytes[at])) >= 0; at++)
        data_n = data_n * 16 + (size_t)digit;
    if (data_n == 0 || bytes_n - at < data_n + 4 || bytes[at] != '\r' || bytes[at + 1] != '\n')
        return 0;
    size_t end = at + 2 + data_n;
    *data = (struct span){(uint32_t)(at + 2), (uint32_t)data_n};
    return bytes[end] == '\r' && bytes[end + 1] == '\n' ? end + 2 : 0;
}
