/*
 * emitter PORT: answers as Ollama does, with tokens that carry the time at which they were written.
 *
 * POST with options num_predict, interval_us and phase_us in its body: application/x-ndjson, chunked; the head and the
 * first token at once, the second after phase_us, each further one interval_us after the one before by the clock (a
 * late one does not shift the rest). One chunk and one write a token; "response" is CLOCK_MONOTONIC in nanoseconds.
 * To /api/chat what is said is in `message`; there the interval may also be the seed, which is all that a translated request keeps.
 * Anything else: a small answer with a length. Connections are kept. One thread; deadlines in a heap and one timerfd.
 */
#include "bench.h"

#include <sys/timerfd.h>

enum { REQUEST_BYTES = 4096 };

struct stream {
    int fd;
    char in[REQUEST_BYTES];
    size_t in_n;
    int64_t due_ns, interval_ns;
    long left_n;    /* tokens to come */
    int is_chat;    /* said in a message */
    size_t place_n; /* in the heap, from 1; 0: none is due */
};

static struct stream **heap;
static size_t heap_n, heap_room_n;
static int epoll_fd, timer_fd;
static int listener; /* its address marks the listening socket */

static void put(size_t place_n, struct stream *s)
{
    heap[place_n] = s;
    s->place_n = place_n;
}

static void sift(struct stream *s)
{
    size_t place_n = s->place_n;
    for (; place_n > 1 && heap[place_n / 2]->due_ns > s->due_ns; place_n /= 2)
        put(place_n, heap[place_n / 2]);
    for (size_t child_n; (child_n = place_n * 2) <= heap_n; place_n = child_n) {
        if (child_n < heap_n && heap[child_n + 1]->due_ns < heap[child_n]->due_ns)
            child_n++;
        if (heap[child_n]->due_ns >= s->due_ns)
            break;
        put(place_n, heap[child_n]);
    }
    put(place_n, s);
}

static void arm(struct stream *s)
{
    if (heap_n + 2 > heap_room_n) {
        heap_room_n = heap_room_n ? heap_room_n * 2 : 64;
        heap = realloc(heap, heap_room_n * sizeof *heap);
        if (!heap)
            die("memory");
    }
    put(++heap_n, s);
    sift(s);
}

static void disarm(struct stream *s)
{
    struct stream *last;
    if (!s->place_n)
        return;
    last = heap[heap_n--];
    if (last != s) {
        put(s->place_n, last);
        sift(last);
    }
    s->place_n = 0;
}

static void drop(struct stream *s)
{
    disarm(s);
    close(s->fd);
    s->fd = -1;
    free(s);
}

/* A reader that can't keep up with so little would spoil every figure: it is dropped, and the loader sees an error. */
static int send_all(struct stream *s, const char *bytes, size_t bytes_n)
{
    return send(s->fd, bytes, bytes_n, MSG_NOSIGNAL) == (ssize_t)bytes_n ? 0 : -1;
}

static int send_token(struct stream *s, const char *head)
{
    char line[256], out[1024];
    int is_last = --s->left_n == 0;
    int line_n = snprintf(line, sizeof line,
                          s->is_chat ? "{\"model\":\"bench\",\"created_at\":\"2026-01-01T00:00:00.000000000Z\",\"message\":{\"role\":\"assistant\",\"content\":\"%lld\"},\"done\":%s}\n"
                                     : "{\"model\":\"bench\",\"created_at\":\"2026-01-01T00:00:00.000000000Z\",\"response\":\"%lld\",\"done\":%s}\n",
                          (long long)now_ns(), is_last ? "true" : "false");
    int out_n = snprintf(out, sizeof out, "%s%x\r\n%s\r\n%s", head, (unsigned)line_n, line, is_last ? "0\r\n\r\n" : "");
    return send_all(s, out, (size_t)out_n);
}

static long option(const char *body, const char *name)
{
    const char *at = strstr(body, name);
    return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

static int answer(struct stream *s, const char *body)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
                               "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n";
    static const char small[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
                                "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 19\r\n\r\n{\"version\":\"0.9.5\"}";
    if (memcmp(s->in, "POST", 4) != 0)
        return send_all(s, small, sizeof small - 1);
    s->left_n = option(body, "\"num_predict\":");
    s->is_chat = strncmp(s->in, "POST /api/chat ", 15) == 0;
    s->interval_ns = option(body, "\"interval_us\":") * 1000;
    if (s->interval_ns == 0)
        s->interval_ns = option(body, "\"seed\":") * 1000;
    s->due_ns = now_ns() + option(body, "\"phase_us\":") * 1000;
    if (s->left_n < 1)
        s->left_n = 1;
    int error = send_token(s, head);
    if (!error && s->left_n > 0)
        arm(s);
    return error;
}

/* Where a request is complete: answers it. -1: the connection is of no more use. */
static int take_request(struct stream *s)
{
    s->in[s->in_n] = '\0';
    char *end = strstr(s->in, "\r\n\r\n");
    if (!end)
        return s->in_n == sizeof s->in - 1 ? -1 : 0;
    *end = '\0';
    const char *length = strcasestr(s->in, "\r\ncontent-length:");
    size_t head_n = (size_t)(end + 4 - s->in), body_n = length ? (size_t)strtol(length + 17, NULL, 10) : 0;
    *end = '\r';
    if (head_n + body_n >= sizeof s->in)
        return -1;
    if (s->in_n < head_n + body_n)
        return 0;
    s->in_n = 0; /* nobody here sends the next request before the answer's end */
    return answer(s, s->in + head_n);
}

static void on_readable(struct stream *s)
{
    ssize_t n = recv(s->fd, s->in + s->in_n, sizeof s->in - 1 - s->in_n, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    s->in_n += n > 0 ? (size_t)n : 0;
    if (n <= 0 || take_request(s) < 0)
        drop(s);
}

static void accept_all(int listen_fd)
{
    for (int fd; (fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        struct stream *s = calloc(1, sizeof *s);
        if (!s)
            die("memory");
        s->fd = fd;
        send_at_once(fd);
        watch_or_die(epoll_fd, EPOLL_CTL_ADD, fd, EPOLLIN, s);
    }
}

static void send_due(void)
{
    while (heap_n > 0 && heap[1]->due_ns <= now_ns()) {
        struct stream *s = heap[1];
        if (send_token(s, "") < 0) {
            disarm(s);
            shutdown(s->fd, SHUT_RDWR); /* its event drops it: it may stand in this turn's list */
        } else if (s->left_n == 0) {
            disarm(s);
        } else {
            s->due_ns += s->interval_ns;
            sift(s);
        }
    }
}

static void set_timer(void)
{
    struct itimerspec at = {{0, 0}, {0, 0}};
    if (heap_n > 0)
        at.it_value = (struct timespec){heap[1]->due_ns / 1000000000, heap[1]->due_ns % 1000000000};
    if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL) < 0)
        die("timerfd_settime");
}

int main(int argc, char **argv)
{
    struct epoll_event ready[BENCH_BATCH];
    if (argc != 2) {
        fprintf(stderr, "usage: emitter PORT\n");
        return 100;
    }
    int listen_fd = listen_or_die(number_or_die(argv[1]));
    epoll_fd = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (epoll_fd < 0 || timer_fd < 0)
        die("epoll_create1, timerfd_create");
    watch_or_die(epoll_fd, EPOLL_CTL_ADD, listen_fd, EPOLLIN, &listener);
    watch_or_die(epoll_fd, EPOLL_CTL_ADD, timer_fd, EPOLLIN, NULL);
    for (;;) {
        int n = epoll_wait(epoll_fd, ready, BENCH_BATCH, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr == &listener)
                accept_all(listen_fd);
            else if (ready[i].data.ptr)
                on_readable(ready[i].data.ptr);
        }
        send_due();
        set_timer();
    }
}
