import type { Answer, EventStream } from "./answer.ts";
import { BodyEncoder } from "./body-encoder.ts";
import type { Encoding, Script } from "./script.ts";

/** A piece of a body, and the pause before it. */
export interface Step {
  readonly waitMs: number;
  readonly bytes: Uint8Array;
  /** Half of the body is out with this piece. */
  readonly middle: boolean;
}

/** How quickly an answer goes, in milliseconds. */
export interface Pace {
  /** Before the head. */
  readonly delayMs: number;
  /** Between the head and the first event of a stream. */
  readonly firstTokenMs: number;
  /** Between the tokens of a stream. */
  readonly tokenIntervalMs: number;
}

/** A prime, so that a piece lost or moved by any usual buffer size shows. */
const PATTERN_BYTES = 65_521;

/** Byte i of a `body-bytes` body is `bodyPattern[i % bodyPattern.length]`. */
export const bodyPattern: Uint8Array = makePattern();

/** Noise from a linear congruential generator (multiplier and increment of Numerical Recipes). */
function makePattern(): Uint8Array {
  const pattern = new Uint8Array(PATTERN_BYTES);
  let state = 1;
  for (let at = 0; at < PATTERN_BYTES; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    pattern[at] = state >>> 24;
  }
  return pattern;
}

/** The pieces of an answer's body in order. Large bodies are made as they are asked for. */
export function stepsOf(answer: Answer, script: Script, pace: Pace): Iterable<Step> {
  if (script.bodyBytes !== undefined) return patternSteps(script.bodyBytes);
  if (answer.body instanceof Uint8Array) return wholeSteps(answer.body, script);
  return streamSteps(answer.body, script, pace);
}

/** Length of the body on the wire, or null where that is not known before it is made. */
export function lengthOf(answer: Answer, script: Script): number | null {
  if (script.encoding !== undefined) return null;
  if (script.bodyBytes !== undefined) return script.bodyBytes;
  if (!(answer.body instanceof Uint8Array)) return null;
  return script.garbageJson === true ? answer.body.length >>> 1 : answer.body.length;
}

/** All pieces as they go over the wire, compressed if need be. For bodies that fit into memory. */
export async function settleSteps(steps: Iterable<Step>, encoding: Encoding | undefined): Promise<Step[]> {
  if (encoding === undefined) return [...steps];
  const encoder = new BodyEncoder(encoding);
  const settled: Step[] = [];
  for (const step of steps) settled.push({ ...step, bytes: await encoder.encode(step.bytes) });
  settled.push({ waitMs: 0, bytes: await encoder.finish(), middle: false });
  return settled;
}

function* patternSteps(length: number): Generator<Step> {
  let halfIsOut = false;
  for (let at = 0; at < length; at += PATTERN_BYTES) {
    const size = Math.min(PATTERN_BYTES, length - at);
    const middle: boolean = !halfIsOut && at + size >= length / 2;
    halfIsOut ||= middle;
    yield { waitMs: 0, bytes: size === PATTERN_BYTES ? bodyPattern : bodyPattern.subarray(0, size), middle };
  }
}

function* wholeSteps(body: Uint8Array, script: Script): Generator<Step> {
  if (script.break?.at !== "mid-stream" && script.garbageJson !== true) {
    yield { waitMs: 0, bytes: body, middle: true };
    return;
  }
  const half = body.length >>> 1;
  yield { waitMs: 0, bytes: body.subarray(0, half), middle: true };
  if (script.garbageJson !== true) yield { waitMs: 0, bytes: body.subarray(half), middle: false };
}

function* streamSteps(stream: EventStream, script: Script, pace: Pace): Generator<Step> {
  const { tokens } = stream;
  const pingMs = stream.ping.length === 0 ? 0 : (script.pingIntervalMs ?? 0);
  let waitMs = pace.firstTokenMs;
  for (; pingMs > 0 && waitMs > pingMs; waitMs -= pingMs) {
    yield { waitMs: pingMs, bytes: stream.ping, middle: false };
  }
  const half = Math.ceil(tokens.length / 2);
  yield { waitMs, bytes: stream.opening, middle: half === 0 };
  for (let at = 0; at < tokens.length; at++) {
    if (script.garbageJson === true && at === half) yield { waitMs: 0, bytes: stream.garbled, middle: false };
    const interval = at === 0 ? 0 : pace.tokenIntervalMs;
    yield { waitMs: interval, bytes: tokens[at] as Uint8Array, middle: at + 1 === half };
  }
  if (script.garbageJson === true && tokens.length <= half) {
    yield { waitMs: 0, bytes: stream.garbled, middle: false };
  }
  yield { waitMs: 0, bytes: stream.ending, middle: false };
}
