import { byId, type ForwardPlan, type GroupPlan, type MemberPlan, type Plan } from "./plan.ts";

/** The request path whose final URLs are shown: what most clients send. */
export const samplePath = "/v1/chat/completions";

/**
 * Where each forward leads, for `--test`: listener, group, strategy, and the final URL of every upstream for
 * the sample path. `joinPath` joins a base path and a request path as requests are. Credentials and queries
 * are left out. Gives several lines, each with its line end.
 */
export function describePlan(
  plan: Plan,
  joinPath: (basePath: string, requestPath: string) => string,
): string {
  const lines: string[] = [];
  for (const forward of plan.forwards) lines.push(...describeForward(plan, forward, joinPath));
  lines.push(`admin: http://${authority(plan.admin.address, plan.admin.port)}`);
  return `${lines.join("\n")}\n`;
}

function describeForward(
  plan: Plan,
  forward: ForwardPlan,
  joinPath: (basePath: string, requestPath: string) => string,
): string[] {
  const group = byId(plan.groups)[forward.group]!;
  const upstreams = byId(plan.upstreams);
  const listener = `http://${authority(forward.address, forward.port)}`;
  const lines = [
    `forward ${forward.name}: ${listener} -> group ${group.name}, strategy ${group.strategy}`,
    `  ${samplePath} goes to`,
  ];
  const width = Math.max(...group.members.map((member) => upstreams[member.upstream]!.name.length));
  for (const member of group.members) {
    const upstream = upstreams[member.upstream]!;
    const url = upstream.origin + joinPath(upstream.basePath, samplePath);
    lines.push(`    ${upstream.name.padEnd(width)}  ${url}${weightOf(group, member)}`);
  }
  return lines;
}

function weightOf(group: GroupPlan, member: MemberPlan): string {
  return group.strategy === "weighted_roundrobin" ? `  weight ${member.weight}` : "";
}

/** `0.0.0.0:3000`, `[::1]:3000`, `0.0.0.0:(any free port)` */
function authority(address: string, port: number): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return `${host}:${port === 0 ? "(any free port)" : port}`;
}
