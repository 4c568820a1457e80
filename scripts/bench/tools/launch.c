// Starts a server in a process group of its own, tells when it first answers, and takes it down with itself.
//
//   launch PORT DEADLINE_MS COMMAND [ARGUMENT...]
//
// Prints {"pid":N}, then {"first_answer":NS} once GET /v1/models on PORT is answered with 200: the time since
// just before exec. Or {"exited":STATUS} when the server ended, {"late":MS} when it did not answer in time. Serves
// until stdin closes; then the group gets SIGTERM, and SIGKILL if that does not help. What the server prints goes
// to stderr, of its stdout only the beginning: an access log is taken as fast as it comes, for next to nothing.
#include "common.h"
#include <poll.h>
#include <sys/wait.h>

enum { TRY_EVERY_US = 300, END_WAIT_MS = 1500 };

static pid_t child, drain;
static int child_status;

static int has_ended(void) {
  static int ended;
  if (!ended && waitpid(child, &child_status, WNOHANG) == child) ended = 1;
  return ended;
}

static int answers(int port) {
  static const char request[] =
      "GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer client-key\r\nConnection: close\r\n\r\n";
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), size = 0, status = 0;
  struct timeval patience = {.tv_sec = 2};
  struct sockaddr_in address = loopback(port);
  char head[64] = "";
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (!connect(fd, (void *)&address, sizeof address) && write(fd, request, sizeof request - 1) > 0) {
    for (ssize_t n; size < 12 && (n = read(fd, head + size, sizeof head - 1 - size)) > 0;) size += n;
    if (size >= 12) status = atoi(head + 9);
  }
  close(fd);
  return status == 200;
}

static void take_down(void) {
  long long last = now_ns() + END_WAIT_MS * NS_PER_MS;
  kill(-child, SIGTERM);
  while (!has_ended() && now_ns() < last) usleep(2000);
  // Also when the leader has gone: others of its group may not have.
  kill(-child, SIGKILL);
  while (!has_ended()) usleep(1000);
}

// Takes what the server writes to its stdout until it ends, in a process of its own. Gives where to write to.
static int begin_draining(void) {
  enum { KEPT = 4096, AT_ONCE = 1 << 20 };
  int ends[2], nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (pipe2(ends, O_CLOEXEC)) die("pipe");
  if ((drain = fork()) < 0) die("fork");
  if (drain > 0) {
    close(ends[0]);
    return ends[1];
  }
  close(ends[1]);
  char text[KEPT];
  for (long kept = 0; kept < KEPT;) {
    ssize_t n = read(ends[0], text, KEPT - kept);
    if (n <= 0 || write(2, text, n) < 0) _exit(0);
    kept += n;
  }
  while (splice(ends[0], NULL, nothing, NULL, AT_ONCE, 0) > 0) {}
  _exit(0);
}

static void say(const char *name, long long value) {
  printf("{\"%s\":%lld}\n", name, value);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc < 4) return fprintf(stderr, "usage: launch PORT DEADLINE_MS COMMAND [ARGUMENT...]\n"), 2;
  int port = atoi(argv[1]), waits = 1;
  struct pollfd stdin_poll = {.fd = 0, .events = POLLIN};
  // Ctrl-C in a terminal reaches the whole foreground group; the end of the script is what counts here.
  signal(SIGINT, SIG_IGN);
  // The server inherits it, as it would from a service manager.
  raise_file_limit();
  long long started = now_ns(), deadline = started + atoll(argv[2]) * NS_PER_MS;
  int output = begin_draining();
  if ((child = fork()) < 0) die("fork");
  if (child == 0) {
    setpgid(0, 0);
    signal(SIGINT, SIG_DFL);
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, 0);
    close(nothing);
    dup2(output, 1);
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    _exit(127);
  }
  setpgid(child, child);
  close(output);
  say("pid", child);
  signal(SIGPIPE, SIG_IGN);
  for (;;) {
    if (has_ended()) {
      // What it said at last comes before the news of its end.
      kill(-child, SIGKILL);
      waitpid(drain, NULL, 0);
      say("exited", WIFEXITED(child_status) ? WEXITSTATUS(child_status) : 128 + WTERMSIG(child_status));
      break;
    }
    if (waits && answers(port)) say("first_answer", now_ns() - started), waits = 0;
    if (waits && now_ns() >= deadline) say("late", (now_ns() - started) / NS_PER_MS), waits = 0;
    if (waits) usleep(TRY_EVERY_US);
    if (poll(&stdin_poll, 1, waits ? 0 : 200) > 0 && stdin_closed()) break;
  }
  take_down();
  return 0;
}
