import { asObject, parseJson } from "./json.ts";
import { NameCache } from "./name-cache.ts";

const QUOTE = 34;
const SPACE = 32;
const TYPE_KEY = new TextEncoder().encode('{"type":');

/**
 * Tells the type of events that repeat their name in the data, as OpenAI's typed events and Anthropic's do. The name
 * decides, as in the SDKs; the data's `type` stands in when there is none.
 */
export class EventTypes {
  private readonly cache = new NameCache();

  /** Gives the type, "" when neither name nor data has one. */
  typeOf(name: string, bytes: Uint8Array, start: number, end: number): string {
    if (name !== "" && name !== "message") return name;
    // Nearly all servers write the type first: no need to parse for it.
    for (let i = 0; i < TYPE_KEY.length; i++) {
      if (bytes[start + i] !== TYPE_KEY[i]) return parsedType(bytes, start, end);
    }
    let at = start + TYPE_KEY.length;
    while (bytes[at] === SPACE) at++;
    if (bytes[at] !== QUOTE) return "";
    const close = bytes.indexOf(QUOTE, at + 1);
    return close < 0 || close >= end ? "" : this.cache.decode(bytes, at + 1, close);
  }
}

function parsedType(bytes: Uint8Array, start: number, end: number): string {
  const type = asObject(parseJson(bytes, start, end))?.["type"];
  return typeof type === "string" ? type : "";
}
