/** How much of the past a store keeps at least, whatever kind it is. */

/** Commits are kept, and changes and how they ended can be read, for so long: a pipeline whose poll gets a 404 ends for good. In ms. */
export const HISTORY_TIME = 24 * 3_600_000;

/** So many commits are kept, however old they are. */
export const HISTORY_COMMITS = 1000;
