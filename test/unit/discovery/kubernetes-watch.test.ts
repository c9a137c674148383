import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { KubernetesTarget } from '../../../src/config/endpoint-source.ts';
import { eventually } from '../../support/bounded.ts';
import { endpointOf, type KubeApi, sliceOf, startKubeApi } from '../../support/kube-api.ts';
import { credentialsOf, type Heard, listenerOf, sourcesOf } from './following.ts';

const NOTES: KubernetesTarget = {
  kind: 'kubernetes',
  name: 'notes',
  namespace: 'notes',
  service: 'notes',
  port: 'http',
};
const NOT_READY = { ready: false, serving: false, terminating: false };

describe('a Service that is followed', () => {
  let api: KubeApi;
  let heard: Heard;
  const ends: (() => unknown)[] = [];

  beforeEach(async () => {
    api = await startKubeApi();
    heard = listenerOf();
    api.put('notes', 'notes', 'notes-1', sliceOf(['10.1.0.1', '10.1.0.2'], 8080));
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
    await api.close();
  });

  function follow(options: Parameters<typeof sourcesOf>[1] = {}) {
    const { sources, credentials } = sourcesOf(api, options);
    ends.push(() => credentials.close(), sources.open(NOTES, heard));
    return sources;
  }

  const says = (expected: string[], what: string, listener = heard) =>
    eventually(() => JSON.stringify(listener.now()) === JSON.stringify(expected), what);
  const watched = (count = 1) => eventually(() => api.watches === count, `${count} open watches`);

  it('is listed, then watched from there: slices come, change and go', async () => {
    follow();
    await says(['10.1.0.1:8080', '10.1.0.2:8080'], 'the list');
    await watched();
    api.put('notes', 'notes', 'notes-2', sliceOf(['10.1.0.3'], 9090));
    await says(['10.1.0.1:8080', '10.1.0.2:8080', '10.1.0.3:9090'], 'a second slice with a port of its own');
    api.put('notes', 'notes', 'notes-1', sliceOf(['10.1.0.1'], 8080));
    await says(['10.1.0.1:8080', '10.1.0.3:9090'], 'a change');
    api.put('notes', 'other', 'notes-2', sliceOf(['10.1.0.3'], 9090));
    await says(['10.1.0.1:8080'], 'a slice that is of another Service now');
    api.delete('notes', 'notes-1');
    await says([], 'nothing');
    assert.equal(heard.counts.reads, 1);
    assert.deepEqual(heard.troubles, []);
    const [list, watch] = api.requests;
    assert.equal(list?.url.searchParams.get('labelSelector'), 'kubernetes.io/service-name=notes');
    assert.equal(watch?.url.searchParams.get('allowWatchBookmarks'), 'true');
    assert.equal(watch?.token, 'test-token');
  });

  it('is read page by page', async () => {
    api.pageSize = 2;
    for (let index = 2; index <= 7; index++)
      api.put('notes', 'notes', `notes-${index}`, sliceOf([`10.1.1.${index}`], 8080));
    follow();
    await eventually(() => heard.now().length === 8, 'all pages');
    assert.equal(api.requests.filter(({ kind }) => kind === 'list').length, 4);
    assert.equal(heard.findings.length, 1, 'nothing is given before the last page');
  });

  it('is taken up where a watch ended, in order or in the middle of a line, and misses nothing', async () => {
    follow();
    for (const [index, how] of (['ended', 'cut', 'ended', 'cut'] as const).entries()) {
      await watched();
      api.endWatches(how);
      await watched(0);
      api.put('notes', 'notes', `later-${index}`, sliceOf([`10.1.2.${index}`], 8080));
      await eventually(
        () => heard.now().includes(`10.1.2.${index}:8080`),
        `what happened while nobody watched (${how})`,
      );
    }
    assert.equal(heard.counts.reads, 1, 'no list was needed');
    assert.ok(
      heard.troubles.every((one) => one.startsWith('cut: ')),
      heard.troubles.join('\n'),
    );
  });

  it('goes on from a bookmark, although nothing else has happened since versions were forgotten', async () => {
    follow();
    await watched();
    api.put('elsewhere', 'other', 'other-1', sliceOf(['10.9.0.1'], 80));
    api.bookmark();
    await eventually(() => heard.counts.events === 1, 'the bookmark');
    const version = Number(api.requests.at(-1)?.url.searchParams.get('resourceVersion'));
    api.endWatches('ended');
    await eventually(() => api.requests.length === 3, 'the next watch');
    assert.equal(Number(api.requests.at(-1)?.url.searchParams.get('resourceVersion')), version + 1);
  });

  for (const goneBy of ['event', 'status'] as const) {
    it(`is listed anew when the server no longer knows the version (410 as ${goneBy})`, async () => {
      api.goneBy = goneBy;
      follow();
      await watched();
      api.endWatches('ended');
      await watched(0);
      api.put('notes', 'notes', 'notes-1', sliceOf(['10.1.0.9'], 8080));
      api.compact();
      await says(['10.1.0.9:8080'], 'the new list');
      assert.equal(heard.counts.reads, 2);
      await watched();
      api.put('notes', 'notes', 'notes-2', sliceOf(['10.1.0.10'], 8080));
      await says(['10.1.0.10:8080', '10.1.0.9:8080'], 'events after it');
      assert.deepEqual(heard.troubles, []);
    });
  }

  it('changes nothing by events that are repeated, older than what is known, or of another kind', async () => {
    follow();
    await watched();
    api.put('notes', 'notes', 'notes-2', sliceOf(['10.1.0.3'], 8080));
    api.put('notes', 'notes', 'notes-2', sliceOf(['10.1.0.4'], 8080));
    await says(['10.1.0.1:8080', '10.1.0.2:8080', '10.1.0.4:8080'], 'the present state');
    const { length } = heard.findings;
    api.repeat('notes-2');
    api.repeat('notes-2', 1);
    api.raw(
      '{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","resourceVersion":"9999"}}}\n',
    );
    api.raw(
      '{"type":"LATER","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"9998"}}}\n',
    );
    api.raw(
      '{"type":"ADDED","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v2","metadata":{"name":"y","resourceVersion":"9997"},"endpoints":[]}}\r\n\n',
    );
    await eventually(() => heard.counts.events === 7, 'all events');
    assert.equal(heard.findings.length, length);
    api.delete('notes', 'notes-2');
    await says(['10.1.0.1:8080', '10.1.0.2:8080'], 'the deletion');
    api.raw(
      `${JSON.stringify({ type: 'ADDED', object: { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1', metadata: { name: 'notes-2', resourceVersion: '102' }, addressType: 'IPv4', ports: [{ name: 'http', port: 1 }], endpoints: [endpointOf('10.1.0.3')] } })}\n`,
    );
    await eventually(() => heard.counts.events === 9, 'an old word of what is deleted');
    assert.deepEqual(heard.now(), ['10.1.0.1:8080', '10.1.0.2:8080']);
  });

  it('is read anew after an event that can not be read', async () => {
    follow();
    await watched();
    api.raw('{"type":"MODIFIED","object":\n');
    await eventually(() => heard.counts.reads === 2, 'a new list');
    assert.match(heard.troubles.join(), /^bad_answer: expected JSON/);
  });

  it('is read anew after an event that has no end', async () => {
    follow();
    await watched();
    const piece = ' '.repeat(1 << 20);
    for (let count = 0; count < 9; count++) api.raw(piece);
    await eventually(() => heard.counts.reads === 2, 'a new list');
    assert.match(heard.troubles.join(), /^too_large: a line is longer than 8388608 bytes/);
  });

  it('is listed anew every half an hour, which heals versions that began anew in a restored cluster', async () => {
    let later = 0;
    follow({ monotonicNow: () => performance.now() + later });
    await watched();
    api.restoreTo(50);
    api.put('notes', 'notes', 'notes-1', sliceOf(['10.1.0.9'], 8080));
    await eventually(() => heard.counts.events === 1, 'a word that seems to be old');
    assert.deepEqual(heard.now(), ['10.1.0.1:8080', '10.1.0.2:8080']);
    later = 1_800_000;
    api.endWatches('ended');
    await says(['10.1.0.9:8080'], 'the new list');
    await watched();
    api.put('notes', 'notes', 'notes-1', sliceOf(['10.1.0.10'], 8080));
    await says(['10.1.0.10:8080'], 'a version above that of the restored cluster');
    assert.equal(heard.counts.reads, 2);
  });

  it('is asked again, less and less often, when the server fails; as late as it says', async () => {
    api.failNext(2, { status: 500 });
    follow();
    await says(['10.1.0.1:8080', '10.1.0.2:8080'], 'an answer after two failures');
    assert.deepEqual(
      heard.troubles,
      Array.from({ length: 2 }, () => 'server_error: the API server answers 500: injected by the test'),
    );
    await watched();
    api.failNext(1, { status: 429, headers: { 'retry-after': '1' } });
    const begun = performance.now();
    api.endWatches('cut');
    await watched(0);
    await watched();
    assert.ok(performance.now() - begun >= 1000, 'Retry-After is heeded');
    assert.match(heard.troubles.at(-1) ?? '', /^throttled: /);
  });

  it('says which rule is missing when it may not list', async () => {
    api.forbidden = 'notes';
    follow();
    await eventually(() => heard.troubles.length > 0, 'the refusal');
    assert.match(
      heard.troubles[0] ?? '',
      /^forbidden: .*User "serin" cannot list resource "endpointslices".*grant it with a Role in the namespace notes that has the rule \{ apiGroups: \["discovery\.k8s\.io"\], resources: \["endpointslices"\], verbs: \["list", "watch"\] \}, and a RoleBinding$/,
    );
    api.forbidden = null;
    await says(['10.1.0.1:8080', '10.1.0.2:8080'], 'the list, once it may');
  });

  it('reads a rotated token when the server no longer takes the old one', async () => {
    let token = 'first';
    api.token = 'first';
    follow({ credentials: credentialsOf(() => api.kubeconfig({ token })) });
    await watched();
    api.token = 'second';
    token = 'second';
    api.endWatches('ended');
    await watched(0);
    await watched();
    assert.equal(api.requests.at(-1)?.token, 'second');
    assert.equal(heard.troubles.length, 1);
    assert.match(heard.troubles[0] ?? '', /^unauthorized: /);
  });

  it('goes on as it was while nobody listens, and catches up', async () => {
    follow();
    await watched();
    await api.goDown();
    await eventually(
      () => heard.troubles.some((one) => one.startsWith('connect: ')),
      'a connection that is refused',
    );
    assert.deepEqual(heard.now(), ['10.1.0.1:8080', '10.1.0.2:8080']);
    api.put('notes', 'notes', 'notes-1', sliceOf(['10.1.0.1'], 8080));
    await api.comeUp();
    await says(['10.1.0.1:8080'], 'what happened meanwhile');
    assert.equal(heard.counts.reads, 1);
  });

  it('gives up a server that does not answer, and a watch that falls silent', async () => {
    api.stalled = true;
    follow({ times: { answer: 100, silence: 200 } });
    await eventually(() => heard.troubles.length > 0, 'trouble');
    assert.match(heard.troubles[0] ?? '', /^timeout: /);
    api.stalled = false;
    await says(['10.1.0.1:8080', '10.1.0.2:8080'], 'the list');
    const { length } = heard.troubles;
    const watchesSoFar = api.requests.length;
    await eventually(() => api.requests.length > watchesSoFar + 2, 'watches one after another');
    assert.equal(heard.troubles.length, length, 'silence alone is no trouble');
    assert.equal(heard.counts.reads, 1);
  });

  it('tells of many changes at once that come at once', async () => {
    follow();
    await watched();
    const { length } = heard.findings;
    for (let index = 0; index < 200; index++)
      api.put('notes', 'notes', 'notes-1', sliceOf([`10.3.0.${index}`], 80));
    await says(['10.3.0.199:80'], 'the last of them');
    assert.ok(heard.findings.length - length < 100, `${heard.findings.length - length} findings`);
  });

  it('does not believe a server with a certificate of another authority', async () => {
    const other = await startKubeApi();
    ends.push(() => other.close());
    follow({
      credentials: credentialsOf(() => api.kubeconfig().replace(String(api.port), String(other.port))),
    });
    await eventually(() => heard.troubles.length > 0, 'trouble');
    assert.match(heard.troubles[0] ?? '', /^tls: /);
    assert.equal(other.requests.length, 0);
  });

  it('is watched once for all who ask, each with the port that it asked for', async () => {
    const sources = follow();
    await watched();
    const byNumber = listenerOf();
    const end = sources.open({ ...NOTES, port: 8080 }, byNumber);
    const wrong = listenerOf();
    ends.push(sources.open({ ...NOTES, port: 'grpc' }, wrong));
    await says(['10.1.0.1:8080', '10.1.0.2:8080'], 'the same at once', byNumber);
    assert.deepEqual(wrong.now(), []);
    assert.deepEqual(wrong.troubles, [
      'not_found: the EndpointSlices of "notes" have no port grpc, only http = 8080',
    ]);
    assert.equal(api.watches, 1);
    end();
    api.put('notes', 'notes', 'notes-1', sliceOf(['10.1.0.2'], 8080, NOT_READY));
    await says([], 'the other goes on');
    assert.deepEqual([...(heard.findings.at(-1)?.out ?? [])], ['10.1.0.2:8080']);
    assert.equal(byNumber.now().length, 2, 'who has left hears nothing more');
    for (const one of ends.splice(1)) await one();
    await watched(0);
  });
});
