/* proxy/json_splice: what becomes of a body's bytes, and of no others. */
#include "proxy/json_splice.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { MEGABYTE = 1024 * 1024 };

#define CTX {1, "num_ctx", "8192", JSON_SET}
#define MMAP {1, "use_mmap", "true", JSON_SET}
#define ALIVE {0, "keep_alive", "\"5m\"", JSON_SET}
static const struct json_edit pins[] = {CTX, MMAP, ALIVE};
static const struct json_edit one[] = {CTX};
static const struct json_edit outer[] = {ALIVE};
static const struct json_edit absent[] = {{1, "num_ctx", "8192", JSON_SET_ABSENT}, {0, "keep_alive", "\"5m\"", JSON_SET_ABSENT}};
static const struct json_edit removed[] = {{1, "num_ctx", NULL, JSON_REMOVE}, {0, "keep_alive", NULL, JSON_REMOVE}};

#define EDITS(list) {"options", list, sizeof list / sizeof *list}
static const struct json_edits set_all = EDITS(pins), set_one = EDITS(one), set_absent = EDITS(absent), remove_all = EDITS(removed);
static const struct json_edits set_outer = {NULL, outer, 1};

/* The bytes after the edits, in memory of the larger of both sizes; *error: of json_splice_find(). The caller frees. */
static char *spliced(const char *json, size_t n, const struct json_edits *edits, size_t *after_n, int *error)
{
    struct json_splice s;
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, json, n);
    *error = json_splice_find(&s, exact, n, edits);
    free(exact);
    *after_n = json_splice_size(&s, n);
    char *bytes = malloc((n > *after_n ? n : *after_n) + 1);
    assert_non_null(bytes);
    memcpy(bytes, json, n);
    json_splice_apply(&s, bytes, n);
    bytes[*after_n] = '\0';
    return bytes;
}

static void put(char *json, size_t *n, const char *text)
{
    memcpy(json + *n, text, strlen(text));
    *n += strlen(text);
}

struct row {
    const char *before, *after;
};

static void check(const struct json_edits *edits, const struct row *rows, size_t rows_n)
{
    for (size_t i = 0; i < rows_n; i++) {
        size_t n;
        int error;
        char *after = spliced(rows[i].before, strlen(rows[i].before), edits, &n, &error);
        if (error || n != strlen(rows[i].after) || strcmp(after, rows[i].after) != 0)
            fail_msg("%s\nbecame %s\nnot    %s (%d)", rows[i].before, after, rows[i].after, error);
        free(after);
    }
}
#define CHECK(edits, rows) check(edits, rows, sizeof rows / sizeof *rows)

static void test_members_are_set_added_and_left(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{}", "{\"keep_alive\":\"5m\",\"options\":{\"num_ctx\":8192,\"use_mmap\":true}}"},
        {" { } ", " {\"keep_alive\":\"5m\",\"options\":{\"num_ctx\":8192,\"use_mmap\":true} } "},
        {"{\"model\":\"m\"\n}\n", "{\"model\":\"m\",\"keep_alive\":\"5m\",\"options\":{\"num_ctx\":8192,\"use_mmap\":true}\n}\n"},
        {"{\"options\":{}}", "{\"options\":{\"num_ctx\":8192,\"use_mmap\":true},\"keep_alive\":\"5m\"}"},
        {"{\"options\": { } , \"keep_alive\" : 0 }", "{\"options\": {\"num_ctx\":8192,\"use_mmap\":true } , \"keep_alive\" : \"5m\" }"},
        {"{\"options\":{\"seed\":1 }}", "{\"options\":{\"seed\":1,\"num_ctx\":8192,\"use_mmap\":true },\"keep_alive\":\"5m\"}"},
        {"{\"keep_alive\":-1,\"options\":{\"use_mmap\":false,\"num_ctx\":4,\"x\":[]}}",
         "{\"keep_alive\":\"5m\",\"options\":{\"use_mmap\":true,\"num_ctx\":8192,\"x\":[]}}"},
        {"{\"keep_alive\":\"5m\",\"options\":{\"use_mmap\":true,\"num_ctx\":8192}}",
         "{\"keep_alive\":\"5m\",\"options\":{\"use_mmap\":true,\"num_ctx\":8192}}"},
    };
    CHECK(&set_all, rows);
}

/* What a parser that keeps values would change: nothing of it is ours to change. */
static void test_no_other_byte_changes(void **state)
{
    (void)state;
#define KEPT_BARE                                                                                       \
    "\t\"seed\" : 12345678901234567890 ,\r\n\"a\":\"\\u0000\\ud83d\\/\xff\xed\xa0\x80\",\"a\":1e999,\"a\":-0.0,"   \
    "\"prompt\":\"{\\\"options\\\":{\\\"num_ctx\\\":1}}\",\"tools\":[{\"options\":{\"num_ctx\":7,\"keep_alive\":3}}]," \
    " \"x\":{\"options\":null}"
#define KEPT KEPT_BARE "  "
    static const struct row rows[] = {
        {"{" KEPT "}", "{" KEPT_BARE ",\"options\":{\"num_ctx\":8192}  }"},
        {"{\"options\":{" KEPT ",\"num_ctx\":1}}", "{\"options\":{" KEPT ",\"num_ctx\":8192}}"},
        {"{\"options\":{\"num_ctx\":1," KEPT "}," KEPT "}", "{\"options\":{\"num_ctx\":8192," KEPT "}," KEPT "}"},
    };
    CHECK(&set_one, rows);
}

/* Of several of one name the last wins, in any case: all are set. Several inner objects are merged; null empties them. */
static void test_what_go_would_take_for_the_member(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"options\":{\"num_ctx\":1,\"num_ctx\":2}}", "{\"options\":{\"num_ctx\":8192,\"num_ctx\":8192}}"},
        {"{\"OPTIONS\":{\"num_ctx\":1}}", "{\"OPTIONS\":{\"num_ctx\":8192}}"},
        {"{\"options\":{\"num_ctx\":8192},\"Options\":{\"num_ctx\":2}}", "{\"options\":{\"num_ctx\":8192},\"Options\":{\"num_ctx\":8192}}"},
        {"{\"options\":{\"num_ctx\":1},\"OPTIONS\":{\"seed\":2}}", "{\"options\":{\"num_ctx\":8192},\"OPTIONS\":{\"seed\":2}}"},
        {"{\"options\":{\"seed\":1},\"options\":{\"top_k\":2}}", "{\"options\":{\"seed\":1},\"options\":{\"top_k\":2,\"num_ctx\":8192}}"},
        {"{\"option\\u017f\":{\"num_ctx\":1}}", "{\"option\\u017f\":{\"num_ctx\":8192}}"},
        {"{\"option\xc5\xbf\":{}}", "{\"option\xc5\xbf\":{\"num_ctx\":8192}}"},
        {"{\"\\u006fptions\":{\"num\\u005fctx\":1}}", "{\"\\u006fptions\":{\"num\\u005fctx\":8192}}"},
        {"{\"options\":{\"NUM_CTX\":1}}", "{\"options\":{\"NUM_CTX\":8192,\"num_ctx\":8192}}"}, /* the map knows no NUM_CTX */
        {"{\"options\":{\"num_ctx\":null}}", "{\"options\":{\"num_ctx\":8192}}"},
        {"{\"options\":{\"num_ctx\":[1,{\"a\":2}]}}", "{\"options\":{\"num_ctx\":8192}}"},
        {"{\"options\":null}", "{\"options\":{\"num_ctx\":8192}}"},
        {"{\"options\": null ,\"options\":{}}", "{\"options\": null ,\"options\":{\"num_ctx\":8192}}"},
        {"{\"options\":{\"num_ctx\":8192},\"options\":null}", "{\"options\":{\"num_ctx\":8192},\"options\":null,\"options\":{\"num_ctx\":8192}}"},
        {"{\"options\":{\"seed\":1},\"options\":null,\"a\":2 }", "{\"options\":{\"seed\":1},\"options\":null,\"a\":2,\"options\":{\"num_ctx\":8192} }"},
        {"{\"options\":null,\"options\":null,\"a\":2}", "{\"options\":null,\"options\":{\"num_ctx\":8192},\"a\":2}"},
        {"{\"options\":{\"num_ctx\":8192},\"options\":null,\"options\":{\"seed\":1}}",
         "{\"options\":{\"num_ctx\":8192},\"options\":null,\"options\":{\"seed\":1,\"num_ctx\":8192}}"},
        {"{\"optionss\":{\"num_ctx\":1},\"options\":{\"num_ct\":1}}", "{\"optionss\":{\"num_ctx\":1},\"options\":{\"num_ct\":1,\"num_ctx\":8192}}"},
    };
    static const struct row outer_rows[] = {
        {"{\"keep_alive\":0,\"KEEP_ALIVE\":\"1h\"}", "{\"keep_alive\":\"5m\",\"KEEP_ALIVE\":\"5m\"}"},
        {"{\"\xe2\x84\xaa" "eep_alive\":0}", "{\"\xe2\x84\xaa" "eep_alive\":\"5m\"}"},
        {"{\"options\":\"any\",\"keep_alive\":null}", "{\"options\":\"any\",\"keep_alive\":\"5m\"}"},
    };
    CHECK(&set_one, rows);
    CHECK(&set_outer, outer_rows);
}

static void test_only_where_absent(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{}", "{\"keep_alive\":\"5m\",\"options\":{\"num_ctx\":8192}}"},
        {"{\"keep_alive\":0,\"options\":{\"num_ctx\":1}}", "{\"keep_alive\":0,\"options\":{\"num_ctx\":1}}"},
        {"{\"Keep_Alive\":0,\"Options\":{\"num_ctx\":1}}", "{\"Keep_Alive\":0,\"Options\":{\"num_ctx\":1}}"},
        {"{\"keep_alive\":null,\"options\":{\"num_ctx\": null }}", "{\"keep_alive\":\"5m\",\"options\":{\"num_ctx\": 8192 }}"},
        {"{\"keep_alive\":1,\"keep_alive\":null,\"options\":{\"num_ctx\":1}}", "{\"keep_alive\":1,\"keep_alive\":\"5m\",\"options\":{\"num_ctx\":1}}"},
        {"{\"keep_alive\":null,\"keep_alive\":1,\"options\":{\"num_ctx\":1}}", "{\"keep_alive\":null,\"keep_alive\":1,\"options\":{\"num_ctx\":1}}"},
        {"{\"keep_alive\":1,\"options\":{\"num_ctx\":1},\"options\":{}}", "{\"keep_alive\":1,\"options\":{\"num_ctx\":1},\"options\":{}}"},
        {"{\"keep_alive\":1,\"options\":{\"num_ctx\":1},\"options\":null}", "{\"keep_alive\":1,\"options\":{\"num_ctx\":1},\"options\":null,\"options\":{\"num_ctx\":8192}}"},
        {"{\"keep_alive\":1,\"options\":{\"num_ctx\":null},\"options\":null,\"options\":{}}",
         "{\"keep_alive\":1,\"options\":{\"num_ctx\":null},\"options\":null,\"options\":{\"num_ctx\":8192}}"},
        {"{\"keep_alive\":1,\"options\":{\"NUM_CTX\":1}}", "{\"keep_alive\":1,\"options\":{\"NUM_CTX\":1,\"num_ctx\":8192}}"},
    };
    CHECK(&set_absent, rows);
}

static void test_removed_with_one_comma_each(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{}", "{}"},
        {"{\"options\":null}", "{\"options\":null}"},
        {"{\"keep_alive\":1}", "{}"},
        {"{ \"keep_alive\" : 1 }", "{  }"},
        {"{\"keep_alive\":1,\"a\":2}", "{\"a\":2}"},
        {"{\"a\":2 , \"keep_alive\":1 }", "{\"a\":2 }"},
        {"{\"a\":2, \"keep_alive\":1, \"b\":3}", "{\"a\":2, \"b\":3}"},
        {"{\"keep_alive\":1, \"KEEP_ALIVE\":2}", "{}"},
        {"{\"keep_alive\":1, \"KEEP_ALIVE\":2,\"a\":3}", "{\"a\":3}"},
        {"{\"a\":0,\"keep_alive\":1, \"KEEP_ALIVE\":2,\"b\":3}", "{\"a\":0,\"b\":3}"},
        {"{\"a\":0,\"keep_alive\":1, \"KEEP_ALIVE\":2}", "{\"a\":0}"},
        {"{\"keep_alive\":1,\"a\":0,\"keep_alive\":2}", "{\"a\":0}"},
        {"{\"options\":{\"num_ctx\":1,\"Num_Ctx\":2},\"keep_alive\":1,\"options\":{\"a\":1,\"num_ctx\":2,\"b\":3}}",
         "{\"options\":{},\"options\":{\"a\":1,\"b\":3}}"},
    };
    static const struct json_edit both[] = {{0, "a", NULL, JSON_REMOVE}, {0, "b", "1", JSON_SET}, {0, "c", "[2]", JSON_SET}};
    static const struct json_edits mixed = {NULL, both, 3};
    static const struct row mixed_rows[] = {
        {"{\"a\":1}", "{\"b\":1,\"c\":[2]}"},
        {"{ \"a\":1 }", "{ \"b\":1,\"c\":[2] }"},
        {"{\"a\":1,\"b\":\"long long long\",\"a\":3}", "{\"b\":1,\"c\":[2]}"},
        {"{\"c\":0,\"a\":{},\"b\":0,\"d\":\"\"}", "{\"c\":[2],\"b\":1,\"d\":\"\"}"},
    };
    CHECK(&remove_all, rows);
    CHECK(&mixed, mixed_rows);
}

/* The bytes stay, and so does the mistake: the backend tells it. */
static void test_what_is_no_object_stays(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "", " ", "null", "[]", "\"options\"", "[{\"options\":{}}]", "{", "{\"options\":{\"num_ctx\":1}", "{\"options\":{\"num_ctx\":1",
        "{\"options\":{\"num_ctx\":1}]", "{\"options\":{\"num_ctx\":tru}}", "{\"options\":{\"num_ctx\":1,}}", "{options:{}}",
        "\xef\xbb\xbf{\"options\":{\"num_ctx\":1}}", "{\"options\":{\"num_ctx\":1},\"a\":01}", "{'options':{}}",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        size_t n;
        int error;
        char *after = spliced(broken[i], strlen(broken[i]), &set_all, &n, &error);
        if (error != -EINVAL || strcmp(after, broken[i]) != 0)
            fail_msg("%s became %s (%d)", broken[i], after, error);
        free(after);
    }
    static const char whole[] = "{\"model\":\"m\",\"options\":{\"num_ctx\":1},\"keep_alive\":null}";
    for (size_t cut_n = 0; cut_n < sizeof whole - 1; cut_n++) {
        size_t n;
        int error;
        char *after = spliced(whole, cut_n, &set_all, &n, &error);
        assert_int_equal(error, -EINVAL);
        assert_int_equal(n, cut_n);
        assert_memory_equal(after, whole, cut_n);
        free(after);
    }
}

static void test_an_inner_one_of_a_wrong_type_stays(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"options\":1}", "{\"options\":1}"},
        {"{\"options\":\"num_ctx\",\"keep_alive\":0}", "{\"options\":\"num_ctx\",\"keep_alive\":0}"},
        {"{\"options\":[{\"num_ctx\":1}]}", "{\"options\":[{\"num_ctx\":1}]}"},
        {"{\"options\":{\"num_ctx\":1},\"Options\":false}", "{\"options\":{\"num_ctx\":1},\"Options\":false}"},
    };
    CHECK(&set_all, rows);
}

static void test_what_follows_the_object_stays(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{} {\"options\":{\"num_ctx\":1}}", "{\"options\":{\"num_ctx\":8192}} {\"options\":{\"num_ctx\":1}}"},
        {"{\"options\":{\"num_ctx\":1}}garbage\xff", "{\"options\":{\"num_ctx\":8192}}garbage\xff"},
    };
    CHECK(&set_one, rows);
}

static void test_more_names_than_are_counted(void **state)
{
    (void)state;
    char json[64 * 1024];
    int n = snprintf(json, sizeof json, "{\"options\":{");
    for (int i = 0; i < JSON_CHANGES_MAX + 1; i++)
        n += snprintf(json + n, sizeof json - (size_t)n, "%s\"num_ctx\":1", i ? "," : "");
    n += snprintf(json + n, sizeof json - (size_t)n, "}}");
    size_t after_n;
    int error;
    char *after = spliced(json, (size_t)n, &set_one, &after_n, &error);
    assert_int_equal(error, -E2BIG);
    assert_int_equal(after_n, n);
    assert_memory_equal(after, json, after_n);
    free(after);
}

static void test_nesting_and_its_bound(void **state)
{
    (void)state;
    for (int depth = 9999; depth <= 10000; depth++) { /* and the object around them */
        size_t n = 0, after_n;
        int error;
        char *json = malloc(2 * 10000 + 64);
        assert_non_null(json);
        put(json, &n, "{\"a\":");
        memset(json + n, '[', (size_t)depth);
        memset(json + n + depth, ']', (size_t)depth);
        n += 2 * (size_t)depth;
        put(json, &n, ",\"options\":{\"num_ctx\":1}}");
        char *after = spliced(json, n, &set_one, &after_n, &error);
        assert_int_equal(error, depth == 9999 ? 0 : -EINVAL);
        assert_int_equal(after_n, depth == 9999 ? n + 3 : n);
        free(after);
        free(json);
    }
}

static int64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 64 MB of what is dear to read: quotes that are escaped, brackets, duplicate names of others. Four times as much may cost
 * some four times as much; what grows with the square would cost 16 times. */
static void test_large_bodies_take_linear_time(void **state)
{
    (void)state;
    static const char *const fillings[] = {"\\\\\\\"", "[],", "{\"a\":1},", "0 ,"};
    for (size_t k = 0; k < sizeof fillings / sizeof *fillings; k++) {
        int64_t took_ms[2];
        for (int large = 0; large < 2; large++) {
            size_t size = (size_t)(large ? 64 : 16) * MEGABYTE, n = 0, unit_n = strlen(fillings[k]);
            char *json = malloc(size + 64);
            assert_non_null(json);
            put(json, &n, k ? "{\"x\":[" : "{\"x\":\"");
            for (; n + unit_n < size; n += unit_n)
                memcpy(json + n, fillings[k], unit_n);
            put(json, &n, k ? "0],\"options\":{\"num_ctx\":4}}" : "\",\"options\":{\"num_ctx\":4}}");
            struct json_splice s;
            int64_t begun_ms = cpu_ms();
            assert_int_equal(json_splice_find(&s, json, n, &set_one), 0);
            took_ms[large] = cpu_ms() - begun_ms;
            assert_int_equal(s.changes_n, 1);
            assert_int_equal(json_splice_size(&s, n), n + 3);
            free(json);
        }
        if (took_ms[1] > 10 * took_ms[0] + 100)
            fail_msg("%s: 16 MB took %lld ms, 64 MB %lld ms", fillings[k], (long long)took_ms[0], (long long)took_ms[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_are_set_added_and_left),
        cmocka_unit_test(test_no_other_byte_changes),
        cmocka_unit_test(test_what_go_would_take_for_the_member),
        cmocka_unit_test(test_only_where_absent),
        cmocka_unit_test(test_removed_with_one_comma_each),
        cmocka_unit_test(test_what_is_no_object_stays),
        cmocka_unit_test(test_an_inner_one_of_a_wrong_type_stays),
        cmocka_unit_test(test_what_follows_the_object_stays),
        cmocka_unit_test(test_more_names_than_are_counted),
        cmocka_unit_test(test_nesting_and_its_bound),
        cmocka_unit_test(test_large_bodies_take_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
