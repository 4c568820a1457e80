import { resolve } from "node:path";

import { readTextFile } from "./read-file.ts";

/** Where the values of references come from. */
export interface SecretSource {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Relative paths in `${file:...}` start here: the directory of the configuration file. */
  readonly directory: string;
}

/**
 * A string with its references replaced. `expanded` tells whether there was one: the value must then never be
 * shown. On failure `reference` is the text of the reference that failed, null when it is not even one (it may
 * then be a piece of a secret that contains `${`), and `reason` follows "expected".
 */
export type Expansion =
  | { readonly ok: true; readonly value: string; readonly expanded: boolean }
  | { readonly ok: false; readonly reference: string | null; readonly reason: string };

/** Largest secret file. */
export const secretBytesMax = 64 * 1024;
/** Most characters that all references of one configuration may bring in together. */
export const expandedCharsMax = 4 * 1024 * 1024;

const referenceForm = /\$\$\{|\$\{([^}]*)(\}?)/g;
const variableForm = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([^]*))?$/;

/**
 * Replaces `${NAME}`, `${NAME:-default}` and `${file:/path}` in strings; `$${` becomes a literal `${`. The
 * results are not looked at again, so a secret may contain anything. As in a shell, `:-` takes the default for
 * a variable that is unset or empty. One instance serves one loading: files are read once, and the amount of
 * text brought in is bounded.
 */
export class SecretExpander {
  readonly #source: SecretSource;
  readonly #files = new Map<string, Expansion>();
  #charsLeft = expandedCharsMax;

  constructor(source: SecretSource) {
    this.#source = source;
  }

  /** Gives `text` with its references replaced, or the first reference that cannot be. Never throws. */
  expand(text: string): Expansion {
    if (!text.includes("${")) return { ok: true, value: text, expanded: false };
    let value = "";
    let expanded = false;
    let end = 0;
    for (const match of text.matchAll(referenceForm)) {
      value += text.slice(end, match.index);
      end = match.index + match[0].length;
      if (match[0] === "$${") {
        value += "${";
        continue;
      }
      const part = this.#resolve(match[0], match[1] ?? "", match[2] === "}");
      if (!part.ok) return part;
      this.#charsLeft -= part.value.length;
      if (this.#charsLeft < 0) {
        const reason = `references that bring in at most ${expandedCharsMax / 1024 / 1024} MB together`;
        return { ok: false, reference: match[0], reason };
      }
      value += part.value;
      expanded = true;
    }
    return { ok: true, value: value + text.slice(end), expanded };
  }

  /** Full paths of the files that were named so far. */
  get files(): readonly string[] {
    return [...this.#files.keys()];
  }

  #resolve(reference: string, body: string, closed: boolean): Expansion {
    if (closed && body.startsWith("file:") && body.length > 5)
      return this.#readFile(reference, body.slice(5));
    const variable = closed ? variableForm.exec(body) : null;
    const name = variable?.[1];
    if (name === undefined) {
      const reason = "${NAME}, ${NAME:-default} or ${file:/path}; write $${ for a literal ${";
      return { ok: false, reference: null, reason };
    }
    const fallback = variable?.[2];
    const set = Object.hasOwn(this.#source.env, name) ? this.#source.env[name] : undefined;
    const value = fallback === undefined ? set : set || fallback;
    if (value !== undefined) return { ok: true, value, expanded: true };
    return { ok: false, reference, reason: `the environment variable ${name} to be set` };
  }

  #readFile(reference: string, path: string): Expansion {
    const full = resolve(this.#source.directory, path);
    const known = this.#files.get(full);
    if (known !== undefined) return known.ok ? known : { ...known, reference };
    const file = readTextFile(full, secretBytesMax);
    const result: Expansion = file.ok
      ? { ok: true, value: file.text.replace(/\r?\n$/, ""), expanded: true }
      : {
          ok: false,
          reference,
          reason: `a readable file of at most ${secretBytesMax / 1024} KB: ${file.reason}`,
        };
    this.#files.set(full, result);
    return result;
  }
}
