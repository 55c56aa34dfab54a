/* common/notify_socket: one datagram, never a wait. */
#include "tests/unit/notify_reader.h"

static struct notify_reader reader;

static void test_a_message_arrives_whole(void **state)
{
    (void)state;
    notify_reader_init(&reader);
    assert_int_equal(notify_socket_has_room(reader.path), 0);
    assert_int_equal(notify_socket_send(reader.path, "READY=1\nSTATUS=up"), 0);
    assert_string_equal(notify_reader_next(&reader), "READY=1\nSTATUS=up");
    assert_string_equal(notify_reader_next(&reader), ""); /* asking for room sends nothing */
    notify_reader_fini(&reader);
}

static void test_a_full_queue_is_no_place_to_wait(void **state)
{
    (void)state;
    notify_reader_init(&reader);
    unsigned n = notify_reader_fill(&reader);
    assert_true(n > 0);
    assert_int_equal(notify_socket_send(reader.path, "READY=1"), -EAGAIN);
    assert_int_equal(notify_socket_has_room(reader.path), -EAGAIN);
    while (n-- > 0)
        assert_string_equal(notify_reader_next(&reader), "X=1");
    assert_int_equal(notify_socket_has_room(reader.path), 0);
    assert_int_equal(notify_socket_send(reader.path, "READY=1"), 0);
    assert_string_equal(notify_reader_next(&reader), "READY=1");
    notify_reader_fini(&reader);
}

static void test_nobody_there(void **state)
{
    (void)state;
    notify_reader_init(&reader);
    notify_reader_fini(&reader);
    assert_int_equal(notify_socket_send(reader.path, "X=1"), -ECONNREFUSED);
    assert_int_equal(notify_socket_has_room(reader.path), -ECONNREFUSED);
    assert_int_equal(notify_socket_send("/no/such/folder/notify", "X=1"), -ENOENT);
    assert_int_equal(notify_socket_has_room("/no/such/folder/notify"), -ENOENT);
}

static void test_paths_of_another_form(void **state)
{
    (void)state;
    char longest[109], too_long[110];
    memset(longest, 'x', sizeof longest);
    memset(too_long, 'x', sizeof too_long);
    longest[0] = too_long[0] = '/';
    longest[107] = too_long[108] = '\0';
    static const char *const others[] = {"", "@", "/", "notify", "./notify", "vsock:2:1"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(notify_socket_send(others[i], "X=1"), -EINVAL);
        assert_int_equal(notify_socket_has_room(others[i]), -EINVAL);
    }
    assert_int_equal(notify_socket_send(longest, "X=1"), -ENOENT); /* as long as it may be, but not there */
    assert_int_equal(notify_socket_send(too_long, "X=1"), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_arrives_whole),
        cmocka_unit_test(test_a_full_queue_is_no_place_to_wait),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_paths_of_another_form),
    };
    return cmocka_run_group_tests_name("common/notify_socket", tests, NULL, NULL);
}
