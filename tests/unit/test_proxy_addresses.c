/* proxy/addresses: who counts as one, and how many of them. */
#include "proxy/addresses.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sockaddr_storage peer(const char *text)
{
    struct sockaddr_storage out = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
    }
    return out;
}

static enum address_verdict enter(struct addresses *all, const char *text, struct address_place *place)
{
    struct sockaddr_storage from = peer(text);
    return addresses_enter(all, &from, place);
}

static void test_beyond_the_limit_some_are_told_and_the_rest_is_dropped(void **state)
{
    (void)state;
    struct addresses all;
    struct address_place places[3 + ADDRESSES_REFUSED_MAX], other;
    assert_int_equal(addresses_init(&all, 3, 64), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(enter(&all, "192.0.2.1", &places[i]), ADDRESS_SERVE);
    for (int i = 3; i < 3 + ADDRESSES_REFUSED_MAX; i++)
        assert_int_equal(enter(&all, "192.0.2.1", &places[i]), ADDRESS_REFUSE);
    assert_int_equal(enter(&all, "192.0.2.1", &other), ADDRESS_DROP);
    addresses_leave(&all, &other); /* was not counted: nothing */
    assert_int_equal(enter(&all, "192.0.2.2", &other), ADDRESS_SERVE);
    addresses_leave(&all, &places[0]);
    addresses_leave(&all, &places[0]);
    assert_int_equal(enter(&all, "192.0.2.1", &places[0]), ADDRESS_SERVE);
    addresses_leave(&all, &places[5]);
    assert_int_equal(enter(&all, "192.0.2.1", &places[5]), ADDRESS_REFUSE);
    for (int i = 0; i < 3 + ADDRESSES_REFUSED_MAX; i++)
        addresses_leave(&all, &places[i]);
    addresses_leave(&all, &other);
    assert_int_equal(addresses_n(&all), 0);
    addresses_fini(&all);
}

static int are_one(const char *a, const char *b)
{
    struct addresses all;
    struct address_place places[2];
    assert_int_equal(addresses_init(&all, 1, 16), 0);
    assert_int_equal(enter(&all, a, &places[0]), ADDRESS_SERVE);
    enum address_verdict second = enter(&all, b, &places[1]);
    addresses_leave(&all, &places[0]);
    addresses_leave(&all, &places[1]);
    assert_int_equal(addresses_n(&all), 0);
    addresses_fini(&all);
    return second == ADDRESS_REFUSE;
}

static void test_who_counts_as_one(void **state)
{
    (void)state;
    assert_true(are_one("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_false(are_one("2001:db8:1:2::1", "2001:db8:1:3::1"));
    assert_true(are_one("192.0.2.1", "::ffff:192.0.2.1"));
    assert_false(are_one("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
    assert_false(are_one("192.0.2.1", "::1"));
    assert_true(are_one("::1", "::1"));
}

static void test_who_is_not_counted(void **state)
{
    (void)state;
    struct addresses all;
    struct address_place place;
    struct networks exempt = {0};
    struct sockaddr_storage local = {.ss_family = AF_UNIX};
    char why[PARSE_WHY_BYTES];
    assert_int_equal(networks_add(&exempt, "192.0.2.0/24", why), 0);
    assert_int_equal(addresses_init(&all, 1, 16), 0);
    all.exempt = &exempt;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(enter(&all, "::ffff:192.0.2.9", &place), ADDRESS_SERVE);
        assert_int_equal(place.entry, -1);
        assert_int_equal(addresses_enter(&all, &local, &place), ADDRESS_SERVE);
    }
    assert_int_equal(addresses_n(&all), 0);
    addresses_fini(&all);
    assert_int_equal(addresses_init(&all, 0, 16), 0); /* no limit */
    for (int i = 0; i < 100; i++)
        assert_int_equal(enter(&all, "198.51.100.1", &place), ADDRESS_SERVE);
    assert_null(all.entries);
    addresses_fini(&all);
    networks_fini(&exempt);
}

/* Against a count that is kept by walking over all places. */
static void test_the_table_counts_as_a_plain_list_does(void **state)
{
    (void)state;
    enum { CLIENTS = 200, LIMIT = 3, ROUNDS = 20000 };
    struct addresses all;
    struct address_place places[CLIENTS];
    char texts[CLIENTS][32];
    int is_in[CLIENTS] = {0};
    unsigned random = 1;
    assert_int_equal(addresses_init(&all, LIMIT, CLIENTS), 0);
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 1664525u + 1013904223u;
        int i = (int)(random >> 16) % CLIENTS;
        if (is_in[i]) {
            addresses_leave(&all, &places[i]);
            is_in[i] = 0;
            continue;
        }
        snprintf(texts[i], sizeof texts[i], "10.0.0.%u", (random >> 24) % 40);
        unsigned served_n = 0, refused_n = 0;
        for (int j = 0; j < CLIENTS; j++)
            if (is_in[j] && strcmp(texts[j], texts[i]) == 0)
                *(places[j].is_refused ? &refused_n : &served_n) += 1;
        enum address_verdict expected = served_n < LIMIT                     ? ADDRESS_SERVE
                                        : refused_n < ADDRESSES_REFUSED_MAX ? ADDRESS_REFUSE : ADDRESS_DROP;
        assert_int_equal(enter(&all, texts[i], &places[i]), expected);
        is_in[i] = expected != ADDRESS_DROP;
    }
    for (int i = 0; i < CLIENTS; i++)
        if (is_in[i])
            addresses_leave(&all, &places[i]);
    assert_int_equal(addresses_n(&all), 0);
    addresses_fini(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beyond_the_limit_some_are_told_and_the_rest_is_dropped),
        cmocka_unit_test(test_who_counts_as_one),
        cmocka_unit_test(test_who_is_not_counted),
        cmocka_unit_test(test_the_table_counts_as_a_plain_list_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
