// The one request that the load tool sends over and over.

// A chat request with a body of about `body_bytes`; gives the bytes and their number. `tokens`: how long a stream it
// asks for, 0 = as long as the upstream makes them. Lives for ever.
static inline char *make_request(int port, const char *key, int body_bytes, int streamed, int tokens, int *size) {
  char *body = malloc(body_bytes + 256);
  int n = sprintf(body, "{\"model\":\"bench\",%s\"messages\":[{\"role\":\"user\",\"content\":\"",
                  streamed ? "\"stream\":true," : "");
  while (n < body_bytes - 4) body[n++] = 'x';
  n += sprintf(body + n, "\"}]}");
  char *request = malloc(n + 1024), length[64] = "";
  if (tokens) snprintf(length, sizeof length, TOKENS_HEADER " %d\r\n", tokens);
  int head = snprintf(request, 1024,
                      "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                      "Accept: %s\r\nUser-Agent: bench\r\nAuthorization: Bearer %s\r\n%sContent-Length: %d\r\n\r\n",
                      port, streamed ? "text/event-stream" : "application/json", key, length, n);
  memcpy(request + head, body, n);
  free(body);
  *size = head + n;
  return request;
}
