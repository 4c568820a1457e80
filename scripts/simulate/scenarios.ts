/** What an upstream does with a request that it begins to work on. */
export interface Service {
  readonly ms: number;
  readonly result: "answer" | "error" | "hang";
}

/** How one upstream behaves; `random` gives numbers from 0 up to but not including 1. */
export type Behaviour = (nowMs: number, random: () => number) => Service;

export interface Scenario {
  readonly name: string;
  readonly upstreams: readonly Behaviour[];
  /** For `weighted_roundrobin`: what an operator would set who knows the upstreams in good health. */
  readonly weights: readonly number[];
  readonly durationMs: number;
}

/** Service times vary from half to one and a half of the mean. */
function steady(meanMs: number): Behaviour {
  return (_, random) => ({ ms: meanMs * (0.5 + random()), result: "answer" });
}

function slowingDown(meanMs: number, factor: number, fromMs: number): Behaviour {
  const [before, after] = [steady(meanMs), steady(meanMs * factor)];
  return (nowMs, random) => (nowMs < fromMs ? before : after)(nowMs, random);
}

const failingFast: Behaviour = () => ({ ms: 5, result: "error" });
const hanging: Behaviour = () => ({ ms: Infinity, result: "hang" });

/** Three upstreams each; `durationMs` of virtual time. */
export function scenarios(durationMs: number): Scenario[] {
  return [
    {
      name: "service times 1:2:8",
      upstreams: [steady(100), steady(200), steady(800)],
      weights: [8, 4, 1],
      durationMs,
    },
    {
      name: "the third slows down tenfold half-way",
      upstreams: [steady(200), steady(200), slowingDown(200, 10, durationMs / 2)],
      weights: [1, 1, 1],
      durationMs,
    },
    {
      name: "the third answers 503 in 5 ms",
      upstreams: [steady(200), steady(200), failingFast],
      weights: [1, 1, 1],
      durationMs,
    },
    {
      name: "the third hangs",
      upstreams: [steady(200), steady(200), hanging],
      weights: [1, 1, 1],
      durationMs,
    },
  ];
}
