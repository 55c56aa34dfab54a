/* What the lines of a head say. See fetch.h. */
#include "preload/hub/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int is_named(const char *line, size_t name_n, const char *name)
{
    return strlen(name) == name_n && strncasecmp(line, name, name_n) == 0;
}

/* A number of at most 18 digits; -1 where there is none. */
static int64_t number_at(const char *text, const char **end)
{
    size_t n = strspn(text, "0123456789");
    int64_t number = 0;
    *end = text + n;
    if (n == 0 || n > 18)
        return -1;
    for (size_t i = 0; i < n; i++)
        number = number * 10 + (text[i] - '0');
    return number;
}

/* `bytes 5-99/100`. RFC 9110 section 14.4 */
static void take_range(struct fetch_head *head, const char *value)
{
    const char *at;
    if (strncasecmp(value, "bytes ", 6) != 0)
        return;
    int64_t first = number_at(value + 6, &at);
    const char *slash = strchr(at, '/');
    if (first < 0 || *at != '-' || !slash)
        return;
    head->range_first = first;
    head->range_total = number_at(slash + 1, &at);
}

/* Parameters of a link: `; rel="next"`, or without the quotes, perhaps among other words. */
static int is_next(const char *text, size_t n)
{
    static const char word[] = "next";
    const char *rel = memmem(text, n, "rel=", 4);
    const char *at = rel ? memmem(rel, (size_t)(text + n - rel), word, sizeof word - 1) : NULL;
    return at && memchr(rel, ';', (size_t)(at - rel)) == NULL;
}

/* `<URL>; rel="next", …`. RFC 8288 */
static void take_link(struct fetch_head *head, const char *value)
{
    for (const char *at = strchr(value, '<'); at; at = strchr(at, '<')) {
        const char *end = strchr(++at, '>');
        if (!end)
            return;
        size_t parameters_n = strcspn(end, ",");
        if (end - at < FETCH_URL_BYTES && is_next(end, parameters_n)) {
            snprintf(head->next, sizeof head->next, "%.*s", (int)(end - at), at);
            return;
        }
        at = end;
    }
}

/* `"x"`, `W/"x"`: x. */
static void take_etag(char *out, size_t out_n, const char *value)
{
    if (strncmp(value, "W/", 2) == 0)
        value += 2;
    value += *value == '"';
    snprintf(out, out_n, "%.*s", (int)strcspn(value, "\""), value);
}

/* The number of `;NAME=NUMBER` in an item of a list; -1 where there is none. */
static int64_t parameter_of(const char *item, size_t item_n, char name)
{
    const char *end = item + item_n;
    for (const char *at = memchr(item, ';', item_n); at; at = memchr(at, ';', (size_t)(end - at))) {
        do {
            at++;
        } while (at < end && *at == ' ');
        if (end - at > 2 && at[0] == name && at[1] == '=')
            return number_at(at + 2, &at);
    }
    return -1;
}

/* `"api";r=0;t=55`: nothing is left of what may be asked, for 55 s. draft-ietf-httpapi-ratelimit-headers, as a hub sends it in the place of Retry-After. */
static void take_limit(struct fetch_head *head, const char *value)
{
    for (const char *item = value; *item; item += *item == ',') {
        size_t n = strcspn(item, ",");
        int64_t left_s = parameter_of(item, n, 't');
        if (parameter_of(item, n, 'r') == 0 && left_s >= 0 && left_s >= head->retry_after_s)
            head->retry_after_s = left_s + 1; /* it is rounded */
        item += n;
    }
}

static void take_retry_after(struct fetch_head *head, const char *value)
{
    const char *end;
    int64_t after_s = number_at(value, &end);
    if (after_s >= 0)
        head->retry_after_s = after_s > head->retry_after_s ? after_s : head->retry_after_s;
    else
        head->retry_at_s = (int64_t)curl_getdate(value, NULL);
}

void fetch_head_end(struct fetch_head *head, int64_t now_s)
{
    int64_t after_s = head->retry_at_s < 0 ? -1 : head->retry_at_s - (head->date_s >= 0 ? head->date_s : now_s);
    if (after_s > head->retry_after_s)
        head->retry_after_s = after_s;
    if (head->retry_after_s > FETCH_RETRY_AFTER_MAX_S)
        head->retry_after_s = FETCH_RETRY_AFTER_MAX_S;
}

/* All but the linked ETag, which is the hub's word on what a redirect leads to. */
static void forget(struct fetch_head *head)
{
    head->length = head->range_first = head->range_total = head->retry_after_s = head->retry_at_s = head->date_s = -1;
    head->is_encoded = 0;
    head->next[0] = head->error_code[0] = head->error_message[0] = '\0';
}

void fetch_head_line(struct fetch_head *head, const char *line, size_t line_n)
{
    char value[FETCH_URL_BYTES + 64];
    const char *colon = memchr(line, ':', line_n), *end;
    if (line_n >= 5 && strncmp(line, "HTTP/", 5) == 0) {
        forget(head);
        return;
    }
    if (!colon)
        return;
    size_t name_n = (size_t)(colon - line), n = line_n - name_n - 1;
    const char *at = colon + 1;
    for (; n > 0 && (*at == ' ' || *at == '\t'); n--)
        at++;
    while (n > 0 && (at[n - 1] == '\r' || at[n - 1] == '\n' || at[n - 1] == ' ' || at[n - 1] == '\t'))
        n--;
    if (n >= sizeof value || memchr(at, '\0', n))
        return;
    memcpy(value, at, n);
    value[n] = '\0';
    if (is_named(line, name_n, "content-length"))
        head->length = number_at(value, &end);
    else if (is_named(line, name_n, "content-range"))
        take_range(head, value);
    else if (is_named(line, name_n, "content-encoding"))
        head->is_encoded = strcasecmp(value, "identity") != 0;
    else if (is_named(line, name_n, "retry-after"))
        take_retry_after(head, value);
    else if (is_named(line, name_n, "ratelimit"))
        take_limit(head, value);
    else if (is_named(line, name_n, "date"))
        head->date_s = (int64_t)curl_getdate(value, NULL);
    else if (is_named(line, name_n, "link"))
        take_link(head, value);
    else if (is_named(line, name_n, "x-error-code"))
        snprintf(head->error_code, sizeof head->error_code, "%.*s", (int)sizeof head->error_code - 1, value);
    else if (is_named(line, name_n, "x-error-message"))
        snprintf(head->error_message, sizeof head->error_message, "%.*s", (int)sizeof head->error_message - 1, value);
    else if (is_named(line, name_n, "x-linked-etag") && !head->linked_etag[0])
        take_etag(head->linked_etag, sizeof head->linked_etag, value);
}

/* A part of a URL; the caller's curl_free. NULL where there is none. */
static char *part_of(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, flags) == CURLUE_OK ? text : NULL;
}

static int is_same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    char *left = part_of(a, part, CURLU_DEFAULT_PORT), *right = part_of(b, part, CURLU_DEFAULT_PORT);
    int is_same = left && right && strcasecmp(left, right) == 0;
    curl_free(left);
    curl_free(right);
    return is_same;
}

int fetch_is_same_origin(const char *a, const char *b)
{
    CURLU *left = curl_url(), *right = curl_url();
    int is_same = left && right && curl_url_set(left, CURLUPART_URL, a, 0) == CURLUE_OK && curl_url_set(right, CURLUPART_URL, b, 0) == CURLUE_OK &&
                  is_same_part(left, right, CURLUPART_SCHEME) && is_same_part(left, right, CURLUPART_HOST) && is_same_part(left, right, CURLUPART_PORT);
    curl_url_cleanup(left);
    curl_url_cleanup(right);
    return is_same;
}

int fetch_resolve(char out[FETCH_URL_BYTES], const char *base, const char *reference)
{
    CURLU *url = curl_url();
    char *text = NULL;
    int is_good = url && curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK && curl_url_set(url, CURLUPART_URL, reference, 0) == CURLUE_OK &&
                  (text = part_of(url, CURLUPART_URL, 0)) && strlen(text) < FETCH_URL_BYTES;
    snprintf(out, FETCH_URL_BYTES, "%s", is_good ? text : "");
    curl_free(text);
    curl_url_cleanup(url);
    return is_good ? 0 : -EINVAL;
}
