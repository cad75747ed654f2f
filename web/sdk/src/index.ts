import type { Client, ClientOptions } from './api.js';

export type * from './api.js';
export type * from './object.js';
export type * from './store.js';
export type { components, paths } from './schema.gen.js';
export { ApiError, type ErrorCode, type SendError } from './problem.js';
export { systemClock, type Clock } from './clock.js';

/** Makes a client. It opens its store at once, and nothing else before connect(). */
export function createClient(options: ClientOptions = {}): Client {
  throw new Error(`not built yet: ${options.name}`);
}
