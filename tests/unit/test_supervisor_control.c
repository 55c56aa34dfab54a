/* supervisor/control: the socket, its clients, and what they may send. */
#include "supervisor/control.h"

#include "tests/unit/scratch.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct scratch scratch;
static struct loop loop;
static struct control control;
static char path[SCRATCH_PATH_BYTES];
static char asked[CONTROL_LINE_BYTES];
static unsigned asked_n;
static enum control_who asked_by;
static size_t reply_n; /* 0: the line again */
static int reply_error;

static int command(void *context, enum control_who who, const char *line, struct buf *reply)
{
    assert_ptr_equal(context, &control);
    asked_n++;
    asked_by = who;
    snprintf(asked, sizeof asked, "%s", line);
    for (size_t i = 0; i < reply_n; i++)
        if (buf_text(reply, "r") < 0)
            return -ENOMEM;
    return reply_error ? reply_error : reply_n ? 0 : buf_text(reply, line);
}

static int setup(void **state)
{
    (void)state;
    scratch_init(&scratch);
    scratch_path(&scratch, "c.sock", path);
    asked[0] = '\0';
    asked_n = 0;
    reply_n = 0;
    reply_error = 0;
    return loop_init(&loop) < 0 || control_init(&control, &loop, path, command, &control) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    control_fini(&control);
    loop_fini(&loop);
    scratch_fini(&scratch);
    return 0;
}

static int client(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%.100s", path);
    int fd = sys_socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(sys_connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void turns(int n)
{
    while (n-- > 0)
        assert_int_equal(loop_turn(&loop, 0), 0);
}

static void says(int fd, const void *bytes, size_t bytes_n)
{
    assert_int_equal(sys_send(fd, bytes, bytes_n, 0), bytes_n);
    turns(3);
}

/* What came back; 1 in *is_closed at the end of the stream. */
static const char *answer(int fd, int *is_closed)
{
    static char text[4096];
    size_t have_n = 0;
    ssize_t n = -EAGAIN;
    while (have_n < sizeof text - 1 && (n = sys_recv(fd, text + have_n, sizeof text - 1 - have_n, 0)) > 0)
        have_n += (size_t)n;
    text[have_n] = '\0';
    *is_closed = n == 0 || n == -ECONNRESET;
    return text;
}

static void test_a_line_is_answered_by_a_line_and_the_end(void **state)
{
    (void)state;
    int is_closed, fd = client();
    says(fd, "status\n", 7);
    assert_string_equal(answer(fd, &is_closed), "status\n");
    assert_true(is_closed);
    assert_string_equal(asked, "status");
    sys_close(fd);
    fd = client();
    says(fd, "restart proxy\r\n", 15);
    assert_string_equal(answer(fd, &is_closed), "restart proxy\n");
    sys_close(fd);
}

static void test_a_line_in_pieces(void **state)
{
    (void)state;
    int is_closed, fd = client();
    static const char line[] = "start ollama\n";
    for (size_t i = 0; i < sizeof line - 1; i++) {
        assert_string_equal(answer(fd, &is_closed), "");
        assert_false(is_closed);
        says(fd, line + i, 1);
    }
    assert_string_equal(answer(fd, &is_closed), "start ollama\n");
    sys_close(fd);
}

static void test_of_two_lines_the_first_is_answered(void **state)
{
    (void)state;
    int is_closed, fd = client();
    says(fd, "one\ntwo\n", 8);
    assert_string_equal(answer(fd, &is_closed), "one\n");
    assert_true(is_closed);
    assert_int_equal(asked_n, 1);
    sys_close(fd);
}

static void test_a_line_that_is_too_long_is_closed_and_not_run(void **state)
{
    (void)state;
    int is_closed, fd = client();
    char line[CONTROL_LINE_BYTES * 2];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    says(fd, line, sizeof line);
    assert_string_equal(answer(fd, &is_closed), "");
    assert_true(is_closed);
    assert_int_equal(asked_n, 0);
    sys_close(fd);
    fd = client();
    says(fd, line + sizeof line - (CONTROL_LINE_BYTES - 1), CONTROL_LINE_BYTES - 1); /* the longest that fits */
    (void)answer(fd, &is_closed);
    assert_int_equal(asked_n, 1);
    assert_int_equal(strlen(asked), CONTROL_LINE_BYTES - 2);
    sys_close(fd);
}

static void test_a_client_that_goes_away_is_forgotten(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * CONTROL_CLIENTS_MAX; i++) {
        int fd = client();
        says(fd, "half a li", 9);
        sys_close(fd);
        turns(2);
    }
    assert_int_equal(asked_n, 0);
    assert_int_equal(timerq_next_ms(&loop.timers), -1);
    int is_closed, fd = client();
    says(fd, "x\n", 2);
    assert_string_equal(answer(fd, &is_closed), "x\n");
    sys_close(fd);
}

static void test_a_client_that_asks_and_goes_away_harms_nobody(void **state)
{
    (void)state;
    int fd = client();
    assert_int_equal(sys_send(fd, "x\n", 2, 0), 2);
    sys_close(fd);
    turns(3);
    assert_int_equal(asked_n, 1);
    assert_int_equal(loop.watches.fds_n, 1);
}

static void test_one_that_dawdles_is_closed(void **state)
{
    (void)state;
    int is_closed, fd = client();
    says(fd, "stat", 4);
    int64_t at_ms = timerq_next_ms(&loop.timers);
    assert_in_range(at_ms, loop_now_ms(&loop) + 1, loop_now_ms(&loop) + 10000);
    timerq_run(&loop.timers, at_ms);
    (void)answer(fd, &is_closed);
    assert_true(is_closed);
    sys_close(fd);
}

static void test_more_clients_than_places_are_turned_away(void **state)
{
    (void)state;
    int fds[CONTROL_CLIENTS_MAX + 1], is_closed;
    for (int i = 0; i <= CONTROL_CLIENTS_MAX; i++) {
        fds[i] = client();
        turns(1);
    }
    (void)answer(fds[CONTROL_CLIENTS_MAX], &is_closed);
    assert_true(is_closed);
    says(fds[0], "x\n", 2);
    assert_string_equal(answer(fds[0], &is_closed), "x\n");
    for (int i = 0; i <= CONTROL_CLIENTS_MAX; i++)
        sys_close(fds[i]);
}

static void test_a_long_answer_waits_for_a_slow_reader(void **state)
{
    (void)state;
    int is_closed = 0, fd = client();
    size_t got_n = 0;
    reply_n = 900000;
    says(fd, "dump\n", 5);
    for (int i = 0; i < 2000 && !is_closed; i++) {
        got_n += strlen(answer(fd, &is_closed));
        turns(1);
    }
    assert_true(is_closed);
    assert_int_equal(got_n, 900001);
    assert_int_equal(asked_n, 1);
    sys_close(fd);
}

static void test_an_answer_that_has_no_memory_closes(void **state)
{
    (void)state;
    int is_closed, fd = client();
    reply_error = -ENOMEM;
    says(fd, "x\n", 2);
    assert_string_equal(answer(fd, &is_closed), "");
    assert_true(is_closed);
    sys_close(fd);
    reply_error = 0;
    reply_n = 2 << 20; /* beyond the limit of a reply */
    fd = client();
    says(fd, "x\n", 2);
    assert_string_equal(answer(fd, &is_closed), "");
    assert_true(is_closed);
    sys_close(fd);
}

static void test_the_socket_is_the_owners_alone(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(S_ISSOCK(st.st_mode));
}

static void test_a_second_supervisor_finds_it_taken(void **state)
{
    (void)state;
    static struct control second;
    struct stat st;
    assert_int_equal(control_init(&second, &loop, path, command, &second), -EADDRINUSE);
    control_fini(&second);
    assert_int_equal(stat(path, &st), 0); /* and leaves it alone */
    int is_closed, fd = client();
    says(fd, "x\n", 2);
    assert_string_equal(answer(fd, &is_closed), "x\n");
    sys_close(fd);
}

static void test_a_socket_left_over_from_a_crash_is_replaced(void **state)
{
    (void)state;
    static struct control second;
    int is_closed;
    loop_remove(&loop, control.fd);
    sys_close(control.fd); /* died: nobody removed the file */
    control.fd = -1;
    control.path[0] = '\0';
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(control_init(&second, &loop, path, command, &control), 0);
    int fd = client();
    says(fd, "x\n", 2);
    assert_string_equal(answer(fd, &is_closed), "x\n");
    sys_close(fd);
    control_fini(&second);
    assert_true(access(path, F_OK) < 0); /* an orderly end removes it */
}

static void test_a_file_that_is_no_socket_is_never_removed(void **state)
{
    (void)state;
    static struct control second;
    char file[SCRATCH_PATH_BYTES];
    scratch_text(&scratch, "precious.ini", "[proxy]\n");
    assert_true(control_init(&second, &loop, scratch_path(&scratch, "precious.ini", file), command, NULL) < 0);
    control_fini(&second);
    assert_int_equal(access(file, F_OK), 0);
    assert_true(control_init(&second, &loop, scratch.dir, command, NULL) < 0); /* a folder */
    control_fini(&second);
    assert_int_equal(access(scratch.dir, F_OK), 0);
}

static void test_folders_are_made_and_long_paths_refused(void **state)
{
    (void)state;
    static struct control second;
    char deep[SCRATCH_PATH_BYTES], folder[SCRATCH_PATH_BYTES];
    scratch_path(&scratch, "a", folder);
    scratch_path(&scratch, "a/d.sock", deep);
    assert_int_equal(control_init(&second, &loop, deep, command, NULL), 0);
    assert_int_equal(access(deep, F_OK), 0);
    control_fini(&second);
    char endless[200];
    memset(endless, 'x', sizeof endless - 1);
    endless[0] = '/';
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(control_init(&second, &loop, endless, command, NULL), -ENAMETOOLONG);
    control_fini(&second);
    scratch_text(&scratch, "file", "x");
    assert_true(control_init(&second, &loop, scratch_path(&scratch, "file/x.sock", deep), command, NULL) < 0);
    control_fini(&second);
}

static void test_it_moves_and_who_is_there_stays(void **state)
{
    (void)state;
    char other[SCRATCH_PATH_BYTES], first[SCRATCH_PATH_BYTES];
    int next_fd, is_closed, old = client();
    snprintf(first, sizeof first, "%s", path);
    scratch_path(&scratch, "a/b/other.sock", other);
    assert_int_equal(control_bind(&control, other, &next_fd), 0);
    control_unbind(&control, other, next_fd); /* it was not to be */
    assert_int_equal(access(other, F_OK), -1);
    assert_int_equal(control_bind(&control, first, &next_fd), -EADDRINUSE); /* we ourselves answer there */
    assert_int_equal(next_fd, -1);
    assert_int_equal(control_bind(&control, other, &next_fd), 0);
    assert_int_equal(access(first, F_OK), 0);
    assert_int_equal(loop_turn(&loop, 0), 0); /* takes the one who came over the old one */
    control_move(&control, other, next_fd);
    assert_int_equal(access(first, F_OK), -1);
    says(old, "x\n", 2);
    assert_string_equal(answer(old, &is_closed), "x\n");
    sys_close(old);
    snprintf(path, sizeof path, "%s", other);
    int fd = client();
    says(fd, "y\n", 2);
    assert_string_equal(answer(fd, &is_closed), "y\n");
    sys_close(fd);
}

/* "No such file or directory" helps nobody whose file system is read-only. */
static void test_a_folder_that_cannot_be_made_says_why(void **state)
{
    (void)state;
    static struct control second;
    int error = control_init(&second, &loop, "/sys/nobody-makes-folders-here/x.sock", command, NULL);
    assert_true(error == -EPERM || error == -EACCES || error == -EROFS);
    control_fini(&second);
}

/* What a proxy does: it keeps one end, and hands up the other. */
static int hand_up(void)
{
    int fds[2];
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    assert_int_equal(control_heard(&control, &(struct contract_message){.kind = CONTRACT_HUB}, fds[1]), 0);
    assert_int_equal(control_heard(&control, &(struct contract_message){.kind = CONTRACT_ASK}, -1), 0);
    assert_int_equal(control_heard(&control, &(struct contract_message){.kind = CONTRACT_ASK}, fds[1]), 1);
    sys_close(fds[1]); /* the copy is the caller's */
    return fds[0];
}

static void test_a_proxy_asks_by_a_socket_of_its_own(void **state)
{
    (void)state;
    int is_closed, fd = hand_up();
    says(fd, "status\n", 7);
    assert_string_equal(answer(fd, &is_closed), "status\n");
    assert_true(is_closed);
    assert_int_equal(asked_by, CONTROL_PROXY);
    sys_close(fd);
    fd = client();
    says(fd, "status\n", 7);
    assert_int_equal(asked_by, CONTROL_OWNER);
    sys_close(fd);
    fd = hand_up(); /* it goes away, and its place is free again */
    sys_close(fd);
    turns(2);
    assert_int_equal(loop.watches.fds_n, 1);
}

static void test_neither_proxies_nor_the_owner_take_the_others_places(void **state)
{
    (void)state;
    int fds[CONTROL_PROXIES_MAX + 1], is_closed;
    for (int i = 0; i <= CONTROL_PROXIES_MAX; i++)
        fds[i] = hand_up();
    const char *told = answer(fds[CONTROL_PROXIES_MAX], &is_closed);
    assert_non_null(strstr(told, "{\"ok\":false,\"code\":\"busy\",\"error\":\"proxies ask for so much"));
    assert_string_equal(told + strlen(told) - 3, "\"}\n");
    assert_true(is_closed);
    int fd = client();
    says(fd, "x\n", 2);
    assert_string_equal(answer(fd, &is_closed), "x\n");
    sys_close(fd);
    sys_close(fds[1]);
    fd = hand_up(); /* before it was seen that the other one has left */
    says(fd, "z\n", 2);
    assert_string_equal(answer(fd, &is_closed), "z\n");
    sys_close(fd);
    says(fds[0], "y\n", 2);
    assert_string_equal(answer(fds[0], &is_closed), "y\n");
    for (int i = 0; i <= CONTROL_PROXIES_MAX; i++)
        if (i != 1)
            sys_close(fds[i]);
}

static void test_what_is_no_unix_socket_is_let_be(void **state)
{
    (void)state;
    int pipe_fds[2], tcp_fd = sys_socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(sys_pipe(pipe_fds, O_NONBLOCK), 0);
    control_take(&control, pipe_fds[0]);
    control_take(&control, tcp_fd);
    control_take(&control, -1);
    assert_int_equal(loop.watches.fds_n, 1);
    sys_close(pipe_fds[0]);
    sys_close(pipe_fds[1]);
    sys_close(tcp_fd);
}

/* Who hands it up may have a copy, and take its O_NONBLOCK away. */
static void test_a_socket_that_would_block_keeps_nobody(void **state)
{
    (void)state;
    int fds[2], is_closed = 0;
    size_t got_n = 0;
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    assert_true(sys_set_blocking(fds[1]) >= 0);
    control_take(&control, fds[1]);
    sys_close(fds[1]);
    reply_n = 900000; /* more than it takes at once */
    says(fds[0], "x\n", 2);
    for (int i = 0; i < 2000 && !is_closed; i++) {
        got_n += strlen(answer(fds[0], &is_closed));
        turns(1);
    }
    assert_true(is_closed);
    assert_int_equal(got_n, 900001);
    sys_close(fds[0]);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* Without a descriptor for it a client waits, and does not wake us again and again meanwhile. */
static void test_a_client_that_cannot_be_accepted_is_let_in_later(void **state)
{
    struct rlimit before, less;
    (void)state;
    int is_closed, fd = client(), next_fd = sys_open("/dev/null", 0, 0);
    assert_true(next_fd >= 0);
    sys_close(next_fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    less = (struct rlimit){.rlim_cur = (rlim_t)next_fd, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
    turns(1);
    int64_t began_ms = sys_monotonic_ms();
    assert_int_equal(loop_turn(&loop, 40), 0);
    int64_t waited_ms = sys_monotonic_ms() - began_ms;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(waited_ms >= 39);
    assert_int_equal(loop_turn(&loop, 5000), 0); /* the rest is over */
    turns(1);
    says(fd, "x\n", 2);
    assert_string_equal(answer(fd, &is_closed), "x\n");
    sys_close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_line_is_answered_by_a_line_and_the_end),
        CASE(test_a_line_in_pieces),
        CASE(test_of_two_lines_the_first_is_answered),
        CASE(test_a_line_that_is_too_long_is_closed_and_not_run),
        CASE(test_a_client_that_goes_away_is_forgotten),
        CASE(test_a_client_that_asks_and_goes_away_harms_nobody),
        CASE(test_one_that_dawdles_is_closed),
        CASE(test_more_clients_than_places_are_turned_away),
        CASE(test_a_long_answer_waits_for_a_slow_reader),
        CASE(test_an_answer_that_has_no_memory_closes),
        CASE(test_the_socket_is_the_owners_alone),
        CASE(test_a_second_supervisor_finds_it_taken),
        CASE(test_a_client_that_cannot_be_accepted_is_let_in_later),
        CASE(test_a_socket_left_over_from_a_crash_is_replaced),
        CASE(test_a_file_that_is_no_socket_is_never_removed),
        CASE(test_folders_are_made_and_long_paths_refused),
        CASE(test_a_folder_that_cannot_be_made_says_why),
        CASE(test_it_moves_and_who_is_there_stays),
        CASE(test_a_proxy_asks_by_a_socket_of_its_own),
        CASE(test_neither_proxies_nor_the_owner_take_the_others_places),
        CASE(test_what_is_no_unix_socket_is_let_be),
        CASE(test_a_socket_that_would_block_keeps_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
