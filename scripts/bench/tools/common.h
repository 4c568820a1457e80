// What the load tools share: a clock, sockets, a histogram of times, and the framing of HTTP/1.1 bodies.
// Linux only: epoll, timerfd. Everything is single-threaded.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

// A header of a request, that asks for a stream of so many tokens.
#define TOKENS_HEADER "Bench-Tokens:"

static const long long NS_PER_MS = 1000000, NS_PER_S = 1000000000;

// CLOCK_MONOTONIC is one clock for all processes of a machine: times of the upstream and of the load compare.
static inline long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static inline void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static inline struct sockaddr_in loopback(int port) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline void raise_file_limit(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files)) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// The script that started a tool holds the other end of its stdin: when that closes, the tool ends, whatever
// became of the script. A regular file or /dev/null cannot be watched, and is not.
static inline void watch_stdin(int poll) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(poll, EPOLL_CTL_ADD, 0, &event);
}

static inline int stdin_closed(void) {
  char skipped[256];
  ssize_t n = read(0, skipped, sizeof skipped);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

// Wakes at an absolute time in ns; 0 = never. epoll_wait alone would round to milliseconds, and so make bursts.
static inline void set_timer(int timer, long long at) {
  static long long armed = -1;
  if (at == armed) return;
  armed = at;
  struct itimerspec spec = {.it_value = {.tv_sec = at / NS_PER_S, .tv_nsec = at % NS_PER_S}};
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

// Buckets of a width of at most 1/128 of the value, as in HdrHistogram; good for up to 18 minutes.
enum { HALF = 128, HISTOGRAM_BUCKETS = 40 * HALF };

typedef struct {
  long count, bucket[HISTOGRAM_BUCKETS];
  long long max;
} Histogram;

static inline void record(Histogram *h, long long ns) {
  if (ns < 0) ns = 0;
  int shift = ns < 2 * HALF ? 0 : 63 - __builtin_clzll(ns) - 7;
  int index = shift * HALF + (int)(ns >> shift);
  h->bucket[index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1]++;
  h->count++;
  if (ns > h->max) h->max = ns;
}

// The smallest value that at least the share q of all values does not exceed; the middle of its bucket.
static inline long long quantile(const Histogram *h, double q) {
  long seen = 0, target = (long)(q * h->count + 0.999999);
  if (target < 1) target = 1;
  for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
    if ((seen += h->bucket[i]) < target) continue;
    if (i < 2 * HALF) return i;
    int shift = i / HALF - 1;
    return ((long long)(i - shift * HALF) << shift) + (1LL << shift) / 2;
  }
  return h->max;
}

static inline void print_histogram(const char *name, const Histogram *h) {
  printf("\"%s\":{\"count\":%ld,\"p50\":%lld,\"p90\":%lld,\"p99\":%lld,\"p999\":%lld,\"max\":%lld}", name, h->count,
         quantile(h, .5), quantile(h, .9), quantile(h, .99), quantile(h, .999), h->max);
}

// Where an HTTP/1.1 body ends.
typedef enum { LENGTH, CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END, TRAILER, TRAILER_LINE } Framing;

typedef struct {
  Framing at;
  long long left;
  int done;
} Body;

// `head` ends with the empty line and a zero. Without a length and chunks there is no body.
static inline Body body_of(const char *head) {
  const char *length = strcasestr(head, "\r\ncontent-length:");
  if (strcasestr(head, "\r\ntransfer-encoding: chunked")) return (Body){.at = CHUNK_SIZE};
  Body body = {.at = LENGTH, .left = length ? atoll(length + 17) : 0};
  body.done = body.left == 0;
  return body;
}

typedef void (*Sink)(void *to, const char *data, long size);

static inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Takes what belongs to the body from `data`, gives its payload to the sink (which may be null), and tells how
// many bytes that were. `done` is set with the body's last byte.
static inline long body_feed(Body *b, const char *data, long size, Sink sink, void *to) {
  long at = 0;
  while (at < size && !b->done) {
    if (b->at == LENGTH || b->at == CHUNK_DATA) {
      long n = size - at < b->left ? size - at : (long)b->left;
      if (sink) sink(to, data + at, n);
      at += n;
      if ((b->left -= n) == 0) {
        if (b->at == LENGTH) b->done = 1;
        b->at = CHUNK_END;
      }
      continue;
    }
    char c = data[at++];
    switch (b->at) {
      case CHUNK_SIZE:
        if (hex_digit(c) >= 0) {
          b->left = b->left * 16 + hex_digit(c);
          break;
        }
        b->at = CHUNK_EXTENSION;  // fall through
      case CHUNK_EXTENSION:
        if (c == '\n') b->at = b->left ? CHUNK_DATA : TRAILER;
        break;
      case CHUNK_END:
        if (c == '\n') b->at = CHUNK_SIZE;
        break;
      case TRAILER:  // at the beginning of a line
        if (c == '\n') b->done = 1;
        else if (c != '\r') b->at = TRAILER_LINE;
        break;
      default:
        if (c == '\n') b->at = TRAILER;
    }
  }
  return at;
}
