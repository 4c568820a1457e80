// The entry of a worker thread as the product has it, which tells when it is there.
import "../../src/worker.ts";
import { BIRTHS } from "./mortal-worker-channel.ts";

new BroadcastChannel(BIRTHS).postMessage(null);
