import { join } from "node:path";

import type { TLSOptions } from "bun";

const directory = join(import.meta.dir, "tls");

/** An authority that nobody else knows; a process trusts it that is told to by `NODE_EXTRA_CA_CERTS`. */
export const authorityFile = join(directory, "ca.pem");

/** A certificate of that authority for `model.test`, `localhost` and `127.0.0.1`. Its key guards nothing. */
export const serverTls: TLSOptions = {
  cert: Bun.file(join(directory, "server.pem")),
  key: Bun.file(join(directory, "server.key")),
};

/** A certificate for `other.test` alone, and its own authority. */
export const otherFile = join(directory, "other.pem");
export const otherTls: TLSOptions = {
  cert: Bun.file(otherFile),
  key: Bun.file(join(directory, "other.key")),
};
