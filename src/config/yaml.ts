import {
  type Document,
  isCollection,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  type YAMLError,
} from "yaml";

import type { Position } from "./report.ts";

/** A YAML document that can be walked, or the one thing that makes it unreadable. */
export type ParsedYaml =
  | {
      readonly ok: true;
      readonly document: Document.Parsed;
      readonly positionAt: (offset: number) => Position;
    }
  | { readonly ok: false; readonly position: Position | null; readonly message: string };

/**
 * What each of the parser's codes means, in words of our own: the parser's messages may repeat the text that
 * they are about, which may be a secret. Those listed as null are constant texts and say more.
 */
const meanings: Readonly<Record<YAMLError["code"], string | null>> = {
  ALIAS_PROPS: "an alias (*name) cannot have an anchor or a tag",
  BAD_ALIAS:
    "an anchor (&) or alias (*) needs a name that does not end in a colon; a value that begins with & or * needs quotes",
  BAD_COLLECTION_TYPE: "the tag does not fit the kind of value",
  BAD_DIRECTIVE: "an unknown or malformed % directive",
  BAD_DQ_ESCAPE: "an invalid escape in a double-quoted value (use single quotes for a literal backslash)",
  BAD_INDENT: null,
  BAD_PROP_ORDER: "an anchor or a tag stands before the indicator that it belongs behind",
  BAD_SCALAR_START: "a value that begins with this character needs quotes",
  BLOCK_AS_IMPLICIT_KEY: "a second `key: value` on one line (a value that contains `: ` needs quotes)",
  BLOCK_IN_FLOW: "a block cannot stand inside [...] or {...}",
  DUPLICATE_KEY: "a key is given twice",
  IMPOSSIBLE: "it cannot be understood here",
  KEY_OVER_1024_CHARS: "a key is longer than 1024 characters",
  MISSING_CHAR: null,
  MULTILINE_IMPLICIT_KEY: "a key must be on a single line (is a colon or a closing quote missing?)",
  MULTIPLE_ANCHORS: "a value has two anchors",
  MULTIPLE_DOCS: "the file holds several documents (---), expected one",
  MULTIPLE_TAGS: "a value has two tags",
  NON_STRING_KEY: "a key must be a plain word",
  RESOURCE_EXHAUSTION: "it is nested too deeply",
  TAB_AS_INDENT: "a tab is used for indentation, expected spaces",
  TAG_RESOLVE_FAILED: "an unknown tag (!); a value that begins with ! needs quotes",
  UNEXPECTED_TOKEN: "unexpected text (is there a quote, bracket, comma or indentation too many or missing?)",
};

const options = {
  version: "1.2",
  schema: "core",
  merge: false,
  resolveKnownTags: false,
  stringKeys: true,
  uniqueKeys: false,
  prettyErrors: false,
  // At "silent" a second document would be dropped without an error.
  logLevel: "error",
} as const;

/**
 * Parses YAML 1.2 (core schema) without resolving aliases. Gives the first syntax error only: what follows it
 * in a file is mostly its echo. Duplicate keys are left to the caller, who finds them in linear time.
 */
export function parseYaml(text: string): ParsedYaml {
  const lines = new LineCounter();
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  // A file of garbage makes an error object per character; without stack traces they cost a fifth of the time.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    const document = parseDocument(text, { ...options, lineCounter: lines });
    const first = firstOf(document.errors) ?? firstOf(document.warnings);
    if (first !== null) {
      const tab = tabNear(text, first.pos[0]);
      if (tab !== null) {
        return { ok: false, position: positionAt(tab), message: `YAML: ${meanings.TAB_AS_INDENT}` };
      }
      const opener = openerOf(document, first);
      const from = opener === null ? "" : ` (it begins on line ${positionAt(opener).line})`;
      return { ok: false, position: positionAt(first.pos[0]), message: `YAML: ${textOf(first)}${from}` };
    }
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
      return { ok: false, position: null, message: "the file is empty" };
    }
    return { ok: true, document, positionAt };
  } catch (error) {
    // The library recurses into nested collections; the stack ends before any other bound does.
    if (!(error instanceof RangeError)) throw error;
    return { ok: false, position: null, message: `YAML: ${meanings.RESOURCE_EXHAUSTION}` };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** The error that stands first in the file; a nesting that is too deep makes all others its echo. */
function firstOf(errors: readonly YAMLError[]): YAMLError | null {
  let first: YAMLError | null = null;
  for (const error of errors) {
    if (error.code === "RESOURCE_EXHAUSTION") return error;
    if (first === null || error.pos[0] < first.pos[0]) first = error;
  }
  return first;
}

/** Where a tab indents the line of an error or the next one; the parser often blames something else for it. */
function tabNear(text: string, offset: number): number | null {
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  const before = /^(?:[^\n]*\n)?? *(?=\t[ \t]*\S)/.exec(text.slice(lineStart));
  return before === null ? null : lineStart + before[0].length;
}

/**
 * Where the quoted value or bracket begins that an error of a missing end is about: it may be far above. Not by the
 * library's `visit`, which copies the whole way to every node: seconds, for some thousand brackets in one another.
 */
function openerOf(document: Document.Parsed, error: YAMLError): number | null {
  if (!/^Missing closing|must end with|and end with/.test(error.message)) return null;
  let opener: number | null = null;
  const nodes: unknown[] = [document.contents];
  for (const node of nodes) {
    if (isPair(node)) nodes.push(node.key, node.value);
    if (!isNode(node)) continue;
    if (isCollection(node)) for (const item of node.items) nodes.push(item);
    if (!node.range) continue;
    const opens = isCollection(node) ? node.flow === true : isScalar(node) && /^QUOTE/.test(node.type ?? "");
    const [start, end] = node.range;
    if (opens && start < error.pos[0] && end >= error.pos[0] && start > (opener ?? -1)) opener = start;
  }
  return opener;
}

function textOf(error: YAMLError): string {
  const constant = error.message.charAt(0).toLowerCase() + error.message.slice(1);
  return meanings[error.code] ?? constant.replace(/"quote|'quote/, (quote) => `${quote[0]} quote`);
}
