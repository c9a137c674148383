/** Methods of Node's Buffer that its type declarations leave out; documented by use in Node's own code and stable since 0.x. */
interface Buffer {
  latin1Slice(start?: number, end?: number): string;
}
