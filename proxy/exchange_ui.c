/*
 * See exchange_state.h. The page, and what belongs to it: GET /ui. Its files are packed once, when the program is built, and who takes no
 * gzip is told so. They need no right, as they are the same for everybody: what they show is asked for by whoever looks at them.
 */
#include "proxy/exchange_state.h"

#include "common/hash.h"
#include "proxy/accept.h"
#include "proxy/reply.h"
#include "proxy/ui_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TAG_BYTES = 24, LINES_BYTES = 1024 };

/* The page runs what comes from here, and nothing else; it asks nobody else, and stands in nobody else's frame.
 * https://www.w3.org/TR/CSP3/, https://html.spec.whatwg.org/#the-coep-headers */
static const char guard[] = "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
                            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
                            "X-Content-Type-Options: nosniff\r\n"
                            "X-Frame-Options: DENY\r\n"
                            "Referrer-Policy: no-referrer\r\n"
                            "Cross-Origin-Opener-Policy: same-origin\r\n"
                            "Cross-Origin-Resource-Policy: same-origin\r\n"
                            "Cache-Control: no-cache\r\n"
                            "Vary: Accept-Encoding\r\n";

/* Asked for again and again, as nothing is kept without a question: by what it is, so that a new build's is a new one. RFC 9110 section 8.8.3 */
static void write_tag(const struct ui_file *file, char tag[TAG_BYTES])
{
    uint64_t hash = hash_bytes(HASH_START, (const char *)file->bytes, file->bytes_n);
    snprintf(tag, TAG_BYTES, "\"%016" PRIx64 "\"", hash);
}

/* RFC 9110 section 13.1.2; a proxy in front may have made it a weak one. */
static int is_known(const struct message *m, const char *tag)
{
    char weak[TAG_BYTES + 2];
    snprintf(weak, sizeof weak, "W/%s", tag);
    return message_has_token(m, "if-none-match", tag) || message_has_token(m, "if-none-match", weak) || message_has_token(m, "if-none-match", "*");
}

static void send_file(struct exchange *x, const struct ui_file *file)
{
    char tag[TAG_BYTES], lines[LINES_BYTES];
    write_tag(file, tag);
    snprintf(lines, sizeof lines, "%sETag: %s\r\n", guard, tag);
    if (is_known(x->request, tag)) {
        reply_empty(&x->deliver, 304, lines);
    } else {
        snprintf(lines, sizeof lines, "%sETag: %s\r\nContent-Encoding: gzip\r\n", guard, tag);
        reply_bytes(&x->deliver, 200, file->type, (const char *)file->bytes, file->bytes_n, lines);
    }
    exchange_finish(x, EXCHANGE_CLEAN);
}

void exchange_answer_ui(struct exchange *x)
{
    const char *path = message_at(x->request, x->request->path);
    const struct ui_file *file = ui_files_find(path, x->request->path.n);
    if (x->request->path.n == 4) { /* /ui/, from which the page's links would lead elsewhere */
        reply_bytes(&x->deliver, 308, NULL, "", 0, "Location: ../ui\r\n");
        exchange_finish(x, EXCHANGE_CLEAN);
    } else if (!file) {
        exchange_fail(x, 404, "unknown_path", "the page has no such file; it is at /ui");
    } else if (!accept_takes_gzip(x->request)) {
        exchange_fail_with(x, 406, "not_acceptable", "the page is packed by gzip, which Accept-Encoding does not name: ask as `curl --compressed` does",
                           "Vary: Accept-Encoding\r\n");
    } else {
        send_file(x, file);
    }
}
