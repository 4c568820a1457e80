const GO_DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
};
const RESET_MS_MAX = 60_000;
/** The three forms of RFC 9110 5.6.7 begin with the day of the week. */
const HTTP_DATE = /^\s*(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,? /;
const RFC_3339 = /^\d{4}-\d\d-\d\dT/;
const DAY_MS = 86_400_000;

type HeaderOf = (name: string) => string | null;

/**
 * How long an upstream asks to be left alone, in ms from now; null when it does not say. `retry-after-ms` comes
 * before `Retry-After` (seconds, also with a fraction, or a date; RFC 9110 10.2.3). Times are read by the clock that
 * they were told by, that of the response's `Date`; ours, `wallClockMs`, counts where there is none.
 */
export function retryAfterMs(header: HeaderOf, wallClockMs: number): number | null {
  const sentMs = sentMsOf(header, wallClockMs);
  const ms = numberOf(header("retry-after-ms"));
  if (ms !== null) return bounded(ms);
  const given = header("retry-after");
  if (given === null) return null;
  const seconds = numberOf(given);
  return seconds === null ? untilDate(given, HTTP_DATE, sentMs) : bounded(seconds * 1000);
}

/** Families of rate-limit headers: names of what remains and of when it is reset. */
const BUDGETS: readonly { readonly remaining: string; readonly reset: string }[] = [
  ...["requests", "tokens"].map((kind) => ({
    remaining: `x-ratelimit-remaining-${kind}`,
    reset: `x-ratelimit-reset-${kind}`,
  })),
  ...["requests", "tokens", "input-tokens", "output-tokens"].map((kind) => ({
    remaining: `anthropic-ratelimit-${kind}-remaining`,
    reset: `anthropic-ratelimit-${kind}-reset`,
  })),
];

/**
 * When the budgets of which nothing remains are reset, in ms from now; null when none is used up. At most a
 * minute: it tells when a budget is full again, which is later than when one call fits.
 */
export function budgetResetMs(header: HeaderOf, wallClockMs: number): number | null {
  const sentMs = sentMsOf(header, wallClockMs);
  let latest: number | null = null;
  for (const budget of BUDGETS) {
    if (numberOf(header(budget.remaining)) !== 0) continue;
    const ms = resetMs(header(budget.reset), sentMs);
    if (ms !== null) latest = Math.max(latest ?? 0, Math.min(ms, RESET_MS_MAX));
  }
  return latest;
}

/** Seconds (Azure), a Go duration such as `6m0s` (OpenAI) or an RFC 3339 time (Anthropic), as ms from now. */
function resetMs(text: string | null, sentMs: number): number | null {
  if (text === null) return null;
  const seconds = numberOf(text);
  if (seconds !== null) return bounded(seconds * 1000);
  if (/^(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|µs|ns))+$/.test(text)) {
    let ms = 0;
    for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g))
      ms += Number(count) * GO_DURATION_UNITS_MS[unit!]!;
    return bounded(ms);
  }
  return untilDate(text, RFC_3339, sentMs);
}

function sentMsOf(header: HeaderOf, wallClockMs: number): number {
  return timeOf(header("date") ?? "", HTTP_DATE) ?? wallClockMs;
}

function untilDate(text: string, form: RegExp, sentMs: number): number | null {
  const timeMs = timeOf(text, form);
  return timeMs === null ? null : bounded(timeMs - sentMs);
}

/** The form `Sun Nov  6 08:49:37 1994`, which means UTC although it does not say so. */
const ENDS_WITH_YEAR = / \d{4}\s*$/;

/** The form is looked at first: `Date.parse` takes almost anything, `-5` and `1 2 3` included. */
function timeOf(text: string, form: RegExp): number | null {
  const timeMs = form.test(text) ? Date.parse(ENDS_WITH_YEAR.test(text) ? `${text} GMT` : text) : Number.NaN;
  return Number.isNaN(timeMs) ? null : timeMs;
}

function numberOf(text: string | null): number | null {
  return text !== null && /^\s*\d+(?:\.\d+)?\s*$/.test(text) ? Number(text) : null;
}

function bounded(ms: number): number {
  return Math.min(DAY_MS, Math.max(0, ms));
}
