/* What proxies in front write, a field a line: what is told of the client is never at odds with itself, and what the backend
 * is told is well-formed again, whatever came, with our own word as the last. */
#include "proxy/tell.h"

#include <stdlib.h>
#include <string.h>

static struct networks trusted;

static struct message message_of(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "via"};
    struct message m;
    message_init(&m, 0);
    m.minor = 1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (buf_text(&m.text, names[i]) < 0)
            abort();
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t n = end ? (size_t)(end - data) - at : size - at, which = n > 0 ? data[at] % 5u : 0;
        struct span name = {0, (uint32_t)strlen(names[which])}, value = {(uint32_t)buf_size(&m.text), 0};
        for (size_t i = 0; i < which; i++)
            name.at += (uint32_t)strlen(names[i]);
        for (size_t i = 1; i < n; i++) /* as http1 lets it pass */
            if (data[at + i] != '\r' && data[at + i] != '\0' && buf_append(&m.text, data + at + i, 1) < 0)
                abort();
        value.n = (uint32_t)buf_size(&m.text) - value.at;
        if (message_add(&m, name, value) < 0)
            abort();
        at += n + 1;
    }
    return m;
}

static void check_once(const struct message *m, const char *peer_text)
{
    struct peer peer = {.is_trusted = 1};
    struct sender s, again;
    struct tell t;
    struct buf out;
    struct message told;
    buf_init(&out, 0);
    if (ip_parse(peer_text, strlen(peer_text), &peer.ip) < 0)
        abort();
    ip_text(&peer.ip, peer.text);
    peer.text_n = (unsigned char)strlen(peer.text);
    tell_init(&t, 1, 1);
    sender_read(&s, m, &peer, &trusted);
    if (s.is_forwarded || (s.is_loopback && !s.is_private) || (!s.is_known && (s.is_private || strcmp(s.client, "unknown") != 0)))
        abort();
    if (tell_backend(&t, &out, m, &s) < 0)
        abort();
    const char *field = memmem(buf_data(&out), buf_size(&out), "\r\nForwarded: ", 13);
    if (!field || buf_size(&out) < 2 || memcmp(buf_data(&out) + buf_size(&out) - 2, "\r\n", 2) != 0)
        abort();
    field += 13;
    /* Nobody trusts anybody but us: our own element, with the peer, is what counts. */
    struct networks nobody = {.items = NULL};
    message_init(&told, 0);
    if (buf_text(&told.text, "forwarded") < 0 || buf_append(&told.text, field, (size_t)(buf_data(&out) + buf_size(&out) - field) - 2) < 0 ||
        message_add(&told, (struct span){0, 9}, (struct span){9, (uint32_t)buf_size(&told.text) - 9}) < 0)
        abort();
    sender_read(&again, &told, &peer, &nobody);
    if (!again.is_known || strcmp(again.client, peer.text) != 0)
        abort();
    message_fini(&told);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[PARSE_WHY_BYTES];
    if (trusted.items_n == 0 && networks_add(&trusted, "private", why) < 0)
        abort();
    struct message m = message_of(data, size);
    check_once(&m, "10.0.0.1");
    check_once(&m, "fd00::1");
    message_fini(&m);
    return 0;
}
