import type { Exchange, HeaderList } from "../http/exchange.ts";
import type { Answer } from "./answer.ts";
import { BodyEncoder } from "./body-encoder.ts";
import { NO_SCRIPT } from "./script.ts";
import type { Break, Script } from "./script.ts";
import { lengthOf, settleSteps, stepsOf } from "./steps.ts";
import type { Pace, Step } from "./steps.ts";
import { FramedOutput, Peer, RawOutput } from "./wire.ts";
import type { Output } from "./wire.ts";

const DRIP_INTERVAL_MS = 10;
/**
 * A pause before a reset: it lets the peer read what came first, since a reset may overtake bytes that wait
 * in its receive buffer.
 */
const BEFORE_RESET_MS = 100;
const GARBAGE_HEAD = Buffer.from("\x16\x03\x01 this is not HTTP \x00\x01\x02\r\n\r\n", "latin1");
const GARBAGE_CHUNK = Buffer.from("zz this is no chunk size\r\n\x00\x01\x02\r\n", "latin1");

/** Sends an answer as the script and the pace say. `headers` are those of the answer and of the upstream. */
export function play(
  exchange: Exchange,
  answer: Answer,
  headers: HeaderList,
  script: Script,
  pace: Pace,
): void {
  if (script === NO_SCRIPT && pace.delayMs === 0 && answer.body instanceof Uint8Array) {
    exchange.respond(answer.status, headers, answer.body);
    return;
  }
  new Performance(exchange, script).run(answer, headers, pace).catch((error: unknown) => {
    exchange.cut();
    throw error;
  });
}

/** Breaks off before the body of the request is read: a script whose point is `accept`. */
export function playAccept(exchange: Exchange, script: Script): void {
  new Performance(exchange, script).breakOff().catch((error: unknown) => {
    exchange.cut();
    throw error;
  });
}

/** One answer under way. Its methods that give a boolean say whether to go on. */
class Performance {
  private readonly exchange: Exchange;
  private readonly peer: Peer;
  private readonly script: Script;
  private readonly break: Break | null;
  private readonly output: Output;
  /** Bytes of body that went out, chunk framing not counted. */
  private bodyBytes = 0;

  constructor(exchange: Exchange, script: Script) {
    this.exchange = exchange;
    this.peer = new Peer(exchange);
    this.script = script;
    this.break = script.break ?? null;
    const untilClose = script.framing === "close";
    const ours = untilClose || this.break !== null || script.interim !== undefined;
    // A connection that is going to break does not say so.
    const closing = untilClose || this.break === null;
    this.output = ours ? new RawOutput(exchange, closing, untilClose) : new FramedOutput(exchange);
  }

  async run(answer: Answer, headers: HeaderList, pace: Pace): Promise<void> {
    if (pace.delayMs > 0) await this.peer.wait(pace.delayMs);
    if (this.peer.gone) return;
    if (this.script.raw !== undefined) return this.sendRawResponse(this.script.raw);
    if (this.break?.at === "before-head") return this.breakOff();

    const { encoding, framing } = this.script;
    let steps = stepsOf(answer, this.script, pace);
    let length = lengthOf(answer, this.script);
    // Where the length is wanted and not known, the whole body is made first.
    const settled = length === null && this.wantsLength(answer);
    if (settled) {
      steps = await settleSteps(steps, encoding);
      length = 0;
      for (const step of steps) length += step.bytes.length;
    }
    if (framing === "chunked" || this.break?.action === "garbage") length = null;
    if (!(await this.sendHead(answer.status, headers, length))) return;
    const encoder = encoding === undefined || settled ? null : new BodyEncoder(encoding);
    const complete = await this.sendBody(steps, encoder);
    encoder?.close();
    if (complete) await this.finish();
  }

  /** Does what the script's break says, here and now. */
  async breakOff(): Promise<void> {
    if (this.break === null || this.peer.gone) return;
    switch (this.break.action) {
      case "hang":
        return;
      case "reset":
        if (this.break.at !== "before-head") await this.peer.wait(BEFORE_RESET_MS);
        this.exchange.reset();
        return;
      case "fin":
      case "garbage":
        this.exchange.end();
    }
  }

  private wantsLength(answer: Answer): boolean {
    if (this.script.framing !== undefined) return this.script.framing === "length";
    return answer.body instanceof Uint8Array && this.script.bodyBytes === undefined;
  }

  private async sendHead(status: number, headers: HeaderList, length: number | null): Promise<boolean> {
    const { interim } = this.script;
    if (interim !== undefined) {
      this.exchange.writeRaw(Buffer.from(`HTTP/1.1 ${interim} \r\nX-Demo-Interim: yes\r\n\r\n`, "latin1"));
    }
    const at = this.break?.at;
    if (at === "in-head" && this.output instanceof RawOutput) {
      const bytes = this.output.headBytes(status, headers, length);
      const part = this.break?.action === "garbage" ? GARBAGE_HEAD : bytes.subarray(0, bytes.length >>> 1);
      this.exchange.writeRaw(part);
      await this.breakOff();
      return false;
    }
    this.output.head(status, headers, length);
    if (at !== "after-head") return true;
    await this.breakOff();
    return false;
  }

  private async sendBody(steps: Iterable<Step>, encoder: BodyEncoder | null): Promise<boolean> {
    for (const step of steps) {
      if (step.waitMs > 0) await this.peer.wait(step.waitMs);
      if (this.peer.gone) return false;
      const bytes = encoder === null ? step.bytes : await encoder.encode(step.bytes);
      const sent = this.send(bytes);
      if (!(typeof sent === "boolean" ? sent : await sent)) return false;
      if (step.middle && this.break?.at === "mid-stream") {
        if (this.break.action === "garbage") this.exchange.writeRaw(GARBAGE_CHUNK);
        await this.breakOff();
        return false;
      }
    }
    if (encoder === null) return true;
    return await this.send(await encoder.finish());
  }

  /** Sends a piece of the body. A plain piece to a quick reader costs no promise. */
  private send(bytes: Uint8Array): boolean | Promise<boolean> {
    if (this.script.dripBytes !== undefined) return this.drip(bytes, this.script.dripBytes);
    return this.sendPiece(bytes);
  }

  private sendPiece(bytes: Uint8Array): boolean | Promise<boolean> {
    if (bytes.length === 0) return true;
    const at = this.break?.at;
    if (typeof at === "number" && this.bodyBytes + bytes.length >= at) {
      this.output.partOfBody(bytes.subarray(0, at - this.bodyBytes), bytes.length);
      return this.breakOff().then(() => false);
    }
    this.bodyBytes += bytes.length;
    return this.output.body(bytes) || this.peer.drained().then(() => !this.peer.gone);
  }

  private async drip(bytes: Uint8Array, size: number): Promise<boolean> {
    const intervalMs = this.script.dripIntervalMs ?? DRIP_INTERVAL_MS;
    for (let at = 0; at < bytes.length; at += size) {
      if (intervalMs > 0 && this.bodyBytes > 0) await this.peer.wait(intervalMs);
      if (this.peer.gone) return false;
      if (!(await this.sendPiece(bytes.subarray(at, at + size)))) return false;
    }
    return true;
  }

  private async finish(): Promise<void> {
    if (this.break === null) {
      this.output.endOfBody();
      if (this.output instanceof RawOutput) this.exchange.end();
      return;
    }
    if (this.break.at === "idle") this.output.endOfBody();
    await this.breakOff();
  }

  /** A response given byte by byte: the connection ends after it unless the script breaks it off. */
  private async sendRawResponse(bytes: Uint8Array): Promise<void> {
    const size = this.script.dripBytes ?? bytes.length;
    const end = typeof this.break?.at === "number" ? Math.min(this.break.at, bytes.length) : bytes.length;
    for (let at = 0; at < end; at += size) {
      if (at > 0) await this.peer.wait(this.script.dripIntervalMs ?? DRIP_INTERVAL_MS);
      if (this.peer.gone) return;
      const piece = bytes.subarray(at, Math.min(at + size, end));
      if (!this.exchange.writeRaw(piece)) await this.peer.drained();
    }
    if (this.break === null) this.exchange.end();
    else await this.breakOff();
  }
}
