/* See torture.h. The numbers of scenarios are those of the list that the project's tests name. */
#include "tests/torture/torture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define SITE "[supervisor]\n" SITE_REST
#define SITE_REST                                    \
    "control_socket = @DIR/control.sock\n"           \
    "state_dir = @DIR\n"                             \
    "shutdown_timeout = 4s\n"
#define PROXY_OFF                                    \
    "[proxy]\nlisten = @ADDRESS:10434\n"             \
    "[program:proxy]\nautostart = no\n"
#define NO_MODELS "[preload]\nmodels = none\n"
#define OLLAMA                                       \
    "[program:ollama]\n"                             \
    "command = @CHILD sleep\n"                       \
    "ready = none\n"                                 \
    "required = no\n"                                \
    "stop_timeout = 100ms\n"                         \
    "backoff_min = 1ms\n"
#define QUIET SITE PROXY_OFF NO_MODELS
#define USUAL QUIET OLLAMA

/* A program that restarts at once and is never given up within a run. */
#define PROGRAM(name, command)                       \
    "[program:" name "]\n"                           \
    "command = @CHILD " command "\n"                 \
    "required = no\n"                                \
    "backoff_min = 1ms\nbackoff_max = 20ms\n"        \
    "max_restarts = 1000\nstart_timeout = 300ms\n"   \
    "stop_timeout = 100ms\n"

#define STATE(name, state) {.kind = STEP_STATE, .a = name, .n = CONTRACT_##state}
#define SAY(line, answer) {.kind = STEP_SAY, .a = line, .b = answer}
#define SEND(bytes) {.kind = STEP_SEND, .a = bytes}
#define INI(text) {.kind = STEP_INI, .a = text}
#define LOGGED(text) {.kind = STEP_LOG, .b = text}
#define RESTARTS(name, times) {.kind = STEP_RESTARTS, .a = name, .n = times}
#define CALLED(function) {.kind = STEP_CALL, .a = #function, .fn = function}
#define SIGNAL(number, until) {.kind = STEP_SIGNAL, .n = number, .a = #until, .fn = until}
#define KILL(name, number) {.kind = STEP_KILL, .a = name, .n = number}

#define HUNDRED "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define OVERLONG HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED

/* ---- ready by URL: nobody, garbage, a refusal, and then the answer ---- */

static int has_asked_twice(void)
{
    return puppet_asked_n() >= 2;
}

static int answer_garbage(void)
{
    puppet_answer("\r\n\r\n");
    return 1;
}

static int answer_500(void)
{
    puppet_answer("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    return 1;
}

static int answer_200(void)
{
    puppet_answer("HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"models\":[]}");
    return 1;
}

/* ---- strangers on the notify socket ---- */

/* Not a child of ours, and with descriptors that nobody asked for. */
static int notify_from_outside(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = puppet_supervisor->notify.path;
    union {
        char bytes[CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = {0}};
    int fds[3] = {0, 1, 2}, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct iovec part = {(char[]){"READY=1\n=\n\n"}, 11};
    struct msghdr m = {.msg_name = &to, .msg_iov = &part, .msg_iovlen = 1};
    memcpy(to.sun_path + 1, path + 1, strlen(path) - 1);
    m.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    (void)!sendmsg(fd, &m, 0);
    m.msg_control = control.bytes;
    m.msg_controllen = sizeof control.bytes;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fds)};
    memcpy(CMSG_DATA(c), fds, sizeof fds);
    (void)!sendmsg(fd, &m, 0);
    close(fd);
    return 1;
}

static int has_forgotten_strangers(void)
{
    return state_child(puppet_supervisor, "b")->program.state == CONTRACT_STARTING;
}

/* ---- what the supervisor is in: its log may have lost the line ---- */

static int is_announced(void)
{
    return puppet_supervisor->is_announced;
}

static int is_stopping(void)
{
    return puppet_supervisor->is_stopping;
}

static int is_hurried(void)
{
    return puppet_supervisor->is_hurried;
}

/* What a reload changed has another process afterwards. */
static pid_t changing_pid;

static int remember_change(void)
{
    changing_pid = state_child(puppet_supervisor, "change")->program.pid;
    return 1;
}

static int is_changed(void)
{
    pid_t pid = state_child(puppet_supervisor, "change")->program.pid;
    return pid > 0 && pid != changing_pid;
}

static int has_come_back(void)
{
    return state_child(puppet_supervisor, "leave") != NULL;
}

/* ---- hand-over ---- */

static pid_t first_proxy_pid;

static int remember_proxy(void)
{
    first_proxy_pid = state_child(puppet_supervisor, "proxy")->program.pid;
    return 1;
}

static int is_another_proxy(void)
{
    pid_t pid = state_child(puppet_supervisor, "proxy")->program.pid;
    return pid > 0 && pid != first_proxy_pid;
}

static int has_two_listeners(void)
{
    return puppet_supervisor->doors.open.n == 2 && puppet_supervisor->doors.leaving.n == 0;
}

static int has_moved_and_one_listener(void)
{
    return puppet_supervisor->doors.open.n == 1 && strstr(puppet_supervisor->control.path, "moved.sock") != NULL;
}

static int has_moved_back(void)
{
    return has_two_listeners() && strstr(puppet_supervisor->control.path, "control.sock") != NULL;
}

static int is_drained(void)
{
    return draining_is_empty(&puppet_supervisor->draining);
}

/* ---- models.json: a reload that fails leaves what there was, and the owner's next try finds nothing in its way ---- */

static int write_presets(const char *text)
{
    char path[96];
    snprintf(path, sizeof path, "%s/presets.json", puppet_dir);
    FILE *f = fopen(path, "we");
    int is_written = f && fputs(text, f) >= 0;
    return (!f || fclose(f) == 0) && is_written;
}

static int write_good_presets(void)
{
    return write_presets("{\"cheap_text\": {\"model\": [\"m\", \"n\"], \"options\": {\"num_ctx\": 1024, \"batch_size\": 256}, \"system\": \"s\"}}\n");
}

static int has_presets(void)
{
    const struct conf *c = puppet_supervisor->conf;
    return c->presets_text && strncmp(c->presets_text, "{\"cheap_text\"", 13) == 0;
}

static int write_broken_presets(void)
{
    return write_presets("{\"a\": {\"model\": \"m\", \"options\": {\"x\": {}}}}\n");
}

/* ---- engines ---- */

#ifdef WITH_MODELS
static pid_t first_engine_pid;

/* Of the one that is ready; 0: none is. */
static pid_t engine_pid(void)
{
    struct contract_instance_view view;
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++) {
        contract_instance_read(&puppet_supervisor->board.page->instances[i], &view);
        if (view.state == CONTRACT_READY && strcmp(view.model, "org/name") == 0)
            return view.pid;
    }
    return 0;
}

static int has_engine(void)
{
    first_engine_pid = engine_pid();
    return first_engine_pid > 0;
}

static int has_another_engine(void)
{
    return engine_pid() > 0 && engine_pid() != first_engine_pid;
}

static int engine_dies(void)
{
    return kill(first_engine_pid, SIGKILL) == 0;
}
#endif

/* ---- rights: whatever fails, a program with a user never runs as us (scenario 64) ---- */

static int runs_as_nobody(void)
{
    const struct program *p = &state_child(puppet_supervisor, "a")->program;
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
    int fd = p->pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *uid = strstr(text, "Uid:\t"), *name = strstr(text, "Name:\tchild\n");
    if (!uid || !name)
        return 0; /* not yet what it is to be */
    if (strncmp(uid, "Uid:\t65534\t65534\t65534\t65534\n", 29) != 0)
        puppet_fail("it runs as another user: %.40s", uid);
    return 1;
}

/* ---- boot ---- */

static int take_the_port(void)
{
    puppet_answer("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}");
    return puppet_serve(PUPPET_LISTEN_PORT);
}

static int take_the_control_socket(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/control.sock", puppet_dir);
    unlink(at.sun_path);
    return bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 4) < 0 ? -1 : 0;
}

static int leave_a_stale_socket(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/control.sock", puppet_dir);
    unlink(at.sun_path);
    int error = bind(fd, (struct sockaddr *)&at, sizeof at);
    close(fd);
    return error;
}

#define LISTENERS(more, control_socket)                                                                        \
    "[supervisor]\ncontrol_socket = @DIR/" control_socket "\nstate_dir = @DIR\nshutdown_timeout = 4s\n"        \
    "[proxy]\nlisten = @ADDRESS:10434" more "\n" NO_MODELS OLLAMA
#define PRESETS(presets) SITE "[proxy]\nlisten = @ADDRESS:10434\n" presets NO_MODELS OLLAMA
#define RELOAD_BEFORE USUAL PROGRAM("keep", "sleep") PROGRAM("change", "sleep") PROGRAM("leave", "sleep")
#define RELOAD_AFTER USUAL PROGRAM("keep", "sleep") PROGRAM("change", "sleep 1") PROGRAM("come", "sleep")
#define RELOAD_WRONG USUAL PROGRAM("keep", "sleep") "no_such_key = 1\n[no_such_section]\n"

#define ENGINES(environment)                                                                                    \
    SITE "[proxy]\nlisten = @ADDRESS:10434\n" NO_MODELS "[program:ollama]\nautostart = no\n[models]\nserve = yes\nengines = played\n" \
    "[engine:played]\ncommand = @CHILD serve %(port)s %(path)s\nquantize_flags = q4\nstart_timeout = 5s\nstop_timeout = 100ms\n"         \
    "environment = " environment "\n[environment]\nTORTURE_ENGINES = yes\nHF_HUB_CACHE = @DIR\n"

const struct scenario scenarios[] = {
    {.name = "boot",
     .setup = leave_a_stale_socket,
     .ini = USUAL PROGRAM("b", "sleep") "depends = ollama\n[environment]\nA = b\n",
     .steps = {STATE("b", READY), CALLED(is_announced)}},
    {.name = "single", .words = {"exit", "7"}, .exit_code = 7, .ends_itself = 1, .ini = ""},
    {.name = "single_rest", .words = {"leave", "3"}, .exit_code = 3, .ends_itself = 1, .ini = ""},
    {.name = "port_taken", .setup = take_the_port, .exit_code = 111, .ini = USUAL},
    {.name = "control_taken", .setup = take_the_control_socket, .exit_code = 111, .may_boot = 1, .ini = USUAL},
    /* scenarios 16, 29: many die in one instant; exec fails after fork, for a folder, a file without a format, no right */
    {.name = "crash",
     .ini = USUAL PROGRAM("a", "exit 3") PROGRAM("b", "exit 127") PROGRAM("c", "exit 0") PROGRAM("nowhere", "sleep")
            "directory = @DIR/nowhere\n"
            "[program:noexec]\ncommand = @DIR/supervisor.ini\nrequired = no\nbackoff_min = 1ms\nmax_restarts = 3\n"
            "[program:missing]\ncommand = there-is-no-such-command\nrequired = no\nbackoff_min = 1ms\nmax_restarts = 3\n",
     .steps = {RESTARTS("a", 4), RESTARTS("b", 4), RESTARTS("c", 4), RESTARTS("nowhere", 3), STATE("noexec", FAILED),
               STATE("missing", FAILED), KILL("ollama", SIGKILL), RESTARTS("ollama", 1), STATE("ollama", READY)}},
    {.name = "required_failed",
     .exit_code = 1,
     .ends_itself = 1,
     .ini = USUAL "[program:a]\ncommand = @CHILD exit 3\nmax_restarts = 2\nbackoff_min = 1ms\nstop_timeout = 100ms\n"},
    {.name = "ready_url",
     .ini = QUIET "[program:ollama]\ncommand = @CHILD sleep\nready = http://@ADDRESS:10435/api/tags\nrequired = no\nstop_timeout = 100ms\n",
     .steps = {CALLED(has_asked_twice), CALLED(answer_garbage), CALLED(has_asked_twice), CALLED(answer_500),
               CALLED(has_asked_twice), CALLED(answer_200), STATE("ollama", READY)}},
    {.name = "ready_notify",
     .ini = USUAL PROGRAM("a", "notify") "ready = notify\n" PROGRAM("b", "sleep") "ready = notify\n",
     .steps = {STATE("a", READY), CALLED(notify_from_outside), CALLED(has_forgotten_strangers),
               SAY("status", "\"status\":\"there\""), RESTARTS("b", 1)}},
    {.name = "reload",
     .ini = RELOAD_BEFORE,
     .steps = {STATE("leave", READY), SAY("stop leave", "\"ok\":true"), STATE("leave", DOWN), INI(RELOAD_WRONG),
               SAY("reload", "no_such_key"), INI(RELOAD_AFTER), CALLED(remember_change), SAY("reload", "\"ok\":true"), STATE("come", READY),
               CALLED(is_changed), STATE("change", READY), INI(RELOAD_BEFORE), SAY("stop come", "\"ok\":true"), STATE("come", DOWN), SIGNAL(SIGHUP, has_come_back),
               STATE("leave", READY)}},
    {.name = "control",
     .ini = USUAL PROGRAM("a", "sleep"),
     .steps = {SAY("status", "\"programs\":["), SAY("dump", "[program:a]"), SAY("stop a", "\"ok\":true"), STATE("a", DOWN),
               SAY("start a", "\"ok\":true"), STATE("a", READY), SAY("restart a", "\"ok\":true"), STATE("a", READY),
               SAY("garbage \001\377", "unknown command"), SAY("stop nobody", "there is no program"), SAY("", "unknown command"),
               SEND("half a li"), SEND(OVERLONG), SEND("status\n"), SAY("status\r", "\"ok\":true")}},
    {.name = "hand_over",
     .ini = SITE "[proxy]\nlisten = @ADDRESS:10434\n" NO_MODELS OLLAMA PROGRAM("wanted", "sleep") "autostart = no\n",
     .steps = {STATE("proxy", READY), STATE("wanted", READY), CALLED(remember_proxy), SAY("restart proxy", "\"ok\":true"),
               CALLED(is_another_proxy), CALLED(is_drained), STATE("proxy", READY), KILL("proxy", SIGKILL), RESTARTS("proxy", 1), STATE("proxy", READY)}},
#ifdef WITH_MODELS
    {.name = "engines",
     .ini = ENGINES("A=a"),
     .steps = {STATE("proxy", READY), CALLED(has_engine), SAY("status", "\"instances\":[{"), CALLED(engine_dies), CALLED(has_another_engine),
               CALLED(has_engine), INI(ENGINES("A=b")), SAY("reload", "\"ok\":true"), CALLED(has_another_engine)}},
#endif
    /* whatever fails, the old listeners go on, and the owner's next try finds nothing in its way */
    {.name = "listeners",
     .ini = LISTENERS("", "control.sock"),
     .steps = {STATE("proxy", READY), CALLED(remember_proxy), INI(LISTENERS(", @ADDRESS:10436", "control.sock")),
               SAY("reload", "\"ok\":true"), CALLED(has_two_listeners), CALLED(is_another_proxy), STATE("proxy", READY),
               CALLED(remember_proxy), INI(LISTENERS("", "moved.sock")), SIGNAL(SIGHUP, has_moved_and_one_listener),
               CALLED(is_another_proxy), STATE("proxy", READY), INI(LISTENERS(", @ADDRESS:10436", "control.sock")),
               SIGNAL(SIGHUP, has_moved_back), STATE("proxy", READY), SAY("status", ":10436\"]")}},
    {.name = "presets",
     .ini = PRESETS(""),
     .steps = {STATE("proxy", READY), CALLED(remember_proxy), CALLED(write_good_presets), INI(PRESETS("presets = @DIR/presets.json\n")),
               SAY("reload", "\"ok\":true"), CALLED(is_another_proxy), STATE("proxy", READY), CALLED(is_drained), CALLED(has_presets),
               CALLED(write_broken_presets), SAY("reload", "column 39"), CALLED(has_presets)}},
    {.name = "preload",
     .ini = SITE PROXY_OFF OLLAMA "[preload]\nmodels = m\n",
     .steps = {STATE("preload", DONE), CALLED(is_announced), SAY("restart preload", "\"ok\":true"), STATE("preload", DONE)}},
    {.name = "idle",
     .ends_itself = 1,
     .ini = SITE "idle_timeout = 60ms\n[proxy]\nlisten = @ADDRESS:10434\n" NO_MODELS OLLAMA PROGRAM("wanted", "sleep"),
     .steps = {STATE("proxy", READY)}},
    /* what it asks is its own control socket, whose answer is no HTTP: it exits instead */
    {.name = "suspend",
     .ends_itself = 1,
     .ini = SITE "idle_timeout = 60ms\nidle_action = suspend\nsuspend_socket = @DIR/control.sock\n[proxy]\nlisten = @ADDRESS:10434\n" NO_MODELS OLLAMA
                 PROGRAM("wanted", "sleep"),
     .steps = {STATE("proxy", READY)}},
    /* scenarios 16, 17, 19: unknown pids by the dozen, while the main one dies with 127 */
    {.name = "orphans",
     .ini = "[supervisor]\nlog_level = debug\n" SITE_REST PROXY_OFF NO_MODELS OLLAMA PROGRAM("a", "orphans 24") PROGRAM("b", "exit 127"),
     .steps = {LOGGED(" orphan pid="), RESTARTS("b", 4), KILL("a", SIGKILL), RESTARTS("a", 1), STATE("a", READY)}},
    {.name = "output",
     .ini = "[supervisor]\nlog_level = debug\nlog_format = json\n" SITE_REST PROXY_OFF NO_MODELS OLLAMA PROGRAM("a", "lines"),
     .steps = {LOGGED("two level=ERROR bad"), LOGGED("nul ? esc"), KILL("a", SIGKILL), LOGGED("the last one has no end"), STATE("a", READY)}},
    {.name = "rights",
     .needs_root = 1,
     .ini = USUAL PROGRAM("a", "notify") "ready = notify\nuser = 65534:65534\ngroups = 65534\nnice = 3\numask = 027\noom_score_adj = 500\n"
                                         "no_new_privileges = yes\nlimits = core=0, nofile=100\n",
     .steps = {CALLED(runs_as_nobody), STATE("a", READY), CALLED(runs_as_nobody), KILL("a", SIGKILL), RESTARTS("a", 1),
               CALLED(runs_as_nobody), STATE("a", READY)}},
    {.name = "stubborn",
     .ini = USUAL PROGRAM("a", "stubborn") "ready = notify\n",
     .steps = {STATE("a", READY), SAY("stop a", "\"ok\":true"), STATE("a", DOWN), SAY("start a", "\"ok\":true"), STATE("a", READY),
               SIGNAL(SIGINT, is_stopping), SIGNAL(SIGQUIT, is_hurried)}},
};
const size_t scenarios_n = sizeof scenarios / sizeof *scenarios;
