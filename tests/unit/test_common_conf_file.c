/* common/conf: the ini file as people and editors really write it; every mistake is told with its line. */
#include "tests/unit/conf_each.h"

#include <errno.h>

static void good(const char *text)
{
    conf_case_load(&k, text, NULL);
    conf_case_good(&k);
}

static void test_mistakes_are_told_with_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *told;
    } cases[] = {
        {"[supervisor]\nidle_timout = 5m\n", 2, "unknown key \"idle_timout\" in [supervisor]; did you mean idle_timeout?"},
        {"\n[supervizor]\n", 2, "unknown section [supervizor]; did you mean [supervisor]?"},
        {"[enviroment]\nX = 1\n", 1, "did you mean [environment]?"},
        {"[Proxy]\n", 1, "unknown section [Proxy]; did you mean [proxy]?"},
        {"[]\n", 1, "unknown section []"},
        {"[wholly else]\n", 1, "unknown section [wholly else]"},
        {"[proxy]\nxyzzy = 1\n", 2, "unknown key \"xyzzy\" in [proxy]"},
        {"[proxy]\nListen = 127.0.0.1:1\n", 2, "did you mean listen?"},
        {"[proxy]\nmax_queue = 1\nmax_queue = 2\n", 3, "max_queue is set twice in [proxy], first in line 2"},
        {"[proxy]\n[supervisor]\n[proxy]\n", 3, "[proxy] stands twice, first in line 1"},
        {"[program:a]\ncommand = x\n[program:a]\n", 3, "[program:a] stands twice, first in line 1"},
        {"[environment]\n[environment]\n", 2, "[environment] stands twice, first in line 1"},
        {"[environment]\nA = 1\nA = 2\n", 3, "A is set twice, first in line 2"},
        {"[environment]\n1A = 1\n", 2, "\"1A\" is no variable's name"},
        {"[environment]\n= 1\n", 2, "\"\" is no variable's name"},
        {"[environment]\n://x\n", 2, "\"\" is no variable's name"},
        {"[environment]\nA-B = 1\n", 2, "\"A-B\" is no variable's name"},
        {"max_queue = 1\n", 1, "\"max_queue\" stands before the first [section]"},
        {"[proxy]\nmax_queue\n", 2, "\"max_queue\" is neither `key = value` nor [section]"},
        {"[proxy\nmax_queue = 1\n", 1, "not closed"},
        {"[proxy] max_queue = 1\n", 1, "\"max_queue = 1\" after the section's header"},
        {"[proxy]\nmax_queue = 1e3\n", 2, "[proxy] max_queue: \"1e3\" is no whole number"},
        {"[proxy]\n\n\nhold_timeout = 60\n", 4, "has no unit: write 60s"},
        {"[proxy]\nhold_timeout = 5 m\n", 2, "is no duration"},
        {"[proxy]\nhold_timeout = -1s\n", 2, "is no duration"},
        {"[proxy]\nhold_timeout = 1e9h\n", 2, "is no duration"},
        {"[proxy]\nhold_timeout =\n", 2, "is no duration"},
        {"[program]\ncommand = x\n", 1, "[program] needs a name: write [program:NAME]"},
        {"[program:]\ncommand = x\n", 1, "is no name"},
        {"[program:a b]\ncommand = x\n", 1, "\"a b\" is no name"},
        {"[program:../a]\ncommand = x\n", 1, "is no name"},
        {"[proxy:a]\n", 1, "[proxy] has no name: write [proxy]"},
        {"[program:a]\ncommand = 'x\n", 2, "the quote ' is not closed"},
        {"[program:a]\n", 1, "[program:a] command: there is none"},
        {"[program:a]\ncommand = x\nenvironment = A\n", 3, "write NAME=value"},
        {"[program:a]\ncommand = x\nready = maybe\n", 3, "[program:a] ready"},
        {"[program:a]\ncommand = x\nready = http://example.com/\n", 3, "the supervisor asks no name server"},
        {"[program:a]\ncommand = x\nready = https://127.0.0.1/\n", 3, "is no address that can be asked"},
        {"[program:a]\ncommand = x\nready = notfy\n", 3, "\"notfy\" is neither none, notify, exit nor a URL"},
        {"[program:a]\ncommand = x\nlive = yes\n", 3, "\"yes\" is neither none nor a URL"},
        {"[program:a]\ncommand = x\nready = exit\nwatchdog = 5s\n", 4, "a task (ready = exit) is not watched"},
        {"[program:a]\ncommand = x\nready = exit\nlive = http://127.0.0.1/\n", 4, "a task (ready = exit) is not watched"},
        {"[program:a]\ncommand = x\nbackoff_min = 1m\n", 3, "longer than backoff_max"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        conf_case_load(&k, cases[i].text, NULL);
        conf_case_told(&k, cases[i].line, cases[i].told);
    }
}

static void test_every_mistake_of_a_file_is_told_in_one_go(void **state)
{
    (void)state;
    conf_case_load(&k,
                   "oops\n"
                   "[supervisor]\n"
                   "idle_timeout = 60\n"
                   "[nonsense]\n"
                   "a = b\n"
                   "[proxy]\n"
                   "listen = 127.0.0.1\n"
                   "max_queu = 3\n"
                   "\x01\n"
                   "[program:x]\n"
                   "stop_signal = BLUE\n",
                   NULL);
    conf_case_told(&k, 1, "neither");
    conf_case_told(&k, 3, "no unit");
    conf_case_told(&k, 4, "unknown section");
    conf_case_told(&k, 7, "port is missing");
    conf_case_told(&k, 8, "did you mean max_queue?");
    conf_case_told(&k, 9, "control character (0x01)");
    conf_case_told(&k, 10, "there is none");
    conf_case_told(&k, 11, "is no signal");
    assert_int_equal(k.diag.errors_n, 8); /* the keys of a section that is unknown are not told again */
}

static void test_a_byte_order_mark_and_windows_line_ends_are_taken(void **state)
{
    (void)state;
    good("\xef\xbb\xbf[proxy]\r\nmax_queue = 7\r\n\r\n[supervisor]\r\nidle_timeout = 5m\r\n");
    assert_int_equal(k.conf->proxy.max_queue, 7);
    assert_int_equal(k.conf->supervisor.idle_timeout_ms, 300000);
    good("\xef\xbb\xbf");
    good("\xef\xbb\xbf; only a comment");
    conf_case_load(&k, "\xef\xbb\xbf[proxy]\nmax_queue = x\n", NULL);
    conf_case_told(&k, 2, "no whole number");
}

static void test_nul_bytes_and_control_characters_are_told(void **state)
{
    (void)state;
    static const char nul[] = "[proxy]\nmax_\0queue = 7\nmax_queue = 8\n";
    conf_case_load_bytes(&k, nul, sizeof nul - 1, NULL);
    conf_case_told(&k, 2, "NUL byte");
    assert_int_equal(k.diag.errors_n, 1);
    static const char utf16[] = "\xff\xfe[\0p\0r\0o\0x\0y\0]\0\n\0";
    conf_case_load_bytes(&k, utf16, sizeof utf16 - 1, NULL);
    conf_case_told(&k, 1, "NUL byte");
    conf_case_load(&k, "[proxy]\nmax_queue = 7\rmax_clients = 3\n", NULL); /* an old Mac's line end */
    conf_case_told(&k, 2, "control character (0x0d)");
    conf_case_load(&k, "[proxy]\nbackend = http://h\x1b[2J\n", NULL);
    conf_case_told(&k, 2, "control character (0x1b)");
    conf_case_load(&k, "[proxy]\nmax_queue\x7f = 1\n", NULL);
    conf_case_told(&k, 2, "control character (0x7f)");
}

static void test_latin1_and_utf8_bytes_stay_as_they_are(void **state)
{
    (void)state;
    good("[environment]\nA = caf\xe9\nB = caf\xc3\xa9 \xf0\x9f\x98\x80\n; Gr\xfc\xdf" "e\n");
    assert_string_equal(k.conf->environment.items[0].value, "caf\xe9");
    assert_string_equal(k.conf->environment.items[1].value, "caf\xc3\xa9 \xf0\x9f\x98\x80");
    conf_case_load(&k, "[pr\xf6xy]\n", NULL);
    conf_case_told(&k, 1, "did you mean [proxy]?");
    conf_case_load(&k, "[program:caf\xe9]\ncommand = x\n", NULL);
    conf_case_told(&k, 1, "is no name");
}

/* `prefix`, then so many letters that the line has line_n bytes; then the rest of the file. */
static char *with_line(const char *before, const char *prefix, size_t line_n, const char *after)
{
    size_t prefix_n = strlen(prefix);
    char *text = malloc(strlen(before) + line_n + strlen(after) + 1);
    assert_non_null(text);
    char *at = stpcpy(text, before);
    at = stpcpy(at, prefix);
    for (size_t i = prefix_n; i < line_n; i++)
        *at++ = (char)('a' + (i - prefix_n) % 26);
    stpcpy(at, after);
    return text;
}

static void test_a_line_of_8192_bytes_is_whole_and_one_more_is_refused(void **state)
{
    (void)state;
    char *text = with_line("[environment]\n", "LONG = ", 8192, "\nNEXT = n\n");
    good(text);
    const char *value = k.conf->environment.items[0].value;
    assert_int_equal(strlen(value), 8192 - 7);
    for (size_t i = 0; value[i]; i++)
        assert_int_equal(value[i], 'a' + (int)(i % 26));
    assert_string_equal(k.conf->environment.items[1].value, "n");
    free(text);
    text = with_line("[environment]\n", "LONG = ", 8193, "\nNEXT = n\n");
    conf_case_load(&k, text, NULL);
    conf_case_told(&k, 2, "the line has 8193 bytes; 8192 at the most");
    assert_int_equal(k.diag.errors_n, 1);
    free(text);
    text = with_line("[environment]\n", "LONG = ", 8192, "\r\n");
    good(text); /* the line end does not count */
    free(text);
}

static void test_a_line_of_100_kb_is_told_and_the_next_is_read(void **state)
{
    (void)state;
    char *text = with_line("[environment]\n", "LONG = ", 100 * 1024, "\n9 = n\n");
    conf_case_load(&k, text, NULL);
    conf_case_told(&k, 2, "the line has 102400 bytes");
    conf_case_told(&k, 3, "\"9\" is no variable's name");
    assert_int_equal(k.diag.errors_n, 2);
    free(text);
    text = with_line("[proxy]\n; ", "", 100 * 1024, "\nmax_queue = 3");
    conf_case_load(&k, text, NULL);
    conf_case_told(&k, 2, "the line has 102402 bytes");
    free(text);
}

static void test_values_of_every_length_are_kept_whole(void **state)
{
    (void)state;
    for (size_t n = 8; n < 1000; n++) {
        char *text = with_line("[environment]\n", "LONG = ", n, "\nNEXT = n\n");
        good(text);
        const char *value = k.conf->environment.items[0].value;
        assert_int_equal(strlen(value), n - 7);
        for (size_t i = 0; value[i]; i++)
            assert_int_equal(value[i], 'a' + (int)(i % 26));
        assert_string_equal(k.conf->environment.items[1].value, "n");
        free(text);
    }
}

static void test_long_values_keep_their_blanks_and_marks(void **state)
{
    (void)state;
    static const char marks[] = "a b;c#d,e  f=g:h[i]\"j'";
    char text[8300] = "[environment]\nLONG = ", wanted[8000] = "";
    while (strlen(wanted) + sizeof marks < 4000)
        memcpy(wanted + strlen(wanted), marks, sizeof marks);
    memcpy(text + strlen(text), wanted, strlen(wanted) + 1);
    good(text);
    assert_string_equal(k.conf->environment.items[0].value, wanted);
}

static void test_blanks_without_end_are_kept_or_told_and_never_cut(void **state)
{
    (void)state;
    char text[2000];
    int n = snprintf(text, sizeof text, "[environment]\nLONG = x%300sy\n", "");
    conf_case_load_bytes(&k, text, (size_t)n, NULL);
    if (k.error)
        conf_case_told(&k, 2, "no place to cut it");
    else
        assert_int_equal(strlen(k.conf->environment.items[0].value), 302);
}

static void test_a_long_comment_is_a_comment_to_its_end(void **state)
{
    (void)state;
    static const char *const starts[] = {"; ", "# ", ";", "#", "  ; ", "  # ", "\t#"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        char before[64];
        snprintf(before, sizeof before, "[environment]\nA = 1\n%s", starts[i]);
        char *text = with_line(before, "x = y ", 700, "\nB = 2\n");
        good(text);
        assert_int_equal(k.conf->environment.items_n, 2);
        assert_string_equal(k.conf->environment.items[0].value, "1");
        assert_string_equal(k.conf->environment.items[1].value, "2");
        free(text);
    }
}

static void test_a_long_key_is_told_and_spoils_nothing(void **state)
{
    (void)state;
    char *text = with_line("[environment]\nA = 1\n", "K", 500, " = 2\nB = 3\n");
    conf_case_load(&k, text, NULL);
    conf_case_told(&k, 3, "");
    assert_int_equal(k.diag.errors_n, 1);
    free(text);
}

static void test_a_long_line_that_is_no_pair_is_told_once(void **state)
{
    (void)state;
    char *text = with_line("[environment]\nA = 1\n", "K", 700, "\nB = 3\n");
    conf_case_load(&k, text, NULL);
    conf_case_told(&k, 3, "neither");
    assert_int_equal(k.diag.errors_n, 1);
    free(text);
}

static void test_section_names_of_60_are_kept_and_of_200_refused(void **state)
{
    (void)state;
    char text[400], name[300];
    memset(name, 'n', sizeof name);
    name[60] = '\0';
    snprintf(text, sizeof text, "[program:%s]\ncommand = x\n", name);
    good(text);
    assert_non_null(conf_program(k.conf, name));
    assert_int_equal(k.conf->programs_n, 4);
    name[60] = 'n';
    name[200] = '\0';
    snprintf(text, sizeof text, "[program:%s]\ncommand = x\n", name);
    conf_case_load(&k, text, NULL);
    conf_case_told(&k, 1, "is no name");
    assert_int_equal(k.diag.errors_n, 1);
    snprintf(text, sizeof text, "[%s]\nx = y\n", name);
    conf_case_load(&k, text, NULL);
    conf_case_told(&k, 1, "unknown section");
}

static void test_names_that_begin_alike_are_not_mixed_up(void **state)
{
    (void)state;
    char text[600], one[64], two[64];
    memset(one, 'n', 59);
    memcpy(two, one, 59);
    memcpy(one + 59, "1", 2);
    memcpy(two + 59, "2", 2);
    snprintf(text, sizeof text, "[program:%s]\ncommand = a\n[program:%s]\ncommand = b\n", one, two);
    good(text);
    assert_string_equal(conf_program(k.conf, one)->command.items[0], "a");
    assert_string_equal(conf_program(k.conf, two)->command.items[0], "b");
}

static void test_indented_lines_continue_the_value_above(void **state)
{
    (void)state;
    good("[proxy]\nlisten = 127.0.0.1:1,\n    127.0.0.1:2,\n\t127.0.0.1:3\nmax_queue = 4\n");
    assert_int_equal(k.conf->listen_n, 3);
    assert_int_equal(k.conf->listen[2].port, 3);
    assert_int_equal(k.conf->proxy.max_queue, 4);
    good("[environment]\nA =\n  one\n\n  two ; with a comment\n  # and a line of one\n  three\n");
    assert_string_equal(k.conf->environment.items[0].value, "one two three");
    good("[environment]\nA = x\n  b = c\n");
    assert_string_equal(k.conf->environment.items[0].value, "x b = c");
    char *text = with_line("[environment]\nA = x\n", "   ", 1000, "\n  y\n");
    good(text);
    assert_int_equal(strlen(k.conf->environment.items[0].value), 1 + 1 + 997 + 2);
    free(text);
}

static void test_an_indented_line_without_a_value_above_is_told(void **state)
{
    (void)state;
    static const char *const texts[] = {"[proxy]\n  max_queue = 3\n", "[proxy]\n  max_queue\n",
                                        "; c\n  x\n", "[proxy]\n \t x\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        conf_case_load(&k, texts[i], NULL);
        conf_case_told(&k, 2, "there is none");
        assert_int_equal(k.diag.errors_n, 1);
    }
}

static void test_an_indented_line_after_a_refused_one_spoils_nothing(void **state)
{
    (void)state;
    conf_case_load(&k, "[environment]\nA = 1\n[proxy]\nnonsense\n  more of it\n", NULL);
    conf_case_told(&k, 4, "neither");
    conf_case_load(&k, "[proxy]\nmax_queue = 1\nnonsense\n  2\n", NULL);
    conf_case_told(&k, 3, "neither");
    assert_false(conf_case_has(&k, "error", k.file, 2, ""));
}

static void test_comments(void **state)
{
    (void)state;
    good("; one\n# two\n  ; three\n[proxy] ; four\nmax_queue = 5 ; five\n[supervisor]# six\nidle_timeout = 1s\t; seven\n");
    assert_int_equal(k.conf->proxy.max_queue, 5);
    assert_int_equal(k.conf->supervisor.idle_timeout_ms, 1000);
    good("[environment]\nA = a;b#c\nB = a # b\nC = ;\nD = ; all\n");
    assert_string_equal(k.conf->environment.items[0].value, "a;b#c");
    assert_string_equal(k.conf->environment.items[1].value, "a # b");
    assert_string_equal(k.conf->environment.items[2].value, "");
    assert_string_equal(k.conf->environment.items[3].value, "");
}

static void test_the_last_line_needs_no_end(void **state)
{
    (void)state;
    good("[proxy]\nmax_queue = 9");
    assert_int_equal(k.conf->proxy.max_queue, 9);
    good("[proxy]");
    good("\n\n\n");
    good("");
}

static void test_a_colon_separates_too_and_values_may_have_both(void **state)
{
    (void)state;
    good("[proxy]\nmax_queue: 3\nbackend = http://10.0.0.1:80\nlisten=127.0.0.1:1\n[environment]\nA=b=c\nB=a:b\n");
    assert_int_equal(k.conf->proxy.max_queue, 3);
    assert_string_equal(k.conf->proxy.backend, "http://10.0.0.1:80");
    assert_string_equal(k.conf->environment.items[0].value, "b=c");
    assert_string_equal(k.conf->environment.items[1].value, "a:b");
}

static void test_too_many_lines_are_told_once(void **state)
{
    (void)state;
    enum { LINES = 30000 };
    char *text = malloc(LINES + 1);
    assert_non_null(text);
    memset(text, '\n', LINES);
    text[LINES] = '\0';
    conf_case_load(&k, text, NULL);
    conf_case_told(&k, 20001, "more than 20000 lines");
    assert_int_equal(k.diag.errors_n, 1);
    free(text);
}

static void test_a_value_of_countless_lines_is_bounded(void **state)
{
    (void)state;
    enum { LINES = 19000 };
    char *text = malloc(LINES * 52 + 64);
    assert_non_null(text);
    char *at = stpcpy(text, "[environment]\nA = 1\n");
    for (int i = 0; i < LINES; i++)
        at += sprintf(at, " %049d\n", i);
    conf_case_load(&k, text, NULL);
    assert_int_equal(k.error, -EINVAL);
    assert_non_null(memmem(buf_data(&k.diag.text), buf_size(&k.diag.text), "longer than 64 KB", 17));
    assert_true(k.diag.errors_n <= 2);
    free(text);
}

static void test_too_many_programs_are_told(void **state)
{
    (void)state;
    char text[4096] = "";
    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "[program:p%d]\ncommand = x\n", i);
    conf_case_load(&k, text, NULL);
    conf_case_told(&k, 2 * (CONF_PROGRAMS_MAX - 3) + 1, "more than 32 sections [program:NAME]");
}

static void test_files_that_cannot_be_read_are_told(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES];
    static char *empty[] = {NULL};
    static const char *const names[] = {"absent.ini", "."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        diag_fini(&k.diag);
        diag_init(&k.diag);
        scratch_path(&k.scratch, names[i], path);
        assert_int_equal(conf_load(&k.conf, path, empty, &k.diag), -EINVAL);
        assert_null(k.conf);
        assert_non_null(memmem(buf_data(&k.diag.text), buf_size(&k.diag.text), "can't be read", 13));
        assert_int_equal(k.diag.errors_n, 1);
    }
}

static void test_paths_start_at_the_folder_of_the_file(void **state)
{
    (void)state;
    good("[supervisor]\nstate_dir = state\ncontrol_socket = /run/c.sock\n");
    char path[SCRATCH_PATH_BYTES];
    assert_string_equal(k.conf->supervisor.state_dir, scratch_path(&k.scratch, "state", path));
    assert_string_equal(k.conf->supervisor.control_socket, "/run/c.sock");
    conf_case_load(&k, "[supervisor]\ncontrol_socket = /run/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/c.sock\n", NULL);
    conf_case_told(&k, 2, "longer than 107 bytes");
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_mistakes_are_told_with_file_and_line),
        CASE(test_every_mistake_of_a_file_is_told_in_one_go),
        CASE(test_a_byte_order_mark_and_windows_line_ends_are_taken),
        CASE(test_nul_bytes_and_control_characters_are_told),
        CASE(test_latin1_and_utf8_bytes_stay_as_they_are),
        CASE(test_a_line_of_8192_bytes_is_whole_and_one_more_is_refused),
        CASE(test_a_line_of_100_kb_is_told_and_the_next_is_read),
        CASE(test_values_of_every_length_are_kept_whole),
        CASE(test_long_values_keep_their_blanks_and_marks),
        CASE(test_blanks_without_end_are_kept_or_told_and_never_cut),
        CASE(test_a_long_comment_is_a_comment_to_its_end),
        CASE(test_a_long_key_is_told_and_spoils_nothing),
        CASE(test_a_long_line_that_is_no_pair_is_told_once),
        CASE(test_section_names_of_60_are_kept_and_of_200_refused),
        CASE(test_names_that_begin_alike_are_not_mixed_up),
        CASE(test_indented_lines_continue_the_value_above),
        CASE(test_an_indented_line_without_a_value_above_is_told),
        CASE(test_an_indented_line_after_a_refused_one_spoils_nothing),
        CASE(test_comments),
        CASE(test_the_last_line_needs_no_end),
        CASE(test_a_colon_separates_too_and_values_may_have_both),
        CASE(test_too_many_lines_are_told_once),
        CASE(test_a_value_of_countless_lines_is_bounded),
        CASE(test_too_many_programs_are_told),
        CASE(test_files_that_cannot_be_read_are_told),
        CASE(test_paths_start_at_the_folder_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
