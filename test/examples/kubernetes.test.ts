import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";
import { Glob } from "bun";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { Namespace } from "kubernetes-models/v1/Namespace";
import { Secret } from "kubernetes-models/v1/Secret";
import { Service } from "kubernetes-models/v1/Service";
import { parse, parseAllDocuments } from "yaml";

import { parseCommandLine } from "../../src/cli.ts";
import { complaintsOf, loadExample } from "./load-example.ts";

const directory = join(import.meta.dir, "../../examples/kubernetes");
const read = (file: string) => readFileSync(join(directory, file), "utf8");

// What is read of a manifest beyond its schema.
type Manifest = any;

/** The schemas that Kubernetes and the Prometheus operator publish, made into validators. */
const kinds: Readonly<Record<string, new (manifest: Manifest) => { validate(): void }>> = {
  Namespace,
  ConfigMap,
  Secret,
  Deployment,
  Service,
  HorizontalPodAutoscaler,
  PodDisruptionBudget,
  ServiceMonitor,
};

const files = [...new Glob("*.yaml").scanSync(directory)].sort();
const manifests: { file: string; manifest: Manifest }[] = files
  .filter((file) => file !== "kustomization.yaml")
  .flatMap((file) =>
    parseAllDocuments(read(file)).map((document) => ({ file, manifest: document.toJS() as Manifest })),
  );
const named = (kind: string, name = "llmproxyd") =>
  manifests.find(({ manifest }) => manifest.kind === kind && manifest.metadata.name === name)!.manifest;

describe("each manifest", () => {
  test("is named by the kustomization, and nothing else is", () => {
    const kustomization = read("kustomization.yaml");
    const listed = [...kustomization.matchAll(/^  (?:# )?- (\S+\.yaml)$/gm)].map((match) => match[1]!);
    expect(listed.sort()).toEqual(files.filter((file) => file !== "kustomization.yaml"));
    expect((parse(kustomization) as Manifest).resources).not.toContain("servicemonitor.yaml");
  });

  test.each(manifests)("fits its schema: $file $manifest.kind", ({ manifest }) => {
    const model = kinds[manifest.kind]!;
    expect(model).toMatchObject({ apiVersion: manifest.apiVersion, kind: manifest.kind });
    new model(manifest).validate();
  });

  test("is in the namespace, and bears the label", () => {
    for (const { manifest } of manifests) {
      if (manifest.kind === "Namespace") expect(manifest.metadata.name).toBe("llmproxy");
      else {
        expect(manifest.metadata.namespace).toBe("llmproxy");
        expect(manifest.metadata.labels["app.kubernetes.io/name"]).toBe("llmproxyd");
      }
    }
  });
});

describe("the configuration", () => {
  const text: string = named("ConfigMap").data["config.yaml"];
  const example = loadExample("configmap.yaml", text);
  const pod = named("Deployment").spec.template.spec;

  test("is valid, without a warning", () => {
    expect(complaintsOf(example)).toEqual([]);
  });

  test("stands where the container looks for it, in a directory that changes with it", () => {
    const { args, volumeMounts } = pod.containers[0];
    const mount = volumeMounts.find(({ name }: Manifest) => name === "config");
    expect(mount).toEqual({ name: "config", mountPath: "/etc/llmproxyd", readOnly: true });
    expect(args[args.indexOf("--config") + 1]).toBe(`${mount.mountPath}/config.yaml`);
    expect(pod.volumes.find(({ name }: Manifest) => name === "config").configMap.name).toBe("llmproxyd");
  });

  test("finds its secrets where they are mounted", () => {
    const { volumeMounts } = pod.containers[0];
    const { mountPath } = volumeMounts.find(({ name }: Manifest) => name === "secrets");
    const held = Object.keys(named("Secret").stringData);
    expect(example.files).toEqual(held.map((key) => `${mountPath}/${key}`));
  });

  test("listens on the ports that the container names and the services lead to", () => {
    if (!example.loaded.ok) throw new Error("not valid");
    const { forwards, admin } = example.loaded.plan;
    const { ports } = pod.containers[0];
    expect(ports).toEqual([
      { name: "http", containerPort: forwards[0]!.port },
      { name: "admin", containerPort: admin.port },
    ]);
    // Other pods, the kubelet and Prometheus come from elsewhere.
    expect([forwards[0]!.address, admin.address]).toEqual(["0.0.0.0", "0.0.0.0"]);
    expect(named("Service").spec.ports.map(({ targetPort }: Manifest) => targetPort)).toEqual(["http"]);
    const adminService = named("Service", "llmproxyd-admin").spec;
    expect(adminService.ports.map(({ targetPort }: Manifest) => targetPort)).toEqual(["admin"]);
    expect(named("ServiceMonitor").spec.endpoints[0]).toMatchObject({ port: "admin", path: "/metrics" });
  });
});

describe("the pods", () => {
  const { spec } = named("Deployment");
  const pod = spec.template.spec;
  const [container] = pod.containers;

  test("are those that everything else selects", () => {
    const { labels } = spec.template.metadata;
    const selectors = [
      spec.selector.matchLabels,
      named("PodDisruptionBudget").spec.selector.matchLabels,
      named("Service").spec.selector,
      named("Service", "llmproxyd-admin").spec.selector,
      pod.topologySpreadConstraints[0].labelSelector.matchLabels,
    ];
    for (const selector of selectors) expect(labels).toMatchObject(selector);
    expect(named("Service", "llmproxyd-admin").metadata.labels).toMatchObject(
      named("ServiceMonitor").spec.selector.matchLabels,
    );
    expect(named("HorizontalPodAutoscaler").spec.scaleTargetRef).toEqual({
      apiVersion: "apps/v1",
      kind: "Deployment",
      name: "llmproxyd",
    });
  });

  test("may do nothing but what a proxy needs", () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 65532,
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    expect(pod.automountServiceAccountToken).toBe(false);
  });

  test("are given arguments that llmproxyd takes, and time to drain", () => {
    const command = parseCommandLine(container.args);
    if (command.kind !== "run") throw new Error(JSON.stringify(command));
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(
      command.options.shutdownDelayMs + command.options.shutdownTimeoutMs + 10_000,
    );
    expect(command.options.workers).toBe(Number(container.resources.limits.cpu));
    expect(container.lifecycle).toBeUndefined();
  });

  test("are asked for their health, and not taken away when an upstream is down", () => {
    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"])
      expect(container[probe].httpGet).toEqual({ path: "/health", port: "admin" });
  });

  test("ask for what they need, and never go all at once", () => {
    expect(container.resources).toMatchObject({
      requests: { cpu: expect.any(String), memory: expect.any(String) },
      limits: { memory: expect.any(String) },
    });
    // The autoscaler's number must not be set back by each apply.
    expect(spec.replicas).toBeUndefined();
    expect(named("HorizontalPodAutoscaler").spec.minReplicas).toBeGreaterThanOrEqual(2);
    expect(spec.strategy.rollingUpdate.maxUnavailable).toBe(0);
    expect(named("PodDisruptionBudget").spec.maxUnavailable).toBe(1);
  });
});
