import { log } from "../observe/log.ts";
import { openLibc } from "../shared/libc.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What the service manager (systemd, `Type=notify`) is told. Where there is none every method does nothing.
 * https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
 */
export interface ServiceManager {
  /** All listeners are open, or a reload is done, whether it was applied or refused. `status` is for people. */
  ready(status: string): void;
  /** A reload begins; `ready` must follow. */
  reloading(): void;
  /** Stopping begins. It may take `limitMs`, whatever time limit the unit sets. */
  stopping(limitMs: number): void;
  /** Another process serves from now on: systemd shall watch that one. It speaks for itself afterwards. */
  handOver(pid: number): void;
  /**
   * Says at half the interval that the unit's `WatchdogSec=` asks for that all is well, as long as `stuck`,
   * given that half interval in milliseconds, gives null. What it gives otherwise is logged, and systemd's
   * patience runs. Does nothing for a unit without `WatchdogSec=`.
   */
  watch(stuck: (silentMs: number) => string | null): void;
  /** Stops the timers and closes the socket; nothing is told any more. */
  close(): void;
}

/** Sends one datagram to the service manager. Gives false when it was not taken. */
interface Datagrams {
  send(text: string): boolean;
  /** CLOCK_MONOTONIC in microseconds, as systemd reads it too. */
  monotonicUs(): bigint;
  close(): void;
}

const silent: ServiceManager = {
  ready() {},
  reloading() {},
  stopping() {},
  handOver() {},
  watch() {},
  close() {},
};

/**
 * Finds the service manager that `NOTIFY_SOCKET` of the environment names, `/path` or `@abstract`. Never fails: a
 * socket that cannot be used is logged and left alone. `WATCHDOG_PID` is not looked at: after `handOver` it
 * names the predecessor, and systemd itself only listens to the unit's main process.
 */
export async function findServiceManager(env: Environment): Promise<ServiceManager> {
  const path = env["NOTIFY_SOCKET"];
  if (path === undefined || path === "" || process.platform !== "linux") return silent;
  const address = socketAddress(path);
  if (address === null) {
    log("warn", "NOTIFY_SOCKET is neither a path nor an abstract name: the service manager is told nothing");
    return silent;
  }
  try {
    const datagrams = await openDatagrams(address);
    return new SystemdManager(datagrams, Number(env["WATCHDOG_USEC"] ?? 0) / 1000);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log("warn", "the service manager cannot be told anything", { reason });
    return silent;
  }
}

const QUEUE_MAX = 16;
const RETRY_MS = 100;
const RETRIES_MAX = 50;

/** Keeps messages in order, and sends them again for a while when systemd's queue is full. Never blocks. */
class SystemdManager implements ServiceManager {
  private readonly datagrams: Datagrams;
  private readonly watchdogMs: number;
  private readonly queue: string[] = [];
  private retries = 0;
  private retry: Timer | null = null;
  private watchdog: Timer | null = null;

  /** `watchdogMs`: 0 or NaN = no watchdog. */
  constructor(datagrams: Datagrams, watchdogMs: number) {
    this.datagrams = datagrams;
    this.watchdogMs = watchdogMs;
  }

  ready(status: string): void {
    this.post(`READY=1\nSTATUS=${status.replaceAll(/\s+/g, " ")}\n`);
  }

  reloading(): void {
    this.post(`RELOADING=1\nMONOTONIC_USEC=${this.datagrams.monotonicUs()}\nSTATUS=reloading\n`);
  }

  stopping(limitMs: number): void {
    this.post(`STOPPING=1\nEXTEND_TIMEOUT_USEC=${Math.ceil(limitMs * 1000)}\nSTATUS=draining\n`);
  }

  handOver(pid: number): void {
    // What it said before was not listened to.
    this.post(`MAINPID=${pid}\nSTATUS=serving\n`);
  }

  watch(stuck: (silentMs: number) => string | null): void {
    if (!(this.watchdogMs > 0) || this.watchdog !== null) return;
    const halfMs = this.watchdogMs / 2;
    const ping = () => {
      const reason = stuck(halfMs);
      // A ping that is not taken is not kept: what it says is true only now.
      if (reason === null) this.datagrams.send("WATCHDOG=1\n");
      else log("error", "something hangs, so the watchdog is not told that all is well", { reason });
    };
    this.watchdog = setInterval(ping, halfMs);
    this.watchdog.unref();
    ping();
  }

  close(): void {
    if (this.watchdog !== null) clearInterval(this.watchdog);
    if (this.retry !== null) clearTimeout(this.retry);
    this.datagrams.close();
  }

  private post(text: string): void {
    if (this.queue.length === QUEUE_MAX) this.queue.shift();
    this.queue.push(text);
    if (this.retry === null) this.flush();
  }

  private flush(): void {
    while (this.queue.length > 0 && this.datagrams.send(this.queue[0]!)) {
      this.queue.shift();
      this.retries = 0;
    }
    if (this.queue.length === 0) return;
    if (++this.retries > RETRIES_MAX) {
      log("warn", "the service manager takes no messages", { dropped: this.queue.length });
      this.queue.length = 0;
      this.retries = 0;
      return;
    }
    this.retry = setTimeout(() => {
      this.retry = null;
      this.flush();
    }, RETRY_MS);
    this.retry.unref();
  }
}

const AF_UNIX = 1;
/** Bytes of `sun_path`, https://man7.org/linux/man-pages/man7/unix.7.html. */
const PATH_BYTES_MAX = 108;

/** Bytes of a `sockaddr_un`, or null when it cannot be one. An abstract name has no terminating zero. */
function socketAddress(path: string): Uint8Array | null {
  if (!path.startsWith("/") && !path.startsWith("@")) return null;
  const bytes = new TextEncoder().encode(path.startsWith("@") ? `\0${path.slice(1)}` : `${path}\0`);
  if (bytes.length < 2 || bytes.length > PATH_BYTES_MAX) return null;
  const address = new Uint8Array(2 + bytes.length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, 2);
  return address;
}

// Linux on x64 and arm64, glibc and musl alike.
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const CLOCK_MONOTONIC = 1;

/**
 * Bun has no datagram sockets of the unix domain, so the C library is asked. It is the one that the process runs
 * on, and so already in memory; a process without a service manager never comes here. Throws when there is none.
 */
async function openDatagrams(address: Uint8Array): Promise<Datagrams> {
  const libc = await openLibc({
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", "usize", "i32", "ptr", "u32"], returns: "i64" },
    clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
  });
  let socket = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) throw new Error("no datagram socket of the unix domain could be opened");
  const encoder = new TextEncoder();
  return {
    send(text) {
      if (socket < 0) return false;
      const bytes = encoder.encode(text);
      const sent = libc.sendto(socket, bytes, bytes.length, MSG_NOSIGNAL, address, address.length);
      return sent === BigInt(bytes.length);
    },
    monotonicUs() {
      const seconds = new BigInt64Array(2);
      libc.clock_gettime(CLOCK_MONOTONIC, seconds);
      return seconds[0]! * 1_000_000n + seconds[1]! / 1000n;
    },
    close() {
      if (socket >= 0) libc.close(socket);
      socket = -1;
    },
  };
}
