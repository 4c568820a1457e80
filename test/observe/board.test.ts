import { describe, expect, test } from "bun:test";

import { Region } from "../../src/memory/region.ts";
import { SeriesCells } from "../../src/memory/series-cells.ts";
import { Board } from "../../src/observe/board.ts";
import { Recorder } from "../../src/observe/recorder.ts";
import { parsePrometheusText, sumOf } from "../support/prometheus-text.ts";

const REQUESTS = "llmproxy_http_requests_total";
const DURATION = "llmproxy_http_request_duration_seconds";
const IN_FLIGHT = "llmproxy_http_requests_in_flight";

function setup(workers: number, cells = 4096) {
  const make = (region: Region) => new SeriesCells(region, workers, cells);
  const buffer = new SharedArrayBuffer(Region.measure((region) => void make(region)));
  const rows = make(new Region(buffer));
  const board = new Board(rows);
  const recorder = (worker: number) =>
    new Recorder(rows.row(worker), (notices) => board.take(worker, notices));
  const read = async () => {
    // Notices of one turn are told in one message.
    await Promise.resolve();
    return parsePrometheusText(board.render());
  };
  return { board, recorder, read };
}

describe("the board", () => {
  test("adds up what the workers count", async () => {
    const { recorder, read } = setup(3);
    for (let worker = 0; worker < 3; worker++) {
      const own = recorder(worker);
      own.counter(REQUESTS, "f", "POST", "/v1/models").add(10 ** worker);
      own.counter(REQUESTS, "f", "GET", "/v1/models").add(1);
    }
    const families = await read();
    expect(sumOf(families, REQUESTS, { method: "POST" })).toBe(111);
    expect(sumOf(families, REQUESTS, { method: "GET" })).toBe(3);
  });

  test("gives the same series for the same labels", async () => {
    const { recorder, read } = setup(1);
    const own = recorder(0);
    own.counter(REQUESTS, "f", "POST", "x").add(1);
    own.counter(REQUESTS, "f", "POST", "x").add(1);
    expect(sumOf(await read(), REQUESTS)).toBe(2);
  });

  test("gives one series where labels differ in nothing that has bytes", async () => {
    const { board, recorder } = setup(1);
    const own = recorder(0);
    for (const half of ["\ud800", "\udc00", "\ufffd"]) own.counter(REQUESTS, "f", "POST", half).add(1);
    await Promise.resolve();
    // As it reaches whoever scrapes.
    const sent = new TextDecoder().decode(new TextEncoder().encode(board.render()));
    expect(sumOf(parsePrometheusText(sent), REQUESTS, { path: "\ufffd" })).toBe(3);
  });

  test("keeps counters and histograms of a worker that has ended, and forgets its gauges", async () => {
    const { board, recorder, read } = setup(2);
    for (let life = 0; life < 3; life++) {
      const own = recorder(0);
      own.counter(REQUESTS, "f", "POST", "x").add(5);
      own.histogram(DURATION, "f", "POST", "x").observe(0.2);
      own.gauge(IN_FLIGHT, "f").increase();
      await read();
      board.retire(0);
    }
    recorder(1).gauge(IN_FLIGHT, "f").increase();
    const families = await read();
    expect(sumOf(families, REQUESTS)).toBe(15);
    expect(sumOf(families, `${DURATION}_count`)).toBe(3);
    expect(sumOf(families, `${DURATION}_sum`)).toBeCloseTo(0.6);
    expect(sumOf(families, IN_FLIGHT)).toBe(1);
  });

  test("does not take a new worker's cells for what the old one counted there", async () => {
    const { board, recorder, read } = setup(1);
    recorder(0).counter(REQUESTS, "f", "POST", "old").add(5);
    await read();
    board.retire(0);
    recorder(0).counter(REQUESTS, "f", "POST", "new").add(1);
    const families = await read();
    expect(sumOf(families, REQUESTS, { path: "old" })).toBe(5);
    expect(sumOf(families, REQUESTS, { path: "new" })).toBe(1);
  });

  test("asks its sources each time, and adds what they say to what workers count", async () => {
    const { board, recorder, read } = setup(1);
    let drops = 0;
    board.addSource((add) => add("llmproxy_access_log_dropped_lines_total", [], drops));
    recorder(0).counter("llmproxy_access_log_dropped_lines_total").add(2);
    for (drops of [1, 7])
      expect(sumOf(await read(), "llmproxy_access_log_dropped_lines_total")).toBe(drops + 2);
  });

  test("names no more models than one worker may, however they are spread", async () => {
    const { recorder, read } = setup(4, 65_536);
    for (let worker = 0; worker < 4; worker++) {
      const own = recorder(worker);
      for (let i = 0; i < 90; i++)
        own.counter("llmproxy_llm_tokens_total", "g", "u", `m${worker}-${i}`, "input").add(1);
    }
    const families = await read();
    const models = families.get("llmproxy_llm_tokens_total")!.samples.map(({ labels }) => labels["model"]);
    expect(models).toHaveLength(101);
    expect(sumOf(families, "llmproxy_llm_tokens_total", { model: "other" })).toBe(260);
    expect(sumOf(families, "llmproxy_llm_tokens_total")).toBe(360);
  });
});

describe("a histogram", () => {
  test("counts each value in the first bucket that holds it", async () => {
    const { recorder, read } = setup(1);
    const histogram = recorder(0).histogram(DURATION, "f", "POST", "x");
    for (const value of [0, 0.005, 0.0051, 1, 599, 600, 601, 1e6]) histogram.observe(value);
    const families = await read();
    const upTo = (le: string) => sumOf(families, `${DURATION}_bucket`, { le });
    expect([upTo("0.005"), upTo("0.01"), upTo("1"), upTo("600"), upTo("+Inf")]).toEqual([2, 3, 4, 6, 8]);
    expect(sumOf(families, `${DURATION}_count`)).toBe(8);
    expect(sumOf(families, `${DURATION}_sum`)).toBeCloseTo(0 + 0.005 + 0.0051 + 1 + 599 + 600 + 601 + 1e6);
  });
});

describe("a row that is full", () => {
  test("loses the series that do not fit, counts them, and keeps the others right", async () => {
    const { recorder, read } = setup(1, 24);
    const own = recorder(0);
    own.histogram(DURATION, "f", "POST", "x").observe(1);
    const second = own.histogram(DURATION, "f", "POST", "y");
    for (let i = 0; i < 100; i++) second.observe(1);
    for (let i = 0; i < 20; i++) own.counter(REQUESTS, "f", "POST", `p${i}`).add(1);
    const families = await read();
    expect(sumOf(families, `${DURATION}_count`)).toBe(1);
    expect(sumOf(families, REQUESTS)).toBe(5);
    expect(sumOf(families, "llmproxy_metrics_dropped_series_total")).toBe(16);
  });
});

describe("label values", () => {
  test.each(['a"b', "a\\b", "a\nb", "ünïcode", "", 'le="1"', "{}"])(
    "read back as they were: %j",
    async (value) => {
      const { recorder, read } = setup(1);
      recorder(0).counter(REQUESTS, value, "POST", "x").add(1);
      expect((await read()).get(REQUESTS)!.samples[0]!.labels["forward"]).toBe(value);
    },
  );
});
