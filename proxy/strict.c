/*
 * See strict.h. llhttp is lenient where servers once were; whatever two programs could read in two ways is
 * refused here, before it can reach the backend. Nothing is repaired. The scanners keep their place between
 * calls, so that a message gives the same verdict however it is cut.
 */
#include "proxy/strict.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

enum { LENGTH_DIGITS_MAX = 18, PORT_DIGITS_MAX = 5, PORT_MAX = 65535 };

static int refuse(struct strict_refusal *refusal, int status, const char *why)
{
    *refusal = (struct strict_refusal){status, why};
    return -EPROTO;
}

static enum strict_verdict bad(struct strict_refusal *refusal, const char *why)
{
    (void)refuse(refusal, 400, why);
    return STRICT_BAD;
}

/* Sets of bytes, a bit for each: asked for each byte of each name. Letters and digits, and !#$%&'*+-.^_`|~ (tchar of RFC
 * 9110 section 5.6.2) or -._~ (of a host's name). */
static const uint32_t token_chars[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};
static const uint32_t host_chars[8] = {0, 0x03ff6000, 0x87fffffe, 0x47fffffe};

static int is_in(const uint32_t set[8], char byte)
{
    unsigned char c = (unsigned char)byte;
    return set[c >> 5] >> (c & 31) & 1;
}

int strict_is_token_char(char byte)
{
    return is_in(token_chars, byte);
}

/* What may stand anywhere in a line but at its start. */
static int is_plain(unsigned char c, unsigned char last_plain)
{
    return c >= 0x20 && c <= last_plain && c != 0x7f;
}

#define EACH_BYTE(value) (UINT64_MAX / 0xff * (value))

/* How many plain bytes there are in front: eight at a time, then one by one. A high bit is set where a byte is below 0x20, is
 * 0x7f, or beyond ASCII; the first of them is exact, as borrowing begins there. */
static size_t plain_run(const char *bytes, size_t bytes_n, unsigned char last_plain)
{
    const uint64_t high = EACH_BYTE(0x80), refused = last_plain < 0x80 ? high : 0;
    size_t i = 0;
    for (uint64_t eight; bytes_n - i >= sizeof eight; i += sizeof eight) {
        memcpy(&eight, bytes + i, sizeof eight);
        eight = le64toh(eight); /* the first byte is the lowest */
        uint64_t delete = eight ^ EACH_BYTE(0x7f);
        uint64_t odd = ((eight - EACH_BYTE(0x20)) & ~eight & high) | ((delete - EACH_BYTE(1)) & ~delete & high);
        odd |= eight & refused;
        if (odd)
            return i + (size_t)__builtin_ctzll(odd) / 8;
    }
    while (i < bytes_n && is_plain((unsigned char)bytes[i], last_plain))
        i++;
    return i;
}

enum strict_verdict strict_head_scan(struct strict_head *s, const char *bytes, size_t bytes_n, size_t *used_n,
                                     struct strict_refusal *refusal)
{
    size_t i = 0;
    unsigned char last_plain = s->is_obs_text_allowed ? 0xff : 0x7e;
    *used_n = 0;
    while (i < bytes_n) {
        if (s->line_n > 0 && !s->has_cr) { /* within a line nearly all bytes are plain */
            size_t run_n = plain_run(bytes + i, bytes_n - i, last_plain);
            i += run_n;
            s->line_n += run_n;
            if (bytes_n - i >= 2 && bytes[i] == '\r' && bytes[i + 1] == '\n') {
                i += 2;
                s->line_n = 0;
                s->lines_n++;
            }
            *used_n = i;
            if (i == bytes_n)
                break;
        }
        unsigned char c = (unsigned char)bytes[i++];
        *used_n = i;
        if (s->has_cr && c != '\n')
            return bad(refusal, "a carriage return without a line feed");
        if (c == '\n') {
            if (!s->has_cr)
                return bad(refusal, "a line feed without a carriage return");
            s->has_cr = 0;
            if (s->line_n == 0)
                return STRICT_END;
            s->line_n = 0;
            s->lines_n++;
            continue;
        }
        if (c == '\r') {
            s->has_cr = 1;
            continue;
        }
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return bad(refusal, "a control character in the header");
        if (c >= 0x80 && !s->is_obs_text_allowed)
            return bad(refusal, "a byte beyond ASCII in the header");
        if (s->line_n == 0 && (c == ' ' || c == '\t'))
            return bad(refusal, "a header line that starts with white space");
        s->line_n++;
    }
    return STRICT_MORE;
}

/* http://AUTHORITY/PATH: sets the authority, and the target to what follows it. */
static int absolute_form(struct message *m, struct strict_refusal *refusal)
{
    const char *target = message_at(m, m->target);
    size_t scheme_n = 0;
    if (m->target.n > 7 && text_is(target, 7, "http://"))
        scheme_n = 7;
    else if (m->target.n > 8 && text_is(target, 8, "https://"))
        scheme_n = 8;
    else
        return refuse(refusal, 400, "the target is neither a path nor an http URL");
    size_t end = scheme_n;
    while (end < m->target.n && target[end] != '/' && target[end] != '?')
        end++;
    if (end == scheme_n)
        return refuse(refusal, 400, "the target URL has no host");
    if (end == m->target.n || target[end] == '?')
        return refuse(refusal, 400, "the target URL has no path");
    m->authority = (struct span){m->target.at + (uint32_t)scheme_n, (uint32_t)(end - scheme_n)};
    m->target.at += (uint32_t)end;
    m->target.n -= (uint32_t)end;
    return 0;
}

static int split_target(struct message *m, struct strict_refusal *refusal)
{
    const char *target = message_at(m, m->target);
    for (size_t i = 0; i < m->target.n; i++)
        if (target[i] == '#' || (unsigned char)target[i] <= 0x20)
            return refuse(refusal, 400, "the target holds a character that it must not");
    if (m->target.n == 0)
        return refuse(refusal, 400, "the request line has no target");
    if (*target == '*' && m->target.n == 1)
        return refuse(refusal, 400, "the target * is not served");
    if (*target != '/') {
        int error = absolute_form(m, refusal);
        if (error)
            return error;
        target = message_at(m, m->target);
    }
    const char *mark = memchr(target, '?', m->target.n);
    size_t path_n = mark ? (size_t)(mark - target) : m->target.n;
    m->path = (struct span){m->target.at, (uint32_t)path_n};
    m->query = (struct span){m->target.at + (uint32_t)path_n, m->target.n - (uint32_t)path_n};
    return 0;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_version(const char *text, size_t n) /* RFC 9112 section 2.3 */
{
    return n == 8 && memcmp(text, "HTTP/", 5) == 0 && is_digit(text[5]) && text[6] == '.' && is_digit(text[7]);
}

int strict_request_line(struct message *m, struct strict_refusal *refusal)
{
    const char *text = buf_data(&m->text);
    const char *end = memchr(text, '\r', buf_size(&m->text));
    size_t line_n = end ? (size_t)(end - text) : 0;
    const char *space = memchr(text, ' ', line_n);
    size_t method_n = space ? (size_t)(space - text) : 0;
    if (method_n == 0)
        return refuse(refusal, 400, "the first line is no HTTP request");
    for (size_t i = 0; i < method_n; i++)
        if (!is_in(token_chars, text[i]))
            return refuse(refusal, 400, "the first line is no HTTP request");
    size_t at = method_n + 1;
    const char *second = memchr(text + at, ' ', line_n - at);
    if (!second)
        return refuse(refusal, 400, "the request line has no HTTP version");
    size_t target_n = (size_t)(second - text) - at;
    const char *version = second + 1;
    size_t version_n = line_n - at - target_n - 1;
    if (!is_version(version, version_n))
        return refuse(refusal, 400, "the request line does not end with an HTTP version");
    if (version[5] == '2')
        return refuse(refusal, 505, "HTTP/2 is not spoken here; use HTTP/1.1");
    if (memcmp(version, "HTTP/1.0", 8) != 0 && memcmp(version, "HTTP/1.1", 8) != 0)
        return refuse(refusal, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    m->minor = (unsigned)(version[7] - '0');
    m->method_name = (struct span){0, (uint32_t)method_n};
    m->method = method_from_name(text, method_n);
    if (text_is(text, method_n, "CONNECT"))
        return refuse(refusal, 405, "CONNECT is not offered: this is no general proxy");
    m->target = (struct span){(uint32_t)at, (uint32_t)target_n};
    return split_target(m, refusal);
}

int strict_status_line(struct message *m, struct strict_refusal *refusal)
{
    enum { STATUS_AT = 9, STATUS_END = 12 };
    const char *text = buf_data(&m->text);
    const char *end = memchr(text, '\r', buf_size(&m->text));
    size_t line_n = end ? (size_t)(end - text) : 0;
    int status = 0;
    if (line_n < STATUS_END || (memcmp(text, "HTTP/1.1 ", STATUS_AT) != 0 && memcmp(text, "HTTP/1.0 ", STATUS_AT) != 0))
        return refuse(refusal, 400, "its first line is not HTTP/1.1 STATUS");
    for (size_t i = STATUS_AT; i < STATUS_END; i++) {
        if (!is_digit(text[i]))
            return refuse(refusal, 400, "its status is not a number of three digits");
        status = status * 10 + (text[i] - '0');
    }
    if (line_n > STATUS_END && text[STATUS_END] != ' ')
        return refuse(refusal, 400, "its status is not a number of three digits");
    if (status < 100 || status > 599)
        return refuse(refusal, 400, "its status is not one of 100 to 599");
    if (status == 101)
        return refuse(refusal, 400, "it changes to a protocol that nobody asked for");
    m->minor = (unsigned)(text[7] - '0');
    m->status = status;
    return 0;
}

/* Content_Length and the like: to some programs that is the same name. */
static int is_framing_in_disguise(const char *name, size_t n)
{
    static const char *const names[] = {"content-length", "transfer-encoding"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (n != strlen(names[i]) || !memchr(name, '_', n))
            continue;
        size_t same_n = 0;
        while (same_n < n && ((name[same_n] | 0x20) == names[i][same_n] || (name[same_n] == '_' && names[i][same_n] == '-')))
            same_n++;
        if (same_n == n)
            return 1;
    }
    return 0;
}

int strict_field_lines(const struct message *m, struct strict_refusal *refusal)
{
    const char *at = buf_data(&m->text), *end = at + buf_size(&m->text);
    at = memchr(at, '\n', (size_t)(end - at));
    for (at = at ? at + 1 : end; at < end && *at != '\r';) {
        const char *line = at;
        while (at < end && is_in(token_chars, *at))
            at++;
        if (at == line || at == end || *at != ':')
            return refuse(refusal, 400, "a header line is not NAME: VALUE");
        if (is_framing_in_disguise(line, (size_t)(at - line)))
            return refuse(refusal, 400, "Content_Length or Transfer_Encoding: write it with a hyphen");
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : end;
    }
    return 0;
}

/* A Content-Length: digits only, once. RFC 9112 section 6.3 */
static int read_length(struct message *m, struct strict_refusal *refusal)
{
    int place = message_find(m, "content-length", 0);
    m->length_bytes = -1;
    if (place < 0)
        return 0;
    if (message_find(m, "content-length", (size_t)place + 1) >= 0)
        return refuse(refusal, 400, "more than one Content-Length");
    struct span value = m->fields[place].value;
    const char *digits = message_at(m, value);
    if (value.n == 0 || value.n > LENGTH_DIGITS_MAX)
        return refuse(refusal, 400, "Content-Length is no number");
    int64_t length = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (!is_digit(digits[i]))
            return refuse(refusal, 400, "Content-Length is no number");
        length = length * 10 + (digits[i] - '0');
    }
    m->length_bytes = length;
    return 0;
}

/* The whole of Transfer-Encoding must be one word, chunked: what else is there has been used for smuggling only. */
static int read_transfer_encoding(struct message *m, struct strict_refusal *refusal)
{
    int place = message_find(m, "transfer-encoding", 0);
    m->is_chunked = 0;
    if (place < 0)
        return 0;
    struct span value = m->fields[place].value;
    const char *at = message_at(m, value);
    if (message_find(m, "transfer-encoding", (size_t)place + 1) >= 0 || !text_is(at, value.n, "chunked"))
        return refuse(refusal, 400, "Transfer-Encoding must be chunked and nothing else");
    if (at[-1] == '\t' || at[value.n] == '\t')
        return refuse(refusal, 400, "a tab around Transfer-Encoding's value");
    if (m->minor == 0)
        return refuse(refusal, 400, "HTTP/1.0 has no Transfer-Encoding");
    m->is_chunked = 1;
    return 0;
}

static int read_framing(struct message *m, struct strict_refusal *refusal)
{
    int error = read_length(m, refusal);
    if (!error)
        error = read_transfer_encoding(m, refusal);
    if (!error && m->is_chunked && m->length_bytes >= 0)
        error = refuse(refusal, 400, "Content-Length and Transfer-Encoding together");
    m->is_keep_alive = m->minor == 0 ? message_has_token(m, "connection", "keep-alive") : 1;
    if (message_has_token(m, "connection", "close"))
        m->is_keep_alive = 0;
    return error;
}

/* `:PORT`, `:`, or nothing. RFC 3986 section 3.2.3 */
static int is_port(const char *text, size_t n)
{
    unsigned port = 0;
    if (n == 0)
        return 1;
    if (*text != ':' || n > PORT_DIGITS_MAX + 1)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if (!is_digit(text[i]))
            return 0;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port <= PORT_MAX;
}

/* NAME, NAME:PORT, [V6], [V6]:PORT, or nothing at all. RFC 9110 section 7.2; what RFC 3986 section 3.2.2 permits beyond
 * that, no name of a host has. */
static int is_authority(const char *text, size_t n)
{
    size_t at = 0;
    if (n == 0)
        return 1;
    if (*text == '[') {
        for (at = 1; at < n && text[at] != ']'; at++)
            if (!is_in(host_chars, text[at]) && text[at] != ':' && text[at] != '%')
                return 0;
        return at > 1 && at < n && is_port(text + at + 1, n - at - 1);
    }
    while (at < n && is_in(host_chars, text[at]))
        at++;
    return at > 0 && is_port(text + at, n - at);
}

static int read_host(struct message *m, struct strict_refusal *refusal)
{
    int place = message_find(m, "host", 0);
    if (place < 0 && m->minor > 0)
        return refuse(refusal, 400, "HTTP/1.1 needs a Host header");
    if (place >= 0 && message_find(m, "host", (size_t)place + 1) >= 0)
        return refuse(refusal, 400, "more than one Host header");
    if (place >= 0 && m->authority.n == 0)
        m->authority = m->fields[place].value;
    if (place >= 0 && !is_authority(message_at(m, m->fields[place].value), m->fields[place].value.n))
        return refuse(refusal, 400, "Host is not NAME or NAME:PORT");
    if (!is_authority(message_at(m, m->authority), m->authority.n))
        return refuse(refusal, 400, "the target's host is not NAME or NAME:PORT");
    return 0;
}

int strict_request_fields(struct message *m, struct strict_refusal *refusal)
{
    int error = read_framing(m, refusal);
    if (!error)
        error = read_host(m, refusal);
    if (error)
        return error;
    if (m->minor == 0) /* RFC 9110 section 10.1.1 */
        return 0;
    for (int place = message_find(m, "expect", 0); place >= 0; place = message_find(m, "expect", (size_t)place + 1)) {
        if (!message_is(m, m->fields[place].value, "100-continue"))
            return refuse(refusal, 417, "only Expect: 100-continue is understood");
        m->is_continue_expected = 1;
    }
    return 0;
}

int strict_answer_fields(struct message *m, struct strict_refusal *refusal)
{
    return read_framing(m, refusal);
}
