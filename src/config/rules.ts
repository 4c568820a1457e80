import { ipVersion, parseNetwork } from "../shared/ip-address.ts";

/**
 * Rules for strings. Each takes a value (after secrets were put in) and gives null when it is allowed, else
 * what is expected instead: words for "found ..., expected ...". They never repeat the value.
 */
export type Rule = (text: string) => string | null;

const control = /[\u0000-\u001f\u007f]/;
const controlButTab = /[\u0000-\u0008\u000a-\u001f\u007f]/;
/** RFC 9110, 5.6.2: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2 */
const fieldName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Header fields that belong to one connection or frame the message. An operation on them could make the proxy
 * and the upstream disagree about where a message ends.
 * https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
 */
const connectionFields = new Set([
  "connection",
  "content-length",
  "expect",
  "http2-settings",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const nameCharsMax = 255;
const headerValueCharsMax = 16 * 1024;

/**
 * Also the controls of C1, line separators, what turns the direction of text around, and halves of characters: UTF-8 makes
 * one and the same character of any two of these, so that two names would be one in metrics.
 */
const unfitForNames = /[\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069]/u;

/** Names stand on terminals, in logs and in metric labels, so they are short and can do nothing there. */
export const nameRule: Rule = (text) =>
  text !== "" && text.length <= nameCharsMax && !unfitForNames.test(text)
    ? null
    : `a name of 1 to ${nameCharsMax} characters without control characters`;

/** A header name that an operation may touch. */
export const headerKeyRule: Rule = (text) => {
  if (!fieldName.test(text) || text.length > nameCharsMax) {
    return "a header name (letters, digits and any of !#$%&'*+-.^_`|~)";
  }
  const key = text.toLowerCase();
  if (!connectionFields.has(key) && !key.startsWith("proxy-")) return null;
  return "a header that does not belong to the connection (not Connection, Content-Length, Expect, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding or Upgrade)";
};

/** RFC 9110, 5.5: CR, LF and NUL in a value would end it or the message early. */
export const headerValueRule: Rule = (text) =>
  text.length <= headerValueCharsMax && !controlButTab.test(text)
    ? null
    : `a header value of at most ${headerValueCharsMax / 1024} KB without line breaks and control characters`;

/** A bearer token, a user name or a password: it ends up inside a header value. */
export const credentialRule: Rule = (text) =>
  text.length <= headerValueCharsMax && !control.test(text)
    ? null
    : `a value of at most ${headerValueCharsMax / 1024} KB without line breaks and control characters`;

/** RFC 7617, 2: the first colon ends the user name. https://www.rfc-editor.org/rfc/rfc7617#section-2 */
export const usernameRule: Rule = (text) =>
  credentialRule(text) ?? (text.includes(":") ? "a user name without a colon" : null);

/** The User-Agent sent upstream. */
export const agentRule: Rule = (text) =>
  text.trim() === "" ? "a User-Agent that is not empty" : headerValueRule(text);

/** The value of a `Host` that replaces the one made from the URL. */
export const hostValueRule: Rule = (text) =>
  /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(:[0-9]{1,5})?$/.test(text)
    ? null
    : "a host name, with or without a port";

/** Where the access log goes. */
export const logPathRule: Rule = (text) =>
  text === "stdout" ||
  (text.startsWith("/") && !text.endsWith("/") && text.length <= 4096 && !control.test(text))
    ? null
    : "stdout or the absolute path of a file";

/** Of an address such as `fe80::1%eth0`. */
const zoneForm = /%[\w.:@-]+$/;

/** An address to bind: names are not looked up, so that what is bound never depends on a resolver. */
export const addressRule: Rule = (text) =>
  ipVersion(text) === 0 || (text.includes("%") && !zoneForm.test(text))
    ? "an IPv4 or IPv6 address, such as 0.0.0.0, 127.0.0.1 or ::1 (no brackets)"
    : null;

/** Peers to trust: a single address, or a network in CIDR notation with nothing set beyond its length. */
export const networkRule: Rule = (text) =>
  parseNetwork(text) === null
    ? "an address or network, such as 10.0.0.0/8, 192.168.1.7 or 2001:db8::/32 (with no bits set beyond its length)"
    : null;
