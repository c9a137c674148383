/** The API's answers are objects of JSON; the command looks at what it needs of them. */
export type Json = Readonly<Record<string, unknown>>;
