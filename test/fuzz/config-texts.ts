import type { Random } from "../support/random.ts";

/** What the references of the texts stand for; each would be refused or accepted somewhere. */
export const ENV = {
  TOKEN: "canary-token",
  PORT: "3000",
  URL: "http://canary-user:canary@h/?canary",
  BAD: "canary\n",
};

/**
 * True when each secret that a text spells out, a `finch`, stands behind its key. Where two slips make it a part of another
 * key's value, or of a URL's path, nothing tells it from that.
 */
export function keepsSecretsInPlace(text: string): boolean {
  const lines = text.split(/\r?\n/).filter((line) => line.includes("finch"));
  return lines.every((line) =>
    /[\s{](?:token|value|url): (?:&\w+ )?"?(?:https?:\/\/.*[?@]|finch)/.test(line),
  );
}

const SMALL = `http_server:
  forwards: [{ name: f, port: "\${PORT}", upstream_group: g }]
upstreams:
  - &u { name: u, url: "http://finch:finch@h/v1?key=finch", max_in_flight: 3 }
  - name: v
    url: \${URL}
upstream_groups:
  - name: g
    upstreams: [{ name: u, weight: 2 }, { name: v }]
`;

const LARGER = `http_server:
  forwards:
    - name: main
      port: 3000
      address: 127.0.0.1
      upstream_group: pool
      ratelimit: &limit { enabled: true, per_second: 10, burst: 20 }
      max_body_size: 64MB
    - name: side
      port: 3001
      upstream_group: pool
      ratelimit: *limit
upstreams:
  - name: alpha
    url: https://alpha.example/v1?key=finch
    auth:
      type: bearer
      token: finch-literal
    headers:
      - op: insert
        key: X-Extra
        value: \${TOKEN}
      - op: replace
        key: X-Other
        value: "finch quoted"
    breaker:
      threshold: 0.5
upstream_groups:
  - name: pool
    upstreams:
      - name: alpha
        weight: 2
    balance:
      strategy: random
    http_client:
      agent: Sample/1
      retry: { enabled: true }
      proxy:
        enabled: true
        url: http://finch:finch@proxy.example:3128
`;

export const TEXTS = [SMALL, SMALL, LARGER];

/** Pieces that mean something to YAML, to the references or to the schema. */
const PIECES = [
  ...[
    "\t",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\r",
    ":",
    ": ",
    "- ",
    "-",
    "[",
    "]",
    "{",
    "}",
    ",",
    "'",
    '"',
    "#",
    " #",
  ],
  ...[
    "&a ",
    "*a",
    "&u ",
    "*u",
    "*limit",
    "!",
    "!!str ",
    "!!binary ",
    "|\n",
    ">\n",
    "|9\n",
    "%",
    "%YAML 1.1\n",
  ],
  ...[
    "@",
    "`",
    "?",
    "? ",
    "~",
    "null",
    "true",
    "yes",
    "0",
    "-1",
    "1e400",
    ".inf",
    ".nan",
    "0x10",
    "0o17",
    "1_0",
  ],
  ...[
    "9".repeat(400),
    "-0",
    "1:30",
    "2001-01-01",
    "$",
    "${",
    "${}",
    "${TOKEN}",
    "${BAD}",
    "${URL}",
    "${NOPE}",
  ],
  ...["${NOPE:-x}", "${file:/}", "${file:/nowhere}", "$${", "---\n", "...\n", "<<: ", "<<: *u\n", "? a\n"],
  ...[
    "__proto__: ",
    "constructor: ",
    "\0",
    "\x1b",
    "\x9b",
    "\x85",
    "\u00e9",
    "\u{1f30d}",
    "\ud800",
    "\ufeff",
  ],
  ...["\u2028", "\u202e", '"\\ud800"', '"\\x9b"', '"\\0"', "name: ", "auth: ", "enabled: ", "port: 3001\n"],
  ...["upstreams:\n", "upstream_groups:\n", "[".repeat(70), "{a: ".repeat(70), "[[[[]]]]", "- ".repeat(70)],
];

/** A valid text with one to four things done to it. */
export function mutatedText(random: Random): string {
  if (random.below(200) === 0) return bomb(random);
  let text = random.pick(TEXTS);
  for (let count = 1 + random.below(4); count > 0; count--) text = mutated(text, random);
  return text;
}

function mutated(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  const lines = text.split("\n");
  const from = random.below(lines.length);
  const to = random.below(lines.length);
  const line = lines[from]!;
  switch (random.below(10)) {
    case 0:
      return text.slice(0, at) + text.slice(at + 1 + random.below(4));
    case 1:
      return text.slice(0, at) + random.pick(PIECES) + text.slice(at);
    case 2:
      return text.slice(0, at) + random.pick(PIECES) + text.slice(at + 1);
    case 3:
      return text.slice(0, at) + String.fromCharCode(random.below(0x250)) + text.slice(at + random.below(2));
    case 4:
      return text.slice(0, at) + flipped(text.slice(at, at + 1), random) + text.slice(at + 1);
    case 5:
      return lines.toSpliced(from, 1).join("\n");
    case 6:
      return lines.toSpliced(to, random.below(2), line).join("\n");
    case 7:
      return lines.with(from, " ".repeat(random.below(10)) + line.trimStart()).join("\n");
    case 8:
      return lines
        .with(
          from,
          line.replace(/: .*/, () => `: ${random.pick(PIECES)}`),
        )
        .join("\n");
    default:
      // An anchor on one line, and an alias for it on another.
      return lines
        .with(from, line.replace(/: ?/, ": &a "))
        .with(to, lines[to]!.replace(/: .*/, ": *a"))
        .join("\n");
  }
}

function flipped(character: string, random: Random): string {
  return String.fromCharCode((character.charCodeAt(0) || 0) ^ (1 << random.below(8)));
}

/** Little text that could mean much: aliases of aliases, and nests. */
function bomb(random: Random): string {
  const depth = 2 + random.below(40);
  const width = 1 + random.below(9);
  const row = (of: string) => `[${Array.from({ length: width }, () => of).join(", ")}]`;
  const rows = Array.from(
    { length: depth },
    (_, at) => `k${at}: &k${at} ${row(at === 0 ? "x" : `*k${at - 1}`)}`,
  );
  const nest = random.pick(["[", "{a: ", "- ", "? ", "!!seq ["]).repeat(random.below(3_000));
  return random.pick([
    rows.join("\n"),
    `${rows.join("\n")}\nupstreams: *k${depth - 1}`,
    nest,
    `upstreams: ${nest}`,
  ]);
}
