/*
 * loader PORT streams N INTERVAL_US RAMP_MS WINDOW_MS     N streams of tokens at once
 * loader PORT requests N WINDOW_MS                        N kept connections, each with one small request after the other
 *
 * Says `begin` when all streams run and `end` when the window is over, so that whoever reads it can look at the
 * processor's time in between; then one line of JSON. Streams go on for a moment after the window, and each must come to
 * its end, with every token in it: what does not is an error. Delays are from the stamp in a token to the recv() that brought it.
 */
#include "bench.h"

enum { IN_BYTES = 4096, TAIL_MS = 300 };

struct connection {
    int fd;
    char in[IN_BYTES];
    size_t in_n;
    int64_t asked_ns;
    int64_t phase_us;
    long tokens_n;
    int has_begun, is_done, is_over;
};

struct samples {
    uint32_t *us10; /* tenths of a microsecond */
    size_t n, room_n;
};

static long port, connections_n, interval_us, tokens_wanted_n, errors_n, over_n, answers_n;
static int is_requests, epoll_fd;
static int64_t begin_ns, end_ns;
static struct samples delays, first_bytes;
static struct connection *connections;

static void add(struct samples *s, int64_t ns)
{
    if (s->n == s->room_n) {
        s->room_n = s->room_n ? s->room_n * 2 : 65536;
        s->us10 = realloc(s->us10, s->room_n * sizeof *s->us10);
        if (!s->us10)
            die("memory");
    }
    s->us10[s->n++] = ns < 0 ? 0 : (uint32_t)(ns / 100);
}

static void over(struct connection *c, const char *error)
{
    if (error && errors_n++ < 5)
        fprintf(stderr, "loader: %s, after %ld tokens\n", error, c->tokens_n);
    close(c->fd);
    c->fd = -1;
    c->is_over = 1;
    over_n++;
}

static void ask(struct connection *c)
{
    char body[256], out[768];
    int body_n = 0, out_n;
    if (!is_requests)
        body_n = snprintf(body, sizeof body,
                          "{\"model\":\"bench\",\"prompt\":\"x\",\"options\":{\"num_predict\":%ld,\"interval_us\":%ld,\"phase_us\":%lld}}",
                          tokens_wanted_n, interval_us, (long long)c->phase_us);
    if (is_requests)
        out_n = snprintf(out, sizeof out, "GET /api/version HTTP/1.1\r\nHost: localhost:%ld\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", port);
    else
        out_n = snprintf(out, sizeof out, "POST /api/generate HTTP/1.1\r\nHost: localhost:%ld\r\nUser-Agent: bench\r\nAccept: */*\r\n"
                         "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", port, body_n, body);
    c->asked_ns = now_ns();
    c->has_begun = 0;
    if (send(c->fd, out, (size_t)out_n, MSG_NOSIGNAL) != out_n)
        over(c, "the request could not be sent");
}

static void open_one(struct connection *c)
{
    c->fd = connect_or_die(port);
    watch_or_die(epoll_fd, EPOLL_CTL_ADD, c->fd, EPOLLOUT, c);
}

/* A line of a stream: of the head, a chunk's size, a token, or empty. */
static void take_line(struct connection *c, const char *line, size_t line_n, int64_t at_ns)
{
    static const char mark[] = "\"response\":\"";
    const char *stamp = *line == '{' ? memmem(line, line_n, mark, sizeof mark - 1) : NULL;
    if (stamp) {
        c->tokens_n++;
        if (at_ns >= begin_ns && at_ns < end_ns)
            add(&delays, at_ns - strtoll(stamp + sizeof mark - 1, NULL, 10));
        c->is_done = memmem(line, line_n, "\"done\":true", 11) != NULL;
    } else if (line_n == 2 && *line == '0') {
        over(c, c->is_done && c->tokens_n == tokens_wanted_n ? NULL : "a stream ended without all its tokens");
    }
}

static void take_lines(struct connection *c, int64_t at_ns)
{
    char *line = c->in, *end = c->in + c->in_n, *stop;
    while (c->fd >= 0 && (stop = memchr(line, '\n', (size_t)(end - line)))) {
        take_line(c, line, (size_t)(stop - line), at_ns);
        line = stop + 1;
    }
    c->in_n = (size_t)(end - line);
    memmove(c->in, line, c->in_n);
}

/* A small answer: complete with the last byte that its backend wrote. */
static void take_small(struct connection *c, int64_t at_ns)
{
    if (c->in[c->in_n - 1] != '}')
        return;
    c->in_n = 0;
    if (at_ns >= begin_ns && at_ns < end_ns) {
        answers_n++;
        add(&delays, at_ns - c->asked_ns);
    }
    ask(c);
}

static void on_readable(struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_n, sizeof c->in - c->in_n, 0);
    int64_t at_ns = now_ns();
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        over(c, "a connection ended early");
        return;
    }
    c->in_n += (size_t)n;
    if (!c->has_begun) {
        c->has_begun = 1;
        if (c->in_n < 12 || memcmp(c->in, "HTTP/1.1 200", 12) != 0) {
            over(c, "a status other than 200");
            return;
        }
        add(&first_bytes, at_ns - c->asked_ns);
    }
    if (is_requests)
        take_small(c, at_ns);
    else
        take_lines(c, at_ns);
}

static void on_event(struct connection *c, uint32_t events)
{
    if (c->is_over)
        return;
    if (c->asked_ns || (events & (EPOLLERR | EPOLLHUP))) {
        on_readable(c);
        return;
    }
    watch_or_die(epoll_fd, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
    ask(c);
}

static void turn(int64_t until_ns)
{
    struct epoll_event ready[BENCH_BATCH];
    int64_t left_ns = until_ns - now_ns();
    int n = epoll_wait(epoll_fd, ready, BENCH_BATCH, left_ns <= 0 ? 0 : (int)(left_ns / 1000000 + 1));
    for (int i = 0; i < n; i++)
        on_event(ready[i].data.ptr, ready[i].events);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void print_samples(const char *name, struct samples *s)
{
    static const double at[] = {0.5, 0.99, 0.999};
    static const char *const names[] = {"p50", "p99", "p999"};
    qsort(s->us10, s->n, sizeof *s->us10, compare);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        printf(",\"%s_%s_us\":%.1f", name, names[i],
               s->n ? (double)s->us10[(size_t)((double)(s->n - 1) * at[i])] / 10 : -1.0);
}

static void say(const char *word)
{
    printf("%s\n", word);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    is_requests = argc > 2 && strcmp(argv[2], "requests") == 0;
    if (argc != (is_requests ? 5 : 7)) {
        fprintf(stderr, "usage: loader PORT streams N INTERVAL_US RAMP_MS WINDOW_MS | PORT requests N WINDOW_MS\n");
        return 100;
    }
    port = number_or_die(argv[1]);
    connections_n = number_or_die(argv[3]);
    interval_us = is_requests ? 0 : number_or_die(argv[4]);
    int64_t ramp_ms = is_requests ? 200 : number_or_die(argv[5]), window_ms = number_or_die(argv[argc - 1]);
    if (!is_requests)
        tokens_wanted_n = 2 + (ramp_ms + window_ms + TAIL_MS) * 1000 / interval_us;
    connections = calloc((size_t)connections_n, sizeof *connections);
    epoll_fd = epoll_create1(0);
    if (!connections || epoll_fd < 0)
        die("memory, epoll_create1");
    int64_t start_ns = now_ns();
    begin_ns = start_ns + ramp_ms * 1000000;
    end_ns = begin_ns + window_ms * 1000000;
    /* In the first three quarters of the ramp, each in its turn, so that nobody waits in a queue of beginners. */
    for (long i = 0; i < connections_n; i++) {
        int64_t at_ns = start_ns + ramp_ms * 750000 / connections_n * i;
        while (now_ns() < at_ns)
            turn(at_ns);
        connections[i].phase_us = interval_us * (int64_t)((uint64_t)i * 2654435761u % 65536) / 65536; /* out of phase */
        open_one(&connections[i]);
    }
    while (now_ns() < begin_ns)
        turn(begin_ns);
    say("begin");
    while (now_ns() < end_ns)
        turn(end_ns);
    say("end");
    int64_t give_up_ns = end_ns + 10000000000 + 2 * interval_us * 1000;
    while (!is_requests && over_n < connections_n && now_ns() < give_up_ns)
        turn(give_up_ns);
    if (!is_requests)
        errors_n += connections_n - over_n;
    printf("{\"tokens\":%zu,\"requests\":%ld,\"errors\":%ld,\"window_ms\":%lld", is_requests ? 0 : delays.n, answers_n,
           errors_n, (long long)window_ms);
    print_samples("delay", &delays);
    print_samples("first_byte", &first_bytes);
    printf("}\n");
    return errors_n > 0;
}
