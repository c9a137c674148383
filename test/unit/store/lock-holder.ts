/** A process that takes a store's directory, says so, and holds it until it is killed. */
import { createFileStore } from '../../../src/store/file/file-store.ts';
import { makeCommit } from './commits.ts';

const store = createFileStore({ directory: process.argv[2] ?? '', wallNow: Date.now, warn: () => {} });
const { revision } = await store.load();
await store.commit(makeCommit(revision + 1));
process.stdout.write('held\n');
setInterval(() => {}, 60_000);
