const BIND_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)",
};

/** Why the process cannot serve, or not by another configuration, in a sentence for people. */
export class StartError extends Error {
  override readonly name = "StartError";

  /** `who`: the listener; `code`: as the system names it. */
  static cannotBind(who: string, address: string, port: number, code: string): StartError {
    const host = address.includes(":") ? `[${address}]` : address;
    return new StartError(`${who} cannot listen on ${host}:${port}: ${BIND_ERRORS[code] ?? code}`);
  }
}
