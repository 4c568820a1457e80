import type { Plan } from "../config/plan.ts";
import type { NewIds } from "../config/renumber.ts";
import { type Capacity, misfit } from "../memory/capacity.ts";
import { type RateLimitMemory, RateLimitTable } from "../memory/rate-limit-table.ts";
import type { SharedMemory } from "../memory/shared-memory.ts";
import type { Generation } from "../proxy/generation.ts";
import { placePlan, type Slots } from "./slots.ts";
import { StartError } from "./start-error.ts";

/** An earlier configuration, and the workers in which requests may still be on it. */
interface Past {
  readonly generation: Generation;
  readonly workers: Set<number>;
}

/** The configurations of this process: the present one, and earlier ones that requests are still on. */
export class Generations {
  present: Generation;
  private readonly memory: SharedMemory;
  private readonly capacity: Capacity;
  private readonly past = new Map<number, Past>();
  private count = 0;

  /** `capacity` is that of the memory. */
  constructor(plan: Plan, memory: SharedMemory, capacity: Capacity) {
    this.memory = memory;
    this.capacity = capacity;
    const ports = plan.forwards.map((forward) => forward.port);
    this.present = { number: 0, plan, ports, rateLimits: limitsOf(plan, new Map()) };
  }

  /** Makes the next one of a plan, whose ids may be any; it is not yet the present one. Throws a `StartError`. */
  next(plan: Plan): Generation {
    const { present } = this;
    const placed = placePlan(plan, present.plan, this.taken());
    const wanting = misfit(this.capacity, placed.plan);
    if (wanting !== null) throw noRoom(wanting, this.capacity[wanting]);
    this.forget(placed.fresh);
    const ports: number[] = [];
    for (const { id, port } of placed.plan.forwards) {
      const same = present.plan.forwards.find((forward) => forward.id === id && forward.port === port);
      ports[id] = same === undefined ? port : present.ports[id]!;
    }
    const rateLimits = limitsOf(placed.plan, present.rateLimits);
    return { number: ++this.count, plan: placed.plan, ports, rateLimits };
  }

  /** The next one is the present one from now on; these workers may have requests on the one before. */
  advance(next: Generation, workers: Iterable<number>): void {
    const { present } = this;
    this.past.set(present.number, { generation: present, workers: new Set(workers) });
    this.present = next;
  }

  /** No request of the worker is on that one any longer. */
  settled(worker: number, number: number): void {
    const past = this.past.get(number);
    past?.workers.delete(worker);
    if (past?.workers.size === 0) this.past.delete(number);
  }

  /** The worker has ended, and with it all that it had. */
  workerEnded(worker: number): void {
    for (const number of this.past.keys()) this.settled(worker, number);
    for (const { rateLimits } of [this.present, ...this.pastGenerations()])
      for (const memory of rateLimits.values()) RateLimitTable.over(memory).giveBackAll(worker);
  }

  /** Ids of earlier plans that requests or connections may still count for. */
  private taken(): Slots {
    const plans = this.pastGenerations().map(({ plan }) => plan);
    const ids = (entries: readonly (readonly { readonly id: number }[])[]) =>
      new Set(entries.flat().map(({ id }) => id));
    const { connections, requests } = this.memory.limits;
    const forwards = ids(plans.map((plan) => plan.forwards));
    // A connection that a forward has left behind may outlive its last request.
    for (const id of connections.inUse()) forwards.add(id);
    for (const id of requests.inUse()) forwards.add(id);
    return {
      forwards,
      upstreams: ids(plans.map((plan) => plan.upstreams)),
      groups: ids(plans.map((plan) => plan.groups)),
    };
  }

  private forget({ upstreams, groups }: NewIds): void {
    const { balancer } = this.memory;
    for (const upstream of upstreams) balancer.clearUpstream(upstream);
    for (const group of groups) balancer.clearGroup(group);
  }

  private pastGenerations(): Generation[] {
    return [...this.past.values()].map(({ generation }) => generation);
  }
}

/** The shared memory is as large as it was made; only a new process has more. */
export function noRoom(what: string, room: number): StartError {
  return new StartError(`there are more ${what} than this process has room for (${room}): start it anew`);
}

/** A forward keeps its table as long as it is made for as many clients. */
function limitsOf(
  plan: Plan,
  known: ReadonlyMap<number, RateLimitMemory>,
): ReadonlyMap<number, RateLimitMemory> {
  const limits = new Map<number, RateLimitMemory>();
  for (const { id, ratelimit } of plan.forwards) {
    if (ratelimit === null) continue;
    const present = known.get(id);
    const keeps = present?.clients === ratelimit.clients;
    limits.set(id, keeps ? present : RateLimitTable.allocate(ratelimit.clients, randomWord));
  }
  return limits;
}

function randomWord(): number {
  return crypto.getRandomValues(new Int32Array(1))[0]!;
}
