import { openLibc } from "../shared/libc.ts";

/** How long a connection may take from its first packet to being accepted: a few round trips. */
const HANDSHAKE_MS = 250;

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const PROGRAM_BYTES = 16;

/**
 * Classic BPF over the TCP header of a packet: drop it when it opens a connection (SYN), else let it pass.
 * https://www.kernel.org/doc/html/latest/networking/filter.html
 */
const DROP_SYN = [
  [0x30, 0, 0, 13], // load the byte with the flags
  [0x45, 0, 1, 0x02], // is SYN set?
  [0x06, 0, 0, 0], // yes: keep nothing of it
  [0x06, 0, 0, 0xffffffff], // no: keep all
] as const;

/**
 * Closes a listening socket without losing a connection: what the kernel has already set up for it, but nobody has
 * accepted, would be reset. So first the kernel is told to ignore new attempts, which clients repeat after a second
 * and which then reach whoever else listens on the port; what is on its way is accepted; then `close` is called.
 * Where the kernel cannot be told (not Linux), `close` is called at once.
 */
export function turnAway(listener: object, close: () => void): void {
  if (process.platform !== "linux") return close();
  ignoreNew(listener as { readonly fd: number }).then(
    (ignored) => (ignored ? setTimeout(close, HANDSHAKE_MS) : close()),
    () => close(),
  );
}

/** Gives whether the kernel has taken the filter. `fd` of a Bun listener is missing in its types. */
async function ignoreNew(listener: { readonly fd: number }): Promise<boolean> {
  const { setsockopt } = await openLibc({
    setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  });
  const { ptr } = await import("bun:ffi");
  const program = new Uint8Array(PROGRAM_BYTES + 8 * DROP_SYN.length);
  const view = new DataView(program.buffer);
  // struct sock_fprog: how many instructions, and where they are.
  view.setUint16(0, DROP_SYN.length, true);
  view.setBigUint64(8, BigInt(ptr(program) + PROGRAM_BYTES), true);
  DROP_SYN.forEach(([code, whenTrue, whenFalse, operand], i) => {
    const at = PROGRAM_BYTES + 8 * i;
    view.setUint16(at, code, true);
    view.setUint8(at + 2, whenTrue);
    view.setUint8(at + 3, whenFalse);
    view.setUint32(at + 4, operand, true);
  });
  return setsockopt(listener.fd, SOL_SOCKET, SO_ATTACH_FILTER, program, PROGRAM_BYTES) === 0;
}
