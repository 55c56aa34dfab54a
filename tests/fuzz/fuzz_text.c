/* Bytes of others as a JSON string, and for a terminal. */
#include "common/buf.h"
#include "common/network.h"
#include "common/redis_url.h"

#include <stdlib.h>
#include <string.h>

static void parse_all(const char *text)
{
    char why[PARSE_WHY_BYTES], path[64];
    struct address a;
    struct sockaddr_storage at;
    socklen_t at_n;
    struct list l = {0};
    int64_t number;
    int value;
    if (parse_duration_ms(text, 0, 1000, &number, why) == 0 && (number < 0 || number > 1000))
        abort();
    if (parse_size_bytes(text, 0, 1000, &number, why) == 0 && (number < 0 || number > 1000))
        abort();
    if (parse_integer(text, 5, 1000, &number, why) == 0 && (number < 5 || number > 1000))
        abort();
    if (parse_ollama_keep_alive_ms(text) < -1)
        abort();
    if (parse_word(text, "a|b|cc", &value, why) == 0 && (value < 0 || value > 2))
        abort();
    (void)!parse_bool(text, &value, why);
    (void)!parse_signal(text, &value, why);
    if (parse_address(text, &a, why) == 0 && a.port == 0)
        abort();
    (void)!parse_backend(text, &a, why);
    (void)!parse_http_url(text, &a, path, sizeof path, why);
    struct url url;
    if (parse_url(text, &url, why) == 0 && (!url.address.host[0] || url.address.port == 0 || url.path < text || url.path + url.path_n > text + strlen(text) ||
                                            (url.path_n > 0 && (url.path[0] != '/' || url.path[url.path_n - 1] == '/'))))
        abort();
    struct redis_url redis;
    if (redis_url_parse(text, &redis, why) == 0 && !redis.address.host[0] == !redis.path[0])
        abort();
    parse_ollama_host(text, &a);
    (void)!address_to_sockaddr(&a, &at, &at_n);
    (void)address_is_loopback(&a);
    struct networks networks = {.items = NULL};
    if (networks_add(&networks, text, why) == 0 && (networks.items_n == 0 || !networks_hold(&networks, &networks.items[0].first)))
        abort();
    networks_fini(&networks);
    if (parse_command(text, &l, why) == 0)
        list_fini(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf b;
    buf_init(&b, 0);
    if (buf_json_string(&b, (const char *)data, size) < 0)
        abort();
    const unsigned char *s = (const unsigned char *)buf_data(&b);
    for (size_t i = 0; i < buf_size(&b); i++)
        if (s[i] < 0x20 || s[i] == 0x7f || (i + 1 < buf_size(&b) && s[i] == 0xc2 && s[i + 1] == 0x85))
            abort();
    buf_fini(&b);
    int64_t ns;
    (void)!parse_go_duration_ns((const char *)data, size, &ns);
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    parse_all(text);
    buf_neutralise(text);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
            abort();
    free(text);
    return 0;
}
