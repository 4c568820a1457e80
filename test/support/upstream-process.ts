// A scripted upstream in a process of its own, so that it can be killed: `bun upstream-process.ts NAME PORT`.
import { startUpstream } from "../../src/demo/upstream.ts";

const upstream = startUpstream({
  name: process.argv[2]!,
  port: Number(process.argv[3]),
  tokenIntervalMs: 20,
});
console.log(`listening ${upstream.port}`);
