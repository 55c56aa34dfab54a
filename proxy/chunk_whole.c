/* See chunk_whole.h. Pure; says yes only to what every parser reads in the same way. */
#include "proxy/chunk_whole.h"

static unsigned hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (unsigned)((c | 0x20) - 'a') + 10 : 16;
}

size_t chunk_whole(const char *bytes, size_t bytes_n, struct span *data)
{
    size_t at = 0, data_n = 0;
    for (unsigned digit; at < bytes_n && at < CHUNK_WHOLE_DIGITS && (digit = hex_value(bytes[at])) < 16; at++)
        data_n = data_n * 16 + digit;
    if (data_n == 0 || bytes_n - at < data_n + 4 || bytes[at] != '\r' || bytes[at + 1] != '\n')
        return 0;
    size_t end = at + 2 + data_n;
    *data = (struct span){(uint32_t)(at + 2), (uint32_t)data_n};
    return bytes[end] == '\r' && bytes[end + 1] == '\n' ? end + 2 : 0;
}
