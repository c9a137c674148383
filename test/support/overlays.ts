/** The kustomizations of k8s/, rendered once with secrets of their own in a copy of the tree. */
import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { IMAGE_CONFIG } from '../../scripts/image-root.ts';
import { loadConfiguration, type LoadedConfiguration } from '../../src/config/load.ts';
import {
  checkKustomize,
  inside,
  render,
  type Container,
  type Labels,
  type Manifest,
  type PodSpec,
  type Workload,
} from './kubernetes.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Every kustomization that is applied by itself. */
export const FOLDERS = globSync('k8s/**/kustomization.yaml', { cwd: ROOT })
  .map((file) => path.dirname(file))
  .filter((folder) => !/^k8s\/(components|redis)|\/base$/.test(folder))
  .toSorted();
export const OVERLAYS = FOLDERS.filter((folder) => folder.startsWith('k8s/overlays/'));

/** Whether an overlay has secrets of its own, which many replicas need. */
export const wantsSecrets = (folder: string): boolean =>
  readFileSync(path.join(ROOT, folder, 'kustomization.yaml'), 'utf8').includes('secrets/');

export interface Rendered {
  /** The copy of the repository's root, as far as it is needed. */
  readonly root: string;
  readonly of: (folder: string) => Manifest[];
  readonly kind: (folder: string, kind: string) => Manifest[];
  /** Serin's own deployment in an overlay. */
  readonly serin: (folder: string) => {
    readonly workload: Workload;
    readonly pod: PodSpec;
    readonly container: Container;
  };
  /** The configuration as the pod sees it, by the real loader. */
  readonly load: (folder: string) => Promise<LoadedConfiguration>;
  makeSecrets(folder: string, ...more: string[]): void;
  remove(): void;
}

/** Renders everything. Throws where kubectl is missing or too old, with what to install. */
export function renderAll(): Rendered {
  checkKustomize();
  const root = mkdtempSync(path.join(tmpdir(), 'serin-kustomize-'));
  cpSync(path.join(ROOT, 'k8s'), path.join(root, 'k8s'), { recursive: true });
  const makeSecrets = (folder: string, ...more: string[]): void => {
    execFileSync(path.join(root, 'k8s/make-secrets.sh'), [path.join(root, folder), ...more]);
  };
  for (const folder of OVERLAYS.filter(wantsSecrets)) makeSecrets(folder);
  const rendered = new Map(FOLDERS.map((folder) => [folder, render(path.join(root, folder))]));
  const of = (folder: string): Manifest[] => {
    const manifests = rendered.get(folder);
    if (manifests === undefined) throw new Error(`there is no kustomization in ${folder}`);
    return manifests;
  };
  const kind = (folder: string, name: string): Manifest[] => of(folder).filter((one) => one.kind === name);
  const serin: Rendered['serin'] = (folder) => {
    const deployment = kind(folder, 'Deployment').find(({ metadata }) => metadata.name === 'serin');
    const workload = deployment!.spec as Workload;
    const pod = workload.template.spec;
    return { workload, pod, container: pod.containers.find(({ name }) => name === 'serin')! };
  };
  return {
    root,
    of,
    kind,
    serin,
    load(folder) {
      const { pod, container } = serin(folder);
      const { files, env } = inside(of(folder), pod, container);
      return loadConfiguration({
        file: IMAGE_CONFIG,
        env,
        readFile: (file) => {
          const data = files.get(file);
          return data === undefined
            ? Promise.reject(new Error(`there is no ${file}`))
            : Promise.resolve(data);
        },
      });
    },
    makeSecrets,
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

export interface ServiceSpec {
  readonly selector: Labels;
  readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: string }[];
}
export interface PolicySpec {
  readonly podSelector: { readonly matchLabels: Labels };
  readonly ingress?: readonly PolicyRule[];
  readonly egress?: readonly PolicyRule[];
}
export interface PolicyRule {
  readonly from?: readonly PolicyPeer[];
  readonly to?: readonly PolicyPeer[];
  readonly ports?: readonly { readonly port: string | number; readonly protocol: string }[];
}
export interface PolicyPeer {
  readonly namespaceSelector?: { readonly matchLabels: Labels };
  readonly podSelector?: { readonly matchLabels: Labels };
}
