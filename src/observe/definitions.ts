/** Every metric there is, in the order of `/metrics`. */
export interface Definition {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram's buckets, ascending, without the infinite one. */
  readonly buckets?: readonly number[];
}

/** Seconds, for whatever waits for a model: from a small embedding to a long generation. */
const WAITING = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
/** Seconds between tokens; those that OpenTelemetry advises for `gen_ai.server.time_per_output_token`, and two more. */
const BETWEEN_TOKENS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 10];
/** Seconds of our own work. */
const WORKING = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

const REQUEST = ["forward", "method", "path"];
const UPSTREAM = ["group", "upstream"];
const MODEL = ["group", "upstream", "model"];
const BREAKER = ["group", "upstream", "url"];

/**
 * Names of language-model metrics and labels lean on OpenTelemetry's conventions for generative AI
 * (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/); the help text says which one is meant.
 */
export const DEFINITIONS = {
  llmproxy_http_requests_total: counter("Requests received from clients.", REQUEST),
  llmproxy_http_request_duration_seconds: histogram(
    "Time from the head of a request to the last byte of its answer, or to the client's leaving.",
    REQUEST,
    WAITING,
  ),
  llmproxy_http_request_errors_total: counter(
    "Requests that did not end well for the client, by what the client saw: an error of the proxy (its code), an " +
      "upstream's answer with a status from 400 (upstream_status), or an answer that broke off (status: that of its " +
      "head). Also what was refused before it was a request, which the number of requests does not hold.",
    ["forward", "error", "status"],
  ),
  llmproxy_http_requests_in_flight: gauge("Requests received and not yet answered.", ["forward"]),
  llmproxy_http_request_bytes_total: counter("Bytes of request bodies received from clients.", ["forward"]),
  llmproxy_http_response_bytes_total: counter("Bytes sent to clients, heads included.", ["forward"]),
  llmproxy_client_disconnects_total: counter(
    "Clients that left before they had their answer: while it was awaited (waiting), or half way (answering). " +
      "Leaving after the terminal event of a stream is none.",
    ["forward", "phase"],
  ),
  llmproxy_proxy_overhead_seconds: histogram(
    "Time that the proxy itself took for a request: neither waiting for the client, nor for the upstream, nor for a " +
      "back-off. Until the answer begins; the relay of the pieces of a stream is not in it.",
    ["forward"],
    WORKING,
  ),
  llmproxy_http_connections: gauge("Open client connections.", ["forward"]),
  llmproxy_http_buffered_body_bytes: gauge("Memory taken by request bodies, in pieces of 256 KB.", []),
  llmproxy_ratelimit_total: counter("Requests refused since their client had sent too many.", ["forward"]),
  llmproxy_ratelimit_untracked_total: counter(
    "Requests let through unlimited since the rate limit's table was full of other clients.",
    ["forward"],
  ),
  llmproxy_ratelimit_clients: gauge("Clients that the rate limit holds an entry for.", ["forward"]),
  llmproxy_ratelimit_clients_max: gauge("Clients that the rate limit can tell apart at a time.", ["forward"]),

  llmproxy_upstream_requests_total: counter(
    "Attempts: requests sent to upstreams, retries included.",
    UPSTREAM,
  ),
  llmproxy_upstream_duration_seconds: histogram(
    "Time of an attempt, from sending to its last byte or its failure.",
    UPSTREAM,
    WAITING,
  ),
  llmproxy_upstream_errors_total: counter(
    "Attempts that failed (the code of the failure), gave a status from 400 (status_N), an error inside a 200 " +
      "(error_in_stream, error_in_body), or a stream without its terminal event (truncated).",
    ["error", "group", "upstream"],
  ),
  llmproxy_upstream_retries_total: counter(
    "Attempts made since the one before, on the same or another upstream, ended with this error.",
    ["group", "reason"],
  ),
  llmproxy_upstream_retries_suppressed_total: counter(
    "Retries not made since retries exceeded their share of the requests.",
    ["group"],
  ),
  llmproxy_upstream_failovers_total: counter(
    "Attempts made since the one before failed with nothing sent yet.",
    ["group", "reason"],
  ),
  llmproxy_upstream_rests_total: counter(
    "Answers by which an upstream asked to be left alone: 429 (limited) or 503 (unavailable) with a time.",
    ["group", "upstream", "cause"],
  ),
  llmproxy_upstream_available: gauge("1 when a request could be sent to the upstream now, else 0.", [
    "upstream",
  ]),
  llmproxy_upstream_in_flight: gauge("Attempts sent to the upstream and not ended.", ["upstream"]),
  llmproxy_upstream_rest_remaining_seconds: gauge(
    "How long the upstream is still left alone, as it asked; 0 when it is not.",
    ["upstream"],
  ),
  llmproxy_upstream_response_time_seconds: gauge(
    "Moving average that balancing goes by: to the first payload of a stream, else to the last byte.",
    ["upstream"],
  ),
  llmproxy_upstream_success_ratio: gauge("Moving average that balancing goes by, 0 to 1.", ["upstream"]),

  llmproxy_circuitbreaker_state: gauge("1 for the state that the circuit breaker is in, 0 for the others.", [
    "upstream",
    "url",
    "state",
  ]),
  llmproxy_circuitbreaker_state_changes_total: counter("State changes of circuit breakers.", [
    ...BREAKER,
    "from",
    "to",
  ]),
  llmproxy_circuitbreaker_calls_total: counter(
    "Calls that circuit breakers counted (success, failure) or turned away (rejected).",
    [...BREAKER, "result"],
  ),
  llmproxy_circuitbreaker_opened_total: counter("Times that a circuit breaker opened.", BREAKER),
  llmproxy_circuitbreaker_closed_total: counter("Times that a circuit breaker closed.", BREAKER),
  llmproxy_circuitbreaker_half_opened_total: counter(
    "Times that a circuit breaker became half-open.",
    BREAKER,
  ),

  llmproxy_llm_tokens_total: counter(
    "Tokens that upstreams reported (gen_ai.client.token.usage); token_type as in gen_ai.token.type: input holds " +
      "cached tokens, output holds reasoning. model: as the answer names it, else as the request does.",
    [...MODEL, "token_type"],
  ),
  llmproxy_llm_token_details_total: counter(
    "Parts of the tokens above: input read from the provider's cache (cached), input written to it (cache_write), " +
      "output thought and not said (reasoning).",
    [...MODEL, "detail"],
  ),
  llmproxy_llm_usage_unknown_total: counter("Complete answers that told no number of tokens.", MODEL),
  llmproxy_llm_time_to_first_token_seconds: histogram(
    "Time from sending to the first output of the model in a stream (gen_ai.server.time_to_first_token).",
    MODEL,
    WAITING,
  ),
  llmproxy_llm_time_per_output_token_seconds: histogram(
    "Mean time per output token after the first, once per stream (gen_ai.server.time_per_output_token).",
    MODEL,
    BETWEEN_TOKENS,
  ),
  llmproxy_llm_token_gap_seconds: histogram(
    "Time between two arrivals of model output in a stream.",
    UPSTREAM,
    BETWEEN_TOKENS,
  ),
  llmproxy_llm_streams_total: counter(
    "Streams by their end: complete, truncated (without terminal event, or lost), error (an error in the stream), " +
      "client_gone, unknown (nothing to go by).",
    [...UPSTREAM, "end"],
  ),
  llmproxy_llm_unread_total: counter(
    "Pieces of answers that could not be read for usage: not parsed (syntax), too long to parse (size), or of " +
      "unknown or broken content coding (coding).",
    [...UPSTREAM, "reason"],
  ),

  llmproxy_access_log_dropped_lines_total: counter("Lines of the access log that could not be written.", []),
  llmproxy_log_dropped_lines_total: counter("Lines of the program's log that could not be written.", []),
  llmproxy_metrics_dropped_series_total: counter(
    "Series that are not counted since there is no room for more.",
    [],
  ),
  llmproxy_workers: gauge("Worker threads that serve.", []),
  llmproxy_worker_deaths_total: counter("Worker threads that died and were replaced.", []),
  llmproxy_worker_event_loop_lag_seconds: gauge(
    "How late the event loop of a worker was at worst in the last 15 to 30 seconds.",
    ["worker"],
  ),
  llmproxy_draining: gauge("1 when the process is shutting down and accepts nothing more, else 0.", []),
  llmproxy_build_info: gauge("Always 1; what is running.", ["version", "commit", "bun"]),
  process_start_time_seconds: gauge("Start of the process, in seconds since 1970.", []),
  process_cpu_seconds_total: counter("CPU time used, user and system.", []),
  process_resident_memory_bytes: gauge("Resident memory.", []),
  process_open_fds: gauge("Open file descriptors.", []),
  process_max_fds: gauge("File descriptors that may be open.", []),
} as const satisfies Record<string, Definition>;

export type MetricName = keyof typeof DEFINITIONS;

/** What is known of a metric. */
export function definitionOf(metric: MetricName): Definition {
  return DEFINITIONS[metric];
}

function counter(help: string, labels: readonly string[]): Definition {
  return { type: "counter", help, labels };
}

function gauge(help: string, labels: readonly string[]): Definition {
  return { type: "gauge", help, labels };
}

function histogram(help: string, labels: readonly string[], buckets: readonly number[]): Definition {
  return { type: "histogram", help, labels, buckets };
}
