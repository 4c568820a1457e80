// A load for a proxy or an upstream, on one thread.
//
//   load closed  PORT KEY CONNECTIONS BODY_BYTES MEASURE_MS
//   load open    ... REQUESTS_PER_S
//   load streams ... RAMP_MS STALL_MS [TOKENS]
//
// closed: every connection sends its next request when the last answer is complete.
// open: requests are due at a fixed rate whatever becomes of them, and their time counts from when they were due;
// a slow answer cannot hide the wait of those behind it. At the end the age of what is still open counts too.
// streams: every connection reads event streams, one after the other; they begin spread over RAMP_MS. With TOKENS
// they are so long, otherwise as long as the upstream makes them.
//
// Nothing is measured before a line comes in on stdin. Then it prints "begin", and one line of JSON MEASURE_MS
// later; the load goes on until stdin closes, so that whoever watches the proxy sees the same load on both sides of
// either line. Times are in ns.
// latency: of whole answers. lag: from the writing of an event at the upstream to its arrival. first: to the
// first event, without what the upstream itself took.
#include "common.h"
#include "request.h"

enum { HEAD_MAX = 8192, LINE_MAX_BYTES = 1024, EVENTS = 512, FAILURES_MAX = 2000 };
typedef enum { CLOSED, IDLE, SENDING, WAITING } State;

typedef struct {
  int fd, sent, head_len, in_body, status, close_after, has_tokens, has_end, line_len;
  State state;
  Body body;
  long long asked, last_token;
  char head[HEAD_MAX], line[LINE_MAX_BYTES];
} Conn;

static enum { CLOSED_LOOP, OPEN_LOOP, STREAMS } mode;
static int port, conn_count, poll_fd, measuring, request_len, idle_count;
static char *request;
static Conn *conns, **idle;
static const long long NEVER = 1LL << 62;
static long long arrived, interval, issued, start, begin;
static Histogram latency, lag, first;
// not_200, incomplete and reconnects: see finish(). failures: connections that ended in the middle of an answer.
static long answers, tokens, not_200, incomplete, failures, reconnects;

static void lost(Conn *c);

static void send_request(Conn *c) {
  while (c->sent < request_len) {
    ssize_t n = write(c->fd, request + c->sent, request_len - c->sent);
    if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
    if (n < 0) return lost(c);
    c->sent += n;
  }
  c->state = WAITING;
}

static void open_connection(Conn *c) {
  int on = 1;
  struct sockaddr_in address = loopback(port);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) die("socket");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(c->fd, (void *)&address, sizeof address) && errno != EINPROGRESS) die("connect");
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void ask(Conn *c, long long asked) {
  c->asked = asked;
  c->sent = c->head_len = c->in_body = c->has_tokens = c->has_end = c->line_len = 0;
  if (c->state == CLOSED) open_connection(c);
  c->state = SENDING;
  send_request(c);
}

static void close_connection(Conn *c) {
  close(c->fd);
  c->state = CLOSED;
  c->close_after = 0;
}

static void next_request(Conn *c) {
  if (mode == OPEN_LOOP) idle[idle_count++] = c;
  else ask(c, now_ns());
}

// The other side closed. Between two requests it may; otherwise an answer is lost.
static void lost(Conn *c) {
  State was = c->state;
  close_connection(c);
  if (was == IDLE) {
    reconnects++;
    return;
  }
  if (++failures >= FAILURES_MAX) {
    fprintf(stderr, "too many connections broke, the last one with: %s\n", strerror(errno));
    exit(3);
  }
  next_request(c);
}

static void finish(Conn *c) {
  answers += measuring;
  if (c->status != 200) not_200++;
  else if (mode == STREAMS && !c->has_end) incomplete++;
  if (measuring) record(&latency, now_ns() - c->asked);
  // An answer before the whole request was out leaves a connection of no further use.
  if (c->close_after || c->sent < request_len) {
    close_connection(c);
    reconnects++;
  } else {
    c->state = IDLE;
  }
  next_request(c);
}

static long long number_after(const char *line, int size, const char *name) {
  const char *at = memmem(line, size, name, strlen(name));
  return at ? atoll(at + strlen(name)) : -1;
}

static void take_line(Conn *c) {
  if (c->line_len >= 12 && !memcmp(c->line, "data: [DONE]", 12)) c->has_end = 1;
  c->line[c->line_len] = 0;
  long long written = number_after(c->line, c->line_len, "\"t\":");
  if (written < 0) return;
  c->last_token = arrived;
  if (measuring) {
    tokens++;
    record(&lag, arrived - written);
    long long received = number_after(c->line, c->line_len, "\"r\":");
    if (!c->has_tokens) record(&first, received - c->asked + arrived - written);
  }
  c->has_tokens = 1;
}

static void take_body(void *to, const char *data, long size) {
  Conn *c = to;
  if (mode != STREAMS) return;
  while (size) {
    const char *eol = memchr(data, '\n', size);
    long n = eol ? eol - data : size, room = LINE_MAX_BYTES - 1 - c->line_len;
    memcpy(c->line + c->line_len, data, n < room ? n : room);
    c->line_len += n < room ? n : room;
    if (!eol) return;
    take_line(c);
    c->line_len = 0;
    data += n + 1;
    size -= n + 1;
  }
}

// Gives 0 when the answer makes no sense.
static int take_head(Conn *c) {
  char *head_end = strstr(c->head, "\r\n\r\n");
  if (!head_end) return c->head_len < HEAD_MAX - 1;
  c->status = atoi(c->head + 9);
  c->close_after = strcasestr(c->head, "\r\nconnection: close") != NULL;
  c->body = body_of(c->head);
  c->in_body = 1;
  return c->status >= 200;
}

static int consume(Conn *c, const char *data, long size) {
  for (long at = 0; at < size;) {
    if (c->state != WAITING && c->state != SENDING) return 0;
    if (!c->in_body) {
      long before = c->head_len, room = HEAD_MAX - 1 - before, n = size - at < room ? size - at : room;
      memcpy(c->head + before, data + at, n);
      c->head_len += n;
      c->head[c->head_len] = 0;
      if (!take_head(c)) return 0;
      if (!c->in_body) {
        at += n;
        continue;
      }
      char *head_end = strstr(c->head, "\r\n\r\n") + 4;
      at += head_end - c->head - before;
    } else {
      at += body_feed(&c->body, data + at, size - at, take_body, c);
    }
    if (c->body.done && c->in_body) finish(c);
  }
  return 1;
}

static void readable(Conn *c, int hangup) {
  static char data[1 << 18];
  for (;;) {
    int fd = c->fd;
    ssize_t n = read(fd, data, sizeof data);
    if (n < 0 && errno == EAGAIN) return;
    arrived = now_ns();
    if (n <= 0 || !consume(c, data, n)) return lost(c);
    // Less than asked for: it is empty, unless the end is still to be read. Another descriptor: a new connection.
    if ((n < (ssize_t)sizeof data && !hangup) || c->state == CLOSED || c->fd != fd) return;
  }
}

static void issue_due(long long now) {
  for (long long due; idle_count && (due = start + issued * interval) <= now; issued++) ask(idle[--idle_count], due);
}

static void count_unfinished(long long now) {
  for (int i = 0; i < conn_count; i++)
    if (conns[i].state == SENDING || conns[i].state == WAITING) record(&latency, now - conns[i].asked);
  for (long long i = issued; start + i * interval <= now; i++) record(&latency, now - start - i * interval);
}

static void report(long long now, long long stall) {
  long stalled = 0, open = 0;
  if (mode == OPEN_LOOP) count_unfinished(now);
  if (mode == STREAMS)
    for (int i = 0; i < conn_count; i++) stalled += now - conns[i].last_token > stall, open += conns[i].last_token > 0;
  printf("{\"elapsed\":%lld,\"answers\":%ld,\"tokens\":%ld,\"failures\":%ld,\"not_200\":%ld,\"incomplete\":%ld,"
         "\"stalled\":%ld,\"open\":%ld,\"reconnects\":%ld,",
         now - begin, answers, tokens, failures, not_200, incomplete, stalled, open, reconnects);
  print_histogram("latency", &latency);
  printf(",");
  print_histogram("lag", &lag);
  printf(",");
  print_histogram("first", &first);
  printf("}\n");
  fflush(stdout);
}

// Opens what is due of the connections, and tells when the next one is.
static long long open_due(long long now, long long ramp) {
  static long long due;
  static int opened;
  if (!due) due = start;
  for (; opened < conn_count && due <= now; opened++) {
    ask(&conns[opened], now);
    // A random place in each slot: streams in step with each other would make bursts.
    due = start + ramp / conn_count * opened + (ramp ? random() % (2 * ramp / conn_count + 1) : 0);
  }
  return opened < conn_count ? due : NEVER;
}

static long long earlier(long long a, long long b) { return a < b ? a : b; }

int main(int argc, char **argv) {
  if (argc < 7) return fprintf(stderr, "usage: see the head of load.c\n"), 2;
  mode = !strcmp(argv[1], "open") ? OPEN_LOOP : !strcmp(argv[1], "streams") ? STREAMS : CLOSED_LOOP;
  port = atoi(argv[2]);
  conn_count = atoi(argv[4]);
  int stream_tokens = mode == STREAMS && argc > 9 ? atoi(argv[9]) : 0;
  request = make_request(port, argv[3], atoi(argv[5]), mode == STREAMS, stream_tokens, &request_len);
  long long measured = atoll(argv[6]) * NS_PER_MS;
  if (mode == OPEN_LOOP) interval = NS_PER_S / atoll(argv[7]);
  long long ramp = mode == STREAMS ? atoll(argv[7]) * NS_PER_MS : 0;
  long long stall = mode == STREAMS ? atoll(argv[8]) * NS_PER_MS : 0;
  raise_file_limit();
  // A write to a closed connection is an error like others.
  signal(SIGPIPE, SIG_IGN);
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  conns = calloc(conn_count, sizeof *conns);
  idle = calloc(conn_count, sizeof *idle);
  static Conn at_timer;
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &at_timer}, events[EVENTS];
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer, &event);
  watch_stdin(poll_fd);
  start = now_ns();
  enum { WARMING, WANTED, MEASURING, AFTER } phase = WARMING;
  if (mode == OPEN_LOOP) while (idle_count < conn_count) idle[idle_count] = &conns[idle_count], idle_count++;
  for (;;) {
    long long now = now_ns();
    if (phase == WANTED) {
      phase = MEASURING;
      measuring = 1;
      begin = now;
      puts("begin");
      fflush(stdout);
    } else if (phase == MEASURING && now >= begin + measured) {
      phase = AFTER;
      measuring = 0;
      report(now, stall);
    }
    long long next = phase == MEASURING ? begin + measured : NEVER;
    if (mode == OPEN_LOOP) {
      issue_due(now);
      if (idle_count) next = earlier(next, start + issued * interval);
    } else {
      next = earlier(next, open_due(now, ramp));
    }
    set_timer(timer, next == NEVER ? 0 : next);
    int n = epoll_wait(poll_fd, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      Conn *c = events[i].data.ptr;
      if (c == NULL && stdin_closed()) return 0;
      if (c == NULL && phase == WARMING) phase = WANTED;
      if (c == NULL || c == &at_timer) continue;
      if (c->state == SENDING && (events[i].events & EPOLLOUT)) send_request(c);
      if (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        readable(c, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    }
  }
}
