/**
 * The Services that are followed: one watch for each, however many variants and ports ask for it.
 */
import type { KubernetesTarget } from '../../config/endpoint-source.ts';
import type { SourceListener } from '../source.ts';
import { type FollowOptions, followService } from './follow.ts';
import { mergeSlices, portsOf } from './merge.ts';
import type { Slice } from './objects.ts';

export interface KubernetesSources {
  /** Tells the listener from now on; what it returns ends that. */
  open(target: KubernetesTarget, listener: SourceListener): () => void;
}

interface Followed {
  readonly readers: Set<Reader>;
  /** Null until the first list. */
  slices: readonly Slice[] | null;
  inStep: boolean;
  end: () => void;
}

interface Reader {
  readonly target: KubernetesTarget;
  readonly listener: SourceListener;
}

export function createKubernetesSources(
  options: Omit<FollowOptions, 'subject' | 'listener'>,
): KubernetesSources {
  const followed = new Map<string, Followed>();

  function follow(key: string, { namespace, service }: KubernetesTarget): Followed {
    const one: Followed = { readers: new Set(), slices: null, inStep: false, end: () => {} };
    const each = (run: (listener: SourceListener) => void): void => {
      for (const { listener } of one.readers) run(listener);
    };
    followed.set(key, one);
    one.end = followService({
      ...options,
      subject: { namespace, service },
      listener: {
        slices(slices) {
          one.slices = [...slices];
          for (const reader of one.readers) give(reader, one.slices);
        },
        read: () => each((listener) => listener.read()),
        event: () => each((listener) => listener.event()),
        inStep() {
          one.inStep = true;
          each((listener) => listener.inStep());
        },
        trouble(reason, detail) {
          one.inStep = false;
          each((listener) => listener.trouble(reason, detail));
        },
      },
    });
    return one;
  }

  return {
    open(target, listener) {
      const key = `${target.namespace ?? ''}/${target.service}`;
      const one = followed.get(key) ?? follow(key, target);
      const reader: Reader = { target, listener };
      one.readers.add(reader);
      if (one.slices !== null) give(reader, one.slices);
      if (one.inStep) listener.inStep();
      return () => {
        one.readers.delete(reader);
        if (one.readers.size > 0) return;
        one.end();
        followed.delete(key);
      };
    },
  };
}

function give({ target, listener }: Reader, slices: readonly Slice[]): void {
  const finding = mergeSlices(slices, target.port);
  listener.found(finding);
  if (finding.usable.length > 0 || finding.out.size > 0) return;
  const ports = portsOf(slices);
  if (ports.length === 0) return;
  listener.trouble(
    'not_found',
    `the EndpointSlices of "${target.service}" have no port ${target.port}, only ${ports.slice(0, 10).join(', ')}`,
  );
}
