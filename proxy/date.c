/* See date.h. */
#include "proxy/date.h"

#include <time.h>

int date_append(struct buf *head)
{
    char text[64];
    time_t now = (time_t)(sys_realtime_ms() / 1000);
    struct tm tm;
    gmtime_r(&now, &tm);
    size_t n = strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
    return buf_append(head, text, n);
}
