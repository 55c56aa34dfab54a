/*
 * prompt: what it costs to read a prompt, to count it, and to make a system prompt shorter, in ns a byte, from 1 KB to 10 MB; of texts as agents send them, and of such
 * as would be the worst for who looks for definitions without care. Where it is linear the columns are level. See bench/README.md.
 *
 * usage: prompt [LARGEST_BYTES]
 */
#include "bench/proxy/bench.h"

#include "proxy/prompt.h"
#include "proxy/truncate.h"

enum { SMALLEST = 1000, LARGEST = 10000000, STEP = 10, LEVEL_FROM = 100000, BUDGET = 8444, ROUNDS = 5, WORK_BYTES = 2000000 };

/* A text is made of the same piece again and again. */
static const struct kind {
    const char *name, *piece;
} kinds[] = {
    {"prose", "Always answer in full sentences, and say what you have done; größer ist nicht besser.\n"},
    {"an agent's tools", "## tool_%zu\nDescription: does this, and that where asked to.\nParameters:\n- path: (required) where\nUsage:\n<tool_%zu>\n<path>a</path>\n</tool_%zu>\n\n# Rules\n"
                         "Ask before you delete anything. Never guess a path. Paths are relative to where you are. Read a file before you change it.\n\n"},
    {"schemas", "{\"type\": \"function\", \"function\": {\"name\": \"tool_%zu\", \"description\": \"does this\", \"parameters\": {\"type\": \"object\", \"properties\": {}}}}\n"},
    {"one character", "x"},
    {"tags without an end", "\n<a_%zu>"},
    {"tags in tags", "<a_b>\n<c_d></a_b></c_d>"},
    {"braces without an end", "{\"a\":\n"},
    {"objects in objects", "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}}}}}}}}\n"},
    {"quotes without an end", "{\"\\\""},
    {"headings", "# Tools\n## a_b\n"},
    {"fences", "```\n````x\n"},
    {"blanks", " \t"},
};

static void append(struct buf *b, const char *text, size_t n)
{
    if (buf_append(b, text, n) < 0)
        die("buf_append");
}

/* n bytes of a kind; %zu in its piece is the piece's number. */
static void fill(struct buf *b, const struct kind *kind, size_t n)
{
    for (size_t number = 0; buf_size(b) < n; number++) {
        for (const char *at = kind->piece, *mark; *at; at = *mark ? mark + 3 : mark) {
            mark = strstr(at, "%zu");
            mark = mark ? mark : at + strlen(at);
            append(b, at, (size_t)(mark - at));
            if (*mark && buf_number(b, number) < 0)
                die("buf_number");
        }
    }
    buf_truncate(b, n);
}

/* A conversation with this text as its system prompt. */
static void wrap(struct buf *body, const struct buf *text)
{
    static const char head[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":", tail[] = "},{\"role\":\"user\",\"content\":\"Hello!\"}]}";
    append(body, head, sizeof head - 1);
    if (buf_json_string(body, buf_data(text), buf_size(text)) < 0)
        die("buf_json_string");
    append(body, tail, sizeof tail - 1);
}

static void read_once(const struct buf *text, const struct buf *body)
{
    struct prompt p;
    (void)text;
    if (prompt_read(&p, buf_data(body), buf_size(body)) < 0)
        die("prompt_read");
    prompt_fini(&p);
}

static void truncate_once(const struct buf *text, const struct buf *body)
{
    struct truncate_result r;
    struct buf out;
    (void)body;
    buf_init(&out, 0);
    if (truncate_prompt(buf_data(text), buf_size(text), BUDGET, &out, &r) < 0)
        die("truncate_prompt");
    buf_fini(&out);
}

/* The best of some rounds: what else the machine does only ever adds to it. */
static double ns_a_byte(void (*once)(const struct buf *, const struct buf *), const struct buf *text, const struct buf *body)
{
    size_t n = buf_size(text), times = n < WORK_BYTES ? WORK_BYTES / n : 1;
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = now_ns();
        for (size_t i = 0; i < times; i++)
            once(text, body);
        double took = (double)(now_ns() - start) / (double)times / (double)n;
        best = round == 0 || took < best ? took : best;
    }
    return best;
}

/* Two lines of the table. */
static void measure(const struct kind *kind, size_t largest)
{
    static const struct {
        const char *name;
        void (*once)(const struct buf *, const struct buf *);
    } works[] = {{"read, counted", read_once}, {"made shorter", truncate_once}};
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        double level = 0, last = 0;
        printf("| %s | %s |", kind->name, works[i].name);
        for (size_t n = SMALLEST; n <= largest; n *= STEP) {
            struct buf text, body;
            buf_init(&text, 0);
            buf_init(&body, 0);
            fill(&text, kind, n);
            wrap(&body, &text);
            last = ns_a_byte(works[i].once, &text, &body);
            level = n <= LEVEL_FROM ? last : level;
            printf(" %.2f |", last);
            fflush(stdout);
            buf_fini(&text);
            buf_fini(&body);
        }
        printf(" %.2f |\n", last / level);
    }
}

int main(int argc, char **argv)
{
    size_t largest = argc > 1 ? (size_t)number_or_die(argv[1]) : LARGEST, columns_n = 3;
    printf("| text | ns a byte |");
    for (size_t n = SMALLEST; n <= largest; n *= STEP, columns_n++)
        printf(" %zu KB |", n / 1000);
    printf(" the last to that of %d KB |\n", LEVEL_FROM / 1000);
    for (size_t i = 0; i < columns_n; i++)
        printf("|---");
    printf("|\n");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        measure(&kinds[i], largest);
    return 0;
}
