/* supervisor/channel: one end of a pair in the loop; what breaks the contract is dropped. */
#include "supervisor/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct loop loop;
static struct channel channel;
static int child_fd;
static struct contract_message heard;
static unsigned heard_n;
static int is_closing; /* the listener closes the channel */
static int had_fd;     /* a descriptor came with it, which was good then */

static void said(void *context, const struct contract_message *m, int fd)
{
    heard = *m;
    heard_n++;
    had_fd = fd >= 0 && sys_is_open(fd);
    if (is_closing)
        channel_close(context);
}

static int setup(void **state)
{
    (void)state;
    heard_n = 0;
    is_closing = 0;
    if (loop_init(&loop) < 0)
        return -1;
    channel_init(&channel, &loop, "proxy", said, &channel);
    child_fd = channel_open(&channel);
    return child_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    sys_close(child_fd);
    channel_close(&channel);
    channel_close(&channel);
    loop_fini(&loop);
    return 0;
}

static void turn(void)
{
    assert_int_equal(loop_turn(&loop, 0), 0);
}

static void test_what_the_child_says_is_heard(void **state)
{
    (void)state;
    assert_int_equal(contract_send(child_fd, CONTRACT_WANT, 3, "ollama"), 0);
    turn();
    assert_int_equal(heard_n, 1);
    assert_int_equal(heard.kind, CONTRACT_WANT);
    assert_int_equal(heard.value, 3);
    assert_string_equal(heard.name, "ollama");
}

static void test_a_descriptor_is_lent_and_closed(void **state)
{
    (void)state;
    int fds[2];
    char byte;
    assert_int_equal(sys_pipe(fds, O_NONBLOCK), 0);
    assert_int_equal(contract_send_fd(child_fd, CONTRACT_HUB, fds[1]), 0);
    sys_close(fds[1]);
    turn();
    assert_int_equal(heard.kind, CONTRACT_HUB);
    assert_true(had_fd);
    assert_int_equal(sys_read(fds[0], &byte, 1), 0); /* nobody has it any more */
    sys_close(fds[0]);
    assert_int_equal(contract_send(child_fd, CONTRACT_WANT, 3, "ollama"), 0);
    turn();
    assert_false(had_fd);
}

static void test_what_we_tell_arrives(void **state)
{
    (void)state;
    struct contract_message m;
    channel_tell(&channel, CONTRACT_STATE_CHANGED, 0);
    channel_tell(&channel, CONTRACT_MAY_I_SLEEP, CONTRACT_NAP_STOP);
    assert_int_equal(contract_receive(child_fd, &m), 1);
    assert_int_equal(m.kind, CONTRACT_STATE_CHANGED);
    assert_int_equal(contract_receive(child_fd, &m), 1);
    assert_int_equal(m.kind, CONTRACT_MAY_I_SLEEP);
    assert_int_equal(m.value, CONTRACT_NAP_STOP);
}

static void test_messages_of_another_size_or_version_are_dropped(void **state)
{
    (void)state;
    struct contract_message other = {.version = CONTRACT_VERSION + 1, .kind = CONTRACT_WANT};
    char bytes[sizeof other + 1] = {0};
    assert_int_equal(sys_send(child_fd, bytes, 1, 0), 1);
    assert_int_equal(sys_send(child_fd, bytes, sizeof bytes, 0), sizeof bytes);
    assert_int_equal(sys_send(child_fd, &other, sizeof other, 0), sizeof other);
    turn();
    assert_int_equal(heard_n, 0);
    assert_int_equal(contract_send(child_fd, CONTRACT_CHANGED, 0, NULL), 0);
    turn();
    assert_int_equal(heard_n, 1); /* and the child is still listened to */
}

static void test_a_child_that_is_gone_closes_the_channel(void **state)
{
    (void)state;
    sys_close(child_fd);
    child_fd = -1;
    turn();
    assert_int_equal(channel.fd, -1);
    assert_int_equal(loop.watches.fds_n, 0);
    channel_tell(&channel, CONTRACT_STATE_CHANGED, 0); /* harmless */
}

static void test_a_child_that_never_reads_does_not_hold_us_up(void **state)
{
    (void)state;
    for (int i = 0; i < 10000; i++)
        channel_tell(&channel, CONTRACT_STATE_CHANGED, 0);
    assert_true(channel.fd >= 0);
}

static void test_a_flood_is_read_in_portions(void **state)
{
    (void)state;
    unsigned sent_n = 0;
    while (contract_send(child_fd, CONTRACT_CHANGED, 0, NULL) == 0)
        sent_n++;
    turn();
    assert_true(heard_n > 0 && heard_n <= 32);
    for (unsigned i = 0; i < sent_n; i++)
        turn();
    assert_int_equal(heard_n, sent_n);
}

static void test_what_was_said_before_the_end_is_heard(void **state)
{
    (void)state;
    unsigned sent_n = 0;
    while (contract_send(child_fd, CONTRACT_CHANGED, 0, NULL) == 0)
        sent_n++;
    sys_close(child_fd);
    child_fd = -1;
    assert_true(sent_n > 32);
    channel_end(&channel);
    assert_int_equal(heard_n, sent_n);
    assert_int_equal(channel.fd, -1);
    channel_end(&channel); /* harmless */
}

static void test_the_listener_may_close_it_in_the_middle(void **state)
{
    (void)state;
    is_closing = 1;
    assert_int_equal(contract_send(child_fd, CONTRACT_CHANGED, 0, NULL), 0);
    assert_int_equal(contract_send(child_fd, CONTRACT_CHANGED, 0, NULL), 0);
    turn();
    assert_int_equal(heard_n, 1);
    assert_int_equal(channel.fd, -1);
}

static void test_a_pair_moves_to_another_owner(void **state)
{
    (void)state;
    struct channel other;
    channel_init(&other, &loop, "proxy (draining)", said, &other);
    channel_move(&channel, &other);
    assert_int_equal(channel.fd, -1);
    assert_true(other.fd >= 0);
    assert_int_equal(contract_send(child_fd, CONTRACT_SLEEP, 1, NULL), 0);
    turn();
    assert_int_equal(heard_n, 1);
    channel_move(&channel, &other); /* nothing to move: nothing happens */
    assert_true(other.fd >= 0);
    int next_fd = channel_open(&channel); /* the successor's pair, beside the old one */
    assert_true(next_fd >= 0);
    sys_close(next_fd);
    channel_close(&other);
}

static void test_opening_again_closes_the_old_pair(void **state)
{
    (void)state;
    struct contract_message m;
    int next_fd = channel_open(&channel);
    assert_true(next_fd >= 0);
    assert_int_equal(contract_receive(child_fd, &m), -EPIPE);
    assert_int_equal(contract_send(next_fd, CONTRACT_CHANGED, 0, NULL), 0);
    turn();
    assert_int_equal(heard_n, 1);
    sys_close(next_fd);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_the_child_says_is_heard),
        CASE(test_a_descriptor_is_lent_and_closed),
        CASE(test_what_we_tell_arrives),
        CASE(test_messages_of_another_size_or_version_are_dropped),
        CASE(test_a_child_that_is_gone_closes_the_channel),
        CASE(test_a_child_that_never_reads_does_not_hold_us_up),
        CASE(test_a_flood_is_read_in_portions),
        CASE(test_what_was_said_before_the_end_is_heard),
        CASE(test_the_listener_may_close_it_in_the_middle),
        CASE(test_a_pair_moves_to_another_owner),
        CASE(test_opening_again_closes_the_old_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
