import createFetchClient from 'openapi-fetch';
import type { Rest } from './api.js';
import type { Clock } from './clock.js';
import { apiError, asApiError } from './problem.js';
import type { paths } from './schema.gen.js';
import type { SessionKeeper } from './session.js';

/** fetch with the access token; after a 401 the token is refreshed, and the request repeated once. */
export function authorised(fetch: typeof globalThis.fetch, session: SessionKeeper) {
  return async (request: Request): Promise<Response> => {
    const again = request.clone();
    const token = await session.token();
    const response = await fetch(withToken(request, token));
    if (response.status !== 401) return response;
    await session.refresh(token);
    return fetch(withToken(again, await session.token()));
  };
}

function withToken(request: Request, token: string): Request {
  request.headers.set('Authorization', `Bearer ${token}`);
  return request;
}

/** The call, given up after ms: a network that swallows everything must not hold up what comes next. */
export function timed(call: (request: Request) => Promise<Response>, clock: Clock, ms: number) {
  return async (request: Request): Promise<Response> => {
    const late = new AbortController();
    const abort = () => late.abort();
    const cancel = clock.after(ms, abort);
    request.signal.addEventListener('abort', abort, { once: true });
    if (request.signal.aborted) abort();
    try {
      return await call(new Request(request, { signal: late.signal }));
    } finally {
      cancel();
      request.signal.removeEventListener('abort', abort);
    }
  };
}

/** The typed calls. */
export function createRest(base: string, fetch: (request: Request) => Promise<Response>): Rest {
  // Lists in a query are one value with commas here.
  return createFetchClient<paths>({ baseUrl: base, fetch, querySerializer: { array: { style: 'form', explode: false } } });
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of a call. Throws ApiError, also when there was no answer. */
export async function ask<T>(call: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await call;
  } catch (error) {
    throw asApiError(error);
  }
  if (!answer.response.ok) throw apiError(answer.response, answer.error);
  return answer.data as T;
}
