// A scripted LLM upstream on one thread. It takes requests whose credentials a proxy has replaced, and answers
// others with 401, so that a proxy that does less work does not pass for a fast one.
//
//   upstream json
//   upstream sse TOKENS INTERVAL_US THINK_US TOKEN_BYTES
//
// Prints {"port":N} and serves until stdin closes. GET gets a short list of models, POST a small completion or
// an event stream: TOKENS events, or as many as a header of the request says, the first after THINK_US and a random
// part of INTERVAL_US, the next ones every INTERVAL_US. Each event carries "r", when the request was complete here,
// and "t", when the event was written (CLOCK_MONOTONIC, ns).
#include "common.h"

enum { FDS_MAX = 1 << 17, HEAD_MAX = 8192, EVENTS = 512, PENDING_MAX = 1 << 18, EVENT_MAX = 2048 };

struct Queue;

typedef struct Conn {
  int fd, in_head, head_len, tokens, tokens_left;
  Body body;
  long long received, due;
  struct Queue *queue;
  struct Conn *before, *after;
  // What the peer had no room for yet.
  char *pending;
  int pending_len;
  char head[HEAD_MAX];
} Conn;

// Streams in the order in which they are due. All of a queue wait about equally long, so new ones go near the end.
typedef struct Queue {
  long long delay;
  Conn *first, *last;
} Queue;

static Conn *conns[FDS_MAX];
static Queue thinking, writing;
static int poll_fd, streams_wanted, tokens, token_bytes;
static char filler[EVENT_MAX];

static void leave(Conn *c) {
  Queue *q = c->queue;
  if (!q) return;
  *(c->before ? &c->before->after : &q->first) = c->after;
  *(c->after ? &c->after->before : &q->last) = c->before;
  c->queue = NULL;
}

static void enter(Queue *q, Conn *c, long long from) {
  c->due = from + q->delay;
  c->queue = q;
  c->before = q->last;
  while (c->before && c->before->due > c->due) c->before = c->before->before;
  c->after = c->before ? c->before->after : q->first;
  *(c->before ? &c->before->after : &q->first) = c;
  *(c->after ? &c->after->before : &q->last) = c;
}

static void drop(Conn *c) {
  leave(c);
  conns[c->fd] = NULL;
  close(c->fd);
  free(c->pending);
  free(c);
}

static void watch(Conn *c, unsigned events, int operation) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  epoll_ctl(poll_fd, operation, c->fd, &event);
}

// Gives 0, or -1 when the connection is lost or its peer takes nothing.
static int send_all(Conn *c, const char *data, int size) {
  int sent = 0;
  if (!c->pending_len) {
    sent = write(c->fd, data, size);
    if (sent == size) return 0;
    if (sent < 0 && errno != EAGAIN) return -1;
    if (sent < 0) sent = 0;
    watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
  }
  if (!c->pending) c->pending = malloc(PENDING_MAX);
  if (c->pending_len + size - sent > PENDING_MAX) return -1;
  memcpy(c->pending + c->pending_len, data + sent, size - sent);
  c->pending_len += size - sent;
  return 0;
}

static int send_pending(Conn *c) {
  int sent = write(c->fd, c->pending, c->pending_len);
  if (sent < 0) return errno == EAGAIN ? 0 : -1;
  memmove(c->pending, c->pending + sent, c->pending_len - sent);
  if (!(c->pending_len -= sent)) watch(c, EPOLLIN, EPOLL_CTL_MOD);
  return 0;
}

static int send_answer(Conn *c, const char *status, const char *body) {
  char out[2048];
  int n = snprintf(out, sizeof out, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   status, strlen(body), body);
  return send_all(c, out, n);
}

static int send_token(Conn *c, long long now) {
  char out[EVENT_MAX + 512], size[16];
  // Room for the chunk's size before the event, as that is known only afterwards.
  char *event = out + sizeof size;
  int n = sprintf(event,
                  "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                  "\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%.*s\"},"
                  "\"finish_reason\":null}],\"r\":%lld,\"t\":%lld}\n\n",
                  token_bytes, filler, c->received, now);
  int digits = sprintf(size, "%x\r\n", n);
  memcpy(event - digits, size, digits);
  memcpy(event + n, "\r\n", 2);
  return send_all(c, event - digits, digits + n + 2);
}

static int send_end(Conn *c) {
  char last[512], out[640];
  int n = sprintf(last,
                  "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                  "\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],"
                  "\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
                  c->tokens, 19 + c->tokens);
  return send_all(c, out, sprintf(out, "%x\r\n%s\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n", n, last));
}

static int answer(Conn *c) {
  static const char completion[] =
      "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench\","
      "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Load balancing spreads requests "
      "over several servers, so that no single one becomes the bottleneck.\"},\"finish_reason\":\"stop\"}],"
      "\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":17,\"total_tokens\":36}}";
  static const char stream[] =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
      "Transfer-Encoding: chunked\r\n\r\n";
  if (!strcasestr(c->head, "\r\nauthorization: bearer upstream-key\r\n"))
    return send_answer(c, "401 Unauthorized", "{\"error\":{\"message\":\"The credentials were not replaced.\"}}");
  if (!memcmp(c->head, "GET ", 4))
    return send_answer(c, "200 OK", "{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":\"model\"}]}");
  if (!streams_wanted) return send_answer(c, "200 OK", completion);
  c->received = now_ns();
  const char *wanted = strcasestr(c->head, "\r\n" TOKENS_HEADER);
  c->tokens = c->tokens_left = wanted ? atoi(wanted + 2 + strlen(TOKENS_HEADER)) : tokens;
  leave(c);
  // Streams that began together would stay in step for good: their ends, and so the next beginnings, are one, too.
  enter(&thinking, c, c->received + (writing.delay ? random() % writing.delay : 0));
  return send_all(c, stream, sizeof stream - 1);
}

static int consume(Conn *c, const char *data, int size) {
  for (int at = 0; at < size;) {
    if (!c->in_head) {
      at += body_feed(&c->body, data + at, size - at, NULL, NULL);
    } else {
      // The head may come in pieces; what follows it in the same read is its body.
      int before = c->head_len, n = size - at < HEAD_MAX - 1 - before ? size - at : HEAD_MAX - 1 - before;
      if (!n) return -1;
      memcpy(c->head + before, data + at, n);
      c->head_len += n;
      c->head[c->head_len] = 0;
      char *end = strstr(c->head, "\r\n\r\n");
      if (!end) {
        at += n;
        continue;
      }
      end[4] = 0;
      at += (int)(end + 4 - c->head) - before;
      c->body = body_of(c->head);
      c->in_head = 0;
    }
    if (!c->body.done) continue;
    if (answer(c)) return -1;
    c->in_head = 1;
    c->head_len = 0;
  }
  return 0;
}

static void run_queue(Queue *q) {
  for (long long now = now_ns(); q->first && q->first->due <= now;) {
    Conn *c = q->first;
    long long due = c->due;
    leave(c);
    if (c->tokens_left-- == 0) {
      if (send_end(c)) drop(c);
    } else if (send_token(c, now_ns())) {
      drop(c);
    } else {
      enter(&writing, c, due);
    }
  }
}

static int open_listener(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (bind(listener, (void *)&address, size) || listen(listener, 16384)) die("listen");
  getsockname(listener, (void *)&address, &size);
  printf("{\"port\":%d}\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

static void accept_all(int listener) {
  for (int fd, on = 1; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    if (fd >= FDS_MAX) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Conn *c = conns[fd] = calloc(1, sizeof(Conn));
    c->fd = fd;
    c->in_head = 1;
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
  }
}

static void serve(Conn *c, unsigned events) {
  static char data[1 << 18];
  if ((events & EPOLLOUT) && c->pending_len && send_pending(c)) return drop(c);
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  int size = read(c->fd, data, sizeof data);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0 || consume(c, data, size)) drop(c);
}

int main(int argc, char **argv) {
  streams_wanted = argc == 6 && !strcmp(argv[1], "sse");
  if (!streams_wanted && !(argc == 2 && !strcmp(argv[1], "json")))
    return fprintf(stderr, "usage: upstream json | upstream sse TOKENS INTERVAL_US THINK_US TOKEN_BYTES\n"), 2;
  if (streams_wanted) {
    tokens = atoi(argv[2]);
    writing.delay = atoll(argv[3]) * 1000;
    thinking.delay = atoll(argv[4]) * 1000;
    token_bytes = atoi(argv[5]) < EVENT_MAX - 512 ? atoi(argv[5]) : EVENT_MAX - 512;
  }
  memset(filler, 'a', sizeof filler);
  raise_file_limit();
  // A write to a closed connection is an error like others.
  signal(SIGPIPE, SIG_IGN);
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), listener = open_listener();
  // Markers for what is not a connection.
  static Conn at_listener, at_timer;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &at_listener}, events[EVENTS];
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
  event.data.ptr = &at_timer;
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer, &event);
  watch_stdin(poll_fd);
  for (;;) {
    long long next = thinking.first ? thinking.first->due : 0;
    if (writing.first && (!next || writing.first->due < next)) next = writing.first->due;
    set_timer(timer, next);
    int n = epoll_wait(poll_fd, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      Conn *c = events[i].data.ptr;
      if (c == &at_listener) accept_all(listener);
      else if (c != NULL && c != &at_timer) serve(c, events[i].events);
      else if (c == NULL && stdin_closed()) return 0;
    }
    run_queue(&thinking);
    run_queue(&writing);
  }
}
