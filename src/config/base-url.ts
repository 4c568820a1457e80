import { withoutTrailingSlashes } from "../shared/trim.ts";
import { credentialRule, usernameRule } from "./rules.ts";

/** The base URL of an upstream, taken apart. */
export interface BaseUrl {
  /** `http://host:port`; the port is left out where it is the scheme's own. */
  readonly origin: string;
  /** Path without trailing slashes; empty for the root. */
  readonly path: string;
  /** Query without `?`; it may hold a key. */
  readonly query: string;
  /** Decoded user name and password of the URL, null when there is neither. */
  readonly credentials: Credentials | null;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/**
 * Stricter than `new URL`, which takes `http:host`, `http:///host`, backslashes and inner line breaks for a
 * URL that was meant otherwise: two readers of one configuration must not see two hosts.
 */
const webUrlForm = /^https?:\/\/(?![/?#])[^\\\s\u0000-\u001f\u007f]+$/i;
const urlCharsMax = 8 * 1024;

/** Gives the parts of an upstream's base URL, or a string that says what is expected instead. */
export function parseBaseUrl(text: string): BaseUrl | string {
  const expected = "an http:// or https:// URL with a host, such as https://api.openai.com/v1";
  const url = parseWebUrl(text);
  if (url === null) return expected;
  if (text.includes("#")) return "a URL without a fragment (#...)";
  const credentials = credentialsOf(url);
  if (typeof credentials === "string") return credentials;
  return {
    origin: `${url.protocol}//${url.host}`,
    path: withoutTrailingSlashes(url.pathname),
    query: url.search.slice(1),
    credentials,
  };
}

/** Gives the URL of an outbound proxy in its normal form, or a string that says what is expected instead. */
export function parseProxyUrl(text: string): { readonly href: string } | string {
  const expected = "an http:// or https:// URL of a proxy, such as http://user:password@proxy:3128";
  const url = parseWebUrl(text);
  if (url === null) return expected;
  if (url.pathname !== "/" || /[?#]/.test(text)) return `${expected}, without path, query and fragment`;
  const credentials = credentialsOf(url);
  return typeof credentials === "string" ? credentials : { href: url.href };
}

/** True when the URL has a piece that may hold a secret or hide one: user, query or fragment. */
export function mayHoldSecret(text: string): boolean {
  return /[@?#]/.test(text);
}

function parseWebUrl(text: string): URL | null {
  if (text.length > urlCharsMax || !webUrlForm.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  return url.hostname === "" || url.port === "0" ? null : url;
}

function credentialsOf(url: URL): Credentials | null | string {
  if (url.username === "" && url.password === "") return null;
  const username = percentDecode(url.username);
  const password = percentDecode(url.password);
  if (username === null || password === null)
    return "a URL whose user name and password are percent-encoded right";
  const problem = usernameRule(username) ?? credentialRule(password);
  return problem === null
    ? { username, password }
    : `a URL whose user name and password are allowed: ${problem}`;
}

function percentDecode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
