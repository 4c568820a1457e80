import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { CHUNK_CASES } from "../fixtures/cases/chunk-cases.ts";
import { FIELD_CASES } from "../fixtures/cases/field-cases.ts";
import { FRAMING_CASES } from "../fixtures/cases/framing-cases.ts";
import { LINE_CASES } from "../fixtures/cases/line-cases.ts";
import { type Forwarded, head, HOST, MARK, type RequestCase } from "../fixtures/cases/request-case.ts";
import { type Answer, field } from "../http/answers.ts";
import { RawClient } from "../http/raw-client.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { Random } from "../support/random.ts";
import { ANSWER, type Recorded, type Recorder, startRecorder } from "./http-cases-upstream.ts";

const GROUPS = { LINE_CASES, FIELD_CASES, FRAMING_CASES, CHUNK_CASES };
const FENCE = head("GET /v1/fence HTTP/1.1", HOST);
const random = new Random();

let recorder: Recorder;
let proxy: RunningProxy;
let transport: string;
/** All that ought to have reached the upstream. */
let forwardedCount = 0;

beforeAll(() => {
  recorder = startRecorder();
});
afterAll(() => recorder.stop());

/** Sends the bytes of a case, cut at these places. */
async function send(given: RequestCase, cuts: readonly number[]): Promise<RawClient> {
  const client = await RawClient.connect(proxy.port());
  let from = 0;
  for (const to of [...cuts, given.bytes.length]) {
    client.write(given.bytes.slice(from, to));
    from = to;
    // A turn of the loop lets the segment go on its own.
    if (to < given.bytes.length) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  if (given.halfClosed === true) client.finish();
  return client;
}

function cutsOf({ bytes, pieceBytes, cutAt }: RequestCase): number[] {
  if (cutAt !== undefined) return [cutAt];
  if (pieceBytes === undefined) return [];
  return Array.from({ length: Math.ceil(bytes.length / pieceBytes) - 1 }, (_, at) => (at + 1) * pieceBytes);
}

/** Plays a case and checks what the client and the upstream got. */
async function play(given: RequestCase, cuts: readonly number[]): Promise<void> {
  const before = recorder.requests.length;
  const client = await send(given, cuts);
  const forwarded = given.forwarded ?? [];
  let answers: Answer[];
  if (given.closes === true || (given.forwarded === undefined && given.keeps !== true)) {
    // A request that should have been refused is not waited for any longer.
    await client.until(
      () => given.refused !== undefined && client.answers().some(({ status }) => status === 200),
    );
    client.close();
    answers = client.answers();
  } else {
    const methods = [given.bytes.split(" ", 1)[0]!];
    const count = given.forwarded?.length ?? 1;
    await client.untilAnswers(count, methods);
    // What stands behind is understood as it was meant: both sides agree on where the case ends.
    client.write(FENCE);
    answers = await client.untilAnswers(count + 1, methods);
    client.close();
    expect(answers.pop()).toMatchObject({ status: 200, body: ANSWER });
    expect(recorder.requests.pop()?.line).toBe("GET /v1/fence");
  }
  forwardedCount += forwarded.length;
  expectAnswers(given, answers);
  const got = recorder.requests.slice(before);
  expect(got.map(({ line, body }) => ({ line, body }))).toEqual(
    forwarded.map(({ line, lineByFetch, body }) => ({
      line: transport === "fetch" ? (lineByFetch ?? line) : line,
      body,
    })),
  );
  for (const [at, request] of got.entries()) expectFields(request, forwarded[at]!);
  expect(recorder.oddities).toEqual([]);
}

function expectAnswers(
  { bytes, refused, keeps, forwarded = [] }: RequestCase,
  answers: readonly Answer[],
): void {
  expect(answers.every((answer) => answer.complete)).toBe(true);
  if (refused === undefined) {
    expect(answers.map(({ status, body }) => [status, body])).toEqual(forwarded.map(() => [200, ANSWER]));
    return;
  }
  expect(answers.map(({ status }) => status)).toEqual([refused]);
  const [answer] = answers;
  expect(field(answer, "connection")).toBe(keeps === true ? null : "close");
  expect(field(answer, "x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  if (bytes.startsWith("HEAD ")) return;
  expect(JSON.parse(answer!.body)).toEqual({
    error: { message: expect.any(String), type: expect.any(String), code: expect.any(String), param: null },
  });
}

function expectFields(request: Recorded, { has = [], lacks = [] }: Forwarded): void {
  for (const text of has) expect(request.fields).toContain(text);
  for (const text of [...lacks, MARK]) expect(request.line + request.fields).not.toContain(text);
}

describe.each(TRANSPORTS)("over the transport %s", (name) => {
  beforeAll(async () => {
    transport = name;
    const upstreams = { recorder: recorder.url };
    proxy = await startProxy({ config: configOf({ cases: { upstreams } }, transport), workers: 1 });
  });
  afterAll(() => proxy.stop());

  describe.each(Object.entries(GROUPS))("%s", (_, cases) => {
    for (const given of cases) {
      test(`${given.name}${given.refused === undefined ? "" : `: ${given.refused}`}`, async () => {
        await play(given, cutsOf(given));
      });
    }

    test("all of them again, each cut at some place", async () => {
      await random.run(async () => {
        for (const given of cases) {
          const cut = 1 + random.below(Math.max(1, given.bytes.length - 1));
          await play(given, [cut]).catch((cause: unknown) => {
            throw new Error(`${given.name}, cut at ${cut}`, { cause });
          });
        }
      });
    }, 60_000);
  });
});

test("nothing reached the upstream but what was to", () => {
  expect(recorder.requests).toHaveLength(forwardedCount);
  expect(recorder.oddities).toEqual([]);
});
