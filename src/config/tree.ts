import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Scalar,
  type YAMLMap,
} from "yaml";

import { mayHoldSecret } from "./base-url.ts";
import { childPath, quote, shownKey } from "./problem.ts";
import type { Position, Report } from "./report.ts";
import type { ScalarShape, Shape } from "./schema-shape.ts";
import type { SecretExpander } from "./secrets.ts";

/** A mapping of the configuration: no prototype, so that no key can reach one. */
export interface Mapping {
  readonly [key: string]: unknown;
}

export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Values that aliases may repeat altogether: a bomb of nested aliases grows by powers. */
const aliasedNodesMax = 10_000;
const depthMax = 64;

/** Forms of YAML's core schema: https://yaml.org/spec/1.2.2/#103-core-schema */
const numberForm = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const booleanForm = /^(true|True|TRUE|false|False|FALSE)$/;

/**
 * Stands for a value that has an error already, such as an unset variable. It is of no type that the schema
 * takes, so that no default is put in its place and no further rule is held against it.
 */
export const unreadable = Symbol("unreadable");

/** Ends a walk that cannot be finished; never leaves this file. */
class WalkEnd extends Error {}

/**
 * Makes plain values of a YAML document: aliases followed, references to secrets replaced, empty blocks
 * (`headers:` with nothing behind it) made empty mappings and lists, and numbers and booleans made of strings
 * that came from references. Writes the place of every value to `report`, and errors: duplicate keys, unknown
 * aliases, references that cannot be replaced. Gives `unreadable` when the walk had to be given up.
 */
export function readTree(
  document: Document.Parsed,
  positionAt: (offset: number) => Position,
  shape: Shape,
  expander: SecretExpander,
  report: Report,
): unknown {
  const walker = new Walker(positionAt, expander, report);
  try {
    return walker.walk(document.contents, "", shape, null);
  } catch (error) {
    if (error instanceof WalkEnd) return unreadable;
    throw error;
  }
}

class Walker {
  readonly #positionAt: (offset: number) => Position;
  readonly #expander: SecretExpander;
  readonly #report: Report;
  /** The nodes that names stand for at this point of the file: an alias means the last one before it. */
  readonly #anchors = new Map<string, Node>();
  /** Nodes on the way from the top, for an alias that refers to something it is part of. */
  readonly #open = new Set<Node>();
  /** Values that stood at a key for secrets, or where nothing of their kind belongs: an alias does not bring them out. */
  readonly #secrets = new Set<Node>();
  #aliasDepth = 0;
  #aliasedNodes = 0;

  constructor(positionAt: (offset: number) => Position, expander: SecretExpander, report: Report) {
    this.#positionAt = positionAt;
    this.#expander = expander;
    this.#report = report;
  }

  walk(node: Node | null, path: string, shape: Shape | undefined, keyPosition: Position | null): unknown {
    const position = this.#positionOf(node, keyPosition);
    if (this.#open.size > depthMax) this.#end(position, `nested deeper than ${depthMax} levels`);
    if (isAlias(node)) return this.#walkAlias(node, path, shape, position, keyPosition);
    if (this.#aliasDepth > 0 && ++this.#aliasedNodes > aliasedNodesMax) {
      this.#end(position, `aliases repeat more than ${aliasedNodesMax} values`);
    }
    if (node?.anchor !== undefined && this.#aliasDepth === 0) this.#anchors.set(node.anchor, node);

    const where = { position, keyPosition: keyPosition ?? position };
    const plain = { ...where, hint: "", word: null, expanded: false };
    if (isMap(node)) {
      this.#report.setPlace(path, { ...plain, found: "a mapping" });
      return this.#inside(node, () => this.#walkMapping(node, path, shape));
    }
    if (isSeq(node)) {
      this.#report.setPlace(path, { ...plain, found: node.items.length === 0 ? "an empty list" : "a list" });
      const item = shape?.kind === "list" ? shape.item : undefined;
      const items = node.items as (Node | null)[];
      return this.#inside(node, () =>
        items.map((child, i) => this.walk(child, childPath(path, i), item, null)),
      );
    }
    return this.#walkScalar(node, path, shape, where);
  }

  #walkMapping(node: YAMLMap, path: string, shape: Shape | undefined): Mapping {
    const mapping: Record<string, unknown> = Object.create(null);
    const lines = new Map<string, number>();
    for (const pair of node.items) {
      const keyNode = pair.key as Scalar;
      const key = String(keyNode.value);
      const position = this.#positionOf(keyNode, null);
      const full = childPath(path, key);
      const firstLine = lines.get(key);
      if (firstLine !== undefined) {
        this.#report.error(
          full,
          position,
          `found the key ${quote(shownKey(key))} twice, first on line ${firstLine}`,
        );
        continue;
      }
      lines.set(key, position.line);
      const child = shape?.kind === "mapping" ? shape.keys.get(key) : undefined;
      mapping[key] = this.walk(pair.value as Node | null, full, child, position);
    }
    return mapping;
  }

  #walkAlias(
    alias: Alias,
    path: string,
    shape: Shape | undefined,
    position: Position,
    keyPosition: Position | null,
  ): unknown {
    const target = this.#anchors.get(alias.source);
    if (target === undefined || this.#open.has(target)) {
      // The alias is not named: it may be a secret that begins with * and lacks its quotes.
      const problem =
        target === undefined ? "without an anchor before it" : "for something that it is part of";
      this.#report.error(
        path,
        position,
        `found an alias ${problem} (a value that begins with * needs quotes)`,
      );
      return unreadable;
    }
    this.#aliasDepth++;
    const value = this.walk(target, path, shape, keyPosition ?? position);
    this.#aliasDepth--;
    return value;
  }

  #walkScalar(
    node: Node | null,
    path: string,
    shape: Shape | undefined,
    where: { position: Position; keyPosition: Position },
  ): unknown {
    const value = isScalar(node) ? node.value : null;
    const scalar = shape?.kind === "scalar" ? shape : null;
    const source = isScalar(node) ? (node.source ?? "") : "";
    const plain = isScalar(node) && node.type === "PLAIN";
    if (scalar === null && node !== null) this.#secrets.add(node);
    const secret = scalar !== null && this.#isSecret(node, scalar, source);
    const expansion = scalar !== null && typeof value === "string" ? this.#expander.expand(value) : null;
    const expanded = expansion !== null && (!expansion.ok || expansion.expanded);
    this.#report.setPlace(path, {
      ...where,
      found: foundText(value, source, scalar, secret, expanded),
      hint: hintFor(value, scalar, plain, expanded),
      word: typeof value === "string" && !expanded && !secret ? value : null,
      expanded,
    });
    if (expansion === null) return value === null ? emptyBlock(shape) : value;
    if (expansion.ok) return expansion.expanded ? coerce(expansion.value, scalar) : expansion.value;
    const shown = expansion.reference ?? (secret ? "a malformed ${...}" : quote(source));
    this.#report.error(path, where.position, `found ${shown}, expected ${expansion.reason}`);
    return unreadable;
  }

  /**
   * True for what a message must not repeat. That is also a text of several lines, which only a key for secrets may need:
   * where the key is missing or a quote, the line below, a secret for all one knows, is part of the value above.
   */
  #isSecret(node: Node | null, shape: ScalarShape, source: string): boolean {
    if (node === null) return false;
    if (isSecret(shape, source)) this.#secrets.add(node);
    return this.#secrets.has(node) || this.#isOfSeveralLines(node);
  }

  #isOfSeveralLines({ range }: Node): boolean {
    return range != null && this.#positionAt(range[0]).line < this.#positionAt(range[1]).line;
  }

  #inside<T>(node: Node, walk: () => T): T {
    this.#open.add(node);
    const value = walk();
    this.#open.delete(node);
    return value;
  }

  /** An empty value has no place of its own: that of its key is given. */
  #positionOf(node: Node | null, keyPosition: Position | null): Position {
    const empty = node === null || (isScalar(node) && node.source === "" && node.type === "PLAIN");
    if (empty && keyPosition !== null) return keyPosition;
    return this.#positionAt(node?.range?.[0] ?? 0);
  }

  #end(position: Position, message: string): never {
    this.#report.error("", position, message);
    throw new WalkEnd();
  }
}

/** What may be shown next to a secret: a slip in a word such as `bearr`, or what is too short for a key. Keys have digits. */
const plainWord = /^(?:[A-Za-z_-]{0,32}|[^]{0,4})$/;

/** Credentials that their form gives away wherever they stand: as in `Authorization`, or a URL with user, query or fragment. */
function looksLikeCredentials(source: string): boolean {
  if (/^\s*(?:bearer|basic)\s/i.test(source)) return true;
  // Not by one expression, which would read the rest of a long text again from each `://` in it.
  const scheme = source.indexOf("://");
  return scheme >= 0 && mayHoldSecret(source.slice(scheme));
}

/** True when no message may show the value. */
function isSecret({ secrecy }: ScalarShape, source: string): boolean {
  switch (secrecy) {
    case "hidden":
      return true;
    case "url":
      return mayHoldSecret(source) || looksLikeCredentials(source);
    case "beside":
      return !plainWord.test(source);
    case "open":
      return looksLikeCredentials(source);
  }
}

/** A value that consists of one reference without a default: its text gives nothing away. */
const bareReference = /^\$\{([A-Za-z_][A-Za-z0-9_]*|file:[^}]+)\}$/;

/** The value in words. A string that stands where no string belongs may be a secret and is not shown. */
function foundText(
  value: unknown,
  source: string,
  shape: ScalarShape | null,
  secret: boolean,
  expanded: boolean,
): string {
  if (value === null) return "nothing";
  if (secret) return bareReference.test(source) ? source : "a value that is not shown";
  if (typeof value === "string") {
    if (shape === null) return "a string";
    if (expanded) return bareReference.test(source) && source.length <= 200 ? source : quote(source);
    return shape.type === "string" ? quote(value) : `the string ${quote(value)}`;
  }
  return shape === null ? `a ${typeof value}` : String(source).slice(0, 60);
}

function hintFor(value: unknown, shape: ScalarShape | null, plain: boolean, expanded: boolean): string {
  if (shape === null) return "";
  const isText = typeof value === "string";
  if (shape.type === "string") return isText || value === null ? "" : " (put it in quotes)";
  if (!isText || expanded || plain) return "";
  const form = shape.type === "boolean" ? booleanForm : numberForm;
  return form.test(value) ? " (remove the quotes)" : "";
}

/** Ports, limits and switches often come from the environment, where everything is a string. */
function coerce(text: string, shape: ScalarShape | null): unknown {
  if (shape === null || shape.type === "string") return text;
  if (shape.type === "boolean") return booleanForm.test(text) ? text.toLowerCase() === "true" : text;
  return numberForm.test(text) ? Number(text) : text;
}

function emptyBlock(shape: Shape | undefined): unknown {
  if (shape?.kind === "mapping") return Object.create(null);
  return shape?.kind === "list" ? [] : null;
}
