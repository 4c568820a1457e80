// A scripted upstream in a process of its own; prints its port.
import { startUpstream } from "../../../src/demo/upstream.ts";

console.log(startUpstream({ name: "bench", recordedMax: 0 }).port);
