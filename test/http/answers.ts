/** One response as a client sees it. */
export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** Name and value of each field as sent. */
  readonly fields: readonly (readonly [string, string])[];
  /** The body without its framing. */
  readonly body: string;
  /** The end of the body was reached, by what the head says of it. */
  readonly complete: boolean;
}

/** Value of a field, or null; throws when it is there more than once. `name` in lower case. */
export function field(answer: Answer | undefined, name: string): string | null {
  const values = fieldValues(answer, name);
  if (values.length > 1) throw new Error(`${name} is there ${values.length} times`);
  return values[0] ?? null;
}

/** All values of a field. */
export function fieldValues(answer: Answer | undefined, name: string): string[] {
  if (answer === undefined) throw new Error("there is no such answer");
  return answer.fields.filter(([given]) => given.toLowerCase() === name).map(([, value]) => value);
}

const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) ([\t\x20-\x7e\x80-\xff]*)$/;
const FIELD_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([\t\x20-\x7e\x80-\xff]*)$/;

/**
 * Reads responses strictly, 1xx left out: throws on whatever a server may not send. `methods`: those of the
 * requests in order, GET where none is given; `ended`: nothing more will come.
 */
export function readAnswers(text: string, methods: readonly string[], ended: boolean): Answer[] {
  const answers: Answer[] = [];
  let at = 0;
  while (at < text.length) {
    const end = text.indexOf("\r\n\r\n", at);
    if (end < 0) {
      if (!"HTTP/1.1 ".startsWith(text.slice(at, at + 9)))
        throw new Error(`no answer: ${text.slice(at, at + 80)}`);
      return answers;
    }
    const head = readHead(text.slice(at, end));
    at = end + 4;
    if (head.status < 200) continue;
    const { body, complete, used } = readBody(head, methods[answers.length] ?? "GET", text.slice(at), ended);
    answers.push({ ...head, body, complete });
    at += used;
  }
  return answers;
}

type Head = Pick<Answer, "status" | "reason" | "fields">;

function readHead(text: string): Head {
  const [first, ...lines] = text.split("\r\n");
  const status = STATUS_LINE.exec(first!);
  if (status === null) throw new Error(`no status line: ${first!.slice(0, 80)}`);
  const fields = lines.map((line): [string, string] => {
    const match = FIELD_LINE.exec(line);
    if (match === null) throw new Error(`no field line: ${JSON.stringify(line.slice(0, 80))}`);
    return [match[1]!, match[2]!];
  });
  return { status: Number(status[1]), reason: status[2]!, fields };
}

function readBody(
  head: Head,
  method: string,
  rest: string,
  ended: boolean,
): { body: string; complete: boolean; used: number } {
  const values = (name: string) =>
    head.fields.filter(([given]) => given.toLowerCase() === name).map(([, value]) => value);
  const [length, ...lengths] = values("content-length");
  const codings = values("transfer-encoding");
  if (lengths.length > 0 || codings.length > 1 || (length !== undefined && codings.length > 0))
    throw new Error("the framing of the answer is ambiguous");
  if (method === "HEAD" || head.status === 204 || head.status === 304) {
    if (head.status === 204 && (length !== undefined || codings.length > 0))
      throw new Error("a 204 announces no body");
    return { body: "", complete: true, used: 0 };
  }
  if (codings[0] === "chunked") return readChunks(rest);
  if (codings.length > 0) throw new Error(`an unknown coding: ${codings[0]}`);
  if (length === undefined) return { body: rest, complete: ended, used: rest.length };
  if (!/^\d+$/.test(length)) throw new Error(`no length: ${length}`);
  const body = rest.slice(0, Number(length));
  return { body, complete: body.length === Number(length), used: body.length };
}

function readChunks(rest: string): { body: string; complete: boolean; used: number } {
  let body = "";
  let at = 0;
  const open = () => ({ body, complete: false, used: rest.length });
  for (;;) {
    const lineEnd = rest.indexOf("\r\n", at);
    if (lineEnd < 0) return open();
    const digits = rest.slice(at, lineEnd);
    if (!/^[0-9a-f]+$/.test(digits)) throw new Error(`no chunk size: ${JSON.stringify(digits.slice(0, 40))}`);
    const size = Number.parseInt(digits, 16);
    const end = lineEnd + 2 + size;
    body += rest.slice(lineEnd + 2, end);
    if (rest.length < end + 2) return open();
    if (rest.slice(end, end + 2) !== "\r\n") throw new Error("no line end after a chunk");
    at = end + 2;
    if (size === 0) return { body, complete: true, used: at };
  }
}
