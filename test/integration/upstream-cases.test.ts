import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { RESPONSE_BODY_CASES } from "../fixtures/cases/response-body-cases.ts";
import { MARK, type ResponseCase, type Seen, TYPE } from "../fixtures/cases/response-case.ts";
import { RESPONSE_HEAD_CASES } from "../fixtures/cases/response-head-cases.ts";
import type { Answer } from "../http/answers.ts";
import { RawClient } from "../http/raw-client.ts";
import { request } from "../http/serve.ts";
import { configOf } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { Random } from "../support/random.ts";
import { type RawUpstream, startRawUpstream, type UpstreamConnection } from "../support/raw-upstream.ts";

const CASES = [...RESPONSE_HEAD_CASES, ...RESPONSE_BODY_CASES];
const SPOKEN = CASES.filter(({ then }) => then !== "silence");
const SILENT = CASES.filter(({ then }) => then === "silence");
const PROBE = '{"probe":true}';
const EVENTS = "Content-Type: text/event-stream";
const random = new Random();

/** One way for a case to be played. */
interface Run {
  /** The forward, which chooses the transport and whether answers are read whole first. */
  readonly forward: "sockets" | "sockets-whole" | "fetch" | "fetch-whole";
  readonly type: string;
  /** Where the answer is cut in two; null = not at all. */
  readonly cut: number | null;
}

/** What each request in progress is answered with, by its target. */
const playing = new Map<string, { played: ResponseCase; run: Run }>();
/** Where the answer to the last request went. */
let used: UpstreamConnection | null = null;
let requests = 0;
let upstream: RawUpstream;
let proxy: RunningProxy;

beforeAll(async () => {
  upstream = startRawUpstream((received, connection) => {
    used = connection;
    const given = playing.get(received.target);
    if (given !== undefined) answer(connection, given.played, given.run);
    else connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${PROBE.length}\r\n\r\n${PROBE}`);
  });
  const upstreams = { raw: upstream.url };
  const timeout = { request: 1 };
  const group = (transport: string, stream: boolean) => ({
    upstreams,
    client: { timeout, transport, stream },
  });
  proxy = await startProxy({
    config: configOf({
      sockets: group("socket", true),
      "sockets-whole": group("socket", false),
      fetch: group("fetch", true),
      "fetch-whole": group("fetch", false),
    }),
    workers: 1,
  });
});
afterAll(async () => {
  await proxy.stop();
  upstream.stop();
});

function answer(connection: UpstreamConnection, played: ResponseCase, { type, cut }: Run): void {
  const bytes = played.bytes.replace(TYPE, type);
  const end = () => {
    if (played.then === "end") connection.end();
    // What was sent must be on its way, or the reset takes it back.
    if (played.then === "reset") setTimeout(() => connection.reset(), 10);
  };
  connection.send(bytes.slice(0, cut ?? bytes.length));
  if (cut === null) {
    end();
    return;
  }
  setTimeout(() => {
    connection.send(bytes.slice(cut));
    end();
  }, 2);
}

/** Sends a request and waits for its whole answer, or the end of the connection. */
async function ask(forward: string, line: string): Promise<{ text: string; answers: Answer[] }> {
  const method = line.split(" ", 1)[0]!;
  const client = await RawClient.send(proxy.port(forward), request(line, [], method === "POST" ? "{}" : ""));
  const answers = await client.untilAnswers(1, [method]);
  client.close();
  return { text: client.text, answers };
}

/** Asks for something else, until the upstream's connection that has just ended is out of the pool. */
async function probe(forward: string): Promise<string> {
  let seen = "";
  for (let tries = 0; tries < 5; tries++) {
    const { text, answers } = await ask(forward, "GET /probe");
    seen += text;
    if (answers[0]?.status === 502) continue;
    expect(answers).toMatchObject([{ status: 200, body: PROBE, complete: true }]);
    return seen;
  }
  throw new Error(`no probe comes through: ${seen}`);
}

/** How the client saw an answer. */
function seenAs(answers: readonly Answer[], { forward }: Run): Seen {
  expect(answers.length).toBeLessThanOrEqual(1);
  const [got] = answers;
  if (got === undefined || !got.complete) {
    // An answer that is read whole first can still be replaced by an error.
    expect(forward).not.toContain("whole");
    return "broken";
  }
  if (got.status === 502) return "broken";
  if (got.status === 504) return "late";
  const head = got.fields.map(([name, value]) => `\r\n${name.toLowerCase()}: ${value}`).join("");
  return { status: got.status, body: got.body, has: [head] };
}

function fits(seen: Seen, wanted: Seen): boolean {
  if (typeof seen === "string" || typeof wanted === "string") return seen === wanted;
  const head = seen.has![0]!;
  const { status, body, has = [], lacks = [] } = wanted;
  return (
    seen.status === status &&
    seen.body === body &&
    has.every((text) => head.includes(text)) &&
    lacks.every((text) => !head.includes(text))
  );
}

/** Lets the upstream answer with a case, and looks at what the client sees. */
async function expectSeen(played: ResponseCase, run: Run): Promise<string> {
  const target = `/case/${++requests}`;
  playing.set(target, { played, run });
  const { text, answers } = await ask(run.forward, `${played.method ?? "POST"} ${target}`);
  playing.delete(target);
  const seen = seenAs(answers, run);
  const isFetch = run.forward.startsWith("fetch");
  const wanted = isFetch ? (played.seenByFetch ?? played.seen) : played.seen;
  if (!wanted.some((one) => fits(seen, one)))
    throw new Error(`the client saw ${JSON.stringify(seen)}: ${JSON.stringify(text.slice(0, 400))}`);
  expect(text).not.toContain(MARK);
  return text;
}

/** The same, and that the next answer on the upstream's connection, or another one, is the right one. */
async function play(played: ResponseCase, run: Run): Promise<void> {
  await expectSeen(played, run);
  const connection = used;
  expect(await probe(run.forward)).not.toContain(MARK);
  const single =
    played.single === "always" || (played.single === "sockets" && run.forward.startsWith("sockets"));
  // A cut case may have its rest on the way when it is over.
  if (single && run.cut === null) expect(used).not.toBe(connection);
}

const RUNS: [name: string, run: Run][] = [
  ["JSON relayed from a socket", { forward: "sockets", type: TYPE, cut: null }],
  ["events relayed from a socket", { forward: "sockets", type: EVENTS, cut: null }],
  ["JSON read whole from a socket", { forward: "sockets-whole", type: TYPE, cut: null }],
  ["JSON relayed from fetch", { forward: "fetch", type: TYPE, cut: null }],
  ["JSON read whole from fetch", { forward: "fetch-whole", type: TYPE, cut: null }],
];

for (const [name, run] of RUNS) {
  describe(`an upstream's answer, as ${name}`, () => {
    for (const played of SPOKEN) test(played.name, () => play(played, run));
  });
}

describe.each(["sockets", "fetch"] as const)("an upstream's answer by %s", (forward) => {
  test("is understood alike when it comes in two pieces", async () => {
    await random.run(async () => {
      // Where bytes go on behind the answer, it may be over before they come, and they meet the next one on its connection.
      const isWhole = ({ bytes, single }: ResponseCase) => single === undefined && !bytes.includes(MARK);
      for (const played of SPOKEN.filter((one) => one.bytes.length > 1 && isWhole(one))) {
        const cut = 1 + random.below(played.bytes.length - 1);
        await play(played, { forward, type: TYPE, cut }).catch((cause: unknown) => {
          throw new Error(`${played.name}, cut at ${cut}`, { cause });
        });
      }
    });
  }, 60_000);

  test("that does not come, or does not go on, ends at the time limit", async () => {
    const run: Run = { forward, type: TYPE, cut: null };
    const all = SILENT.map((played) =>
      expectSeen(played, run).catch((cause: unknown) => {
        throw new Error(played.name, { cause });
      }),
    );
    await Promise.all(all);
  }, 60_000);
});
