import type { paths } from '@ackbox/client';
import { session } from './session';

type Method = 'get' | 'put' | 'post' | 'delete';

/** The paths of the API that a method is of. */
type PathOf<M extends Method> = { [P in keyof paths]: [Required<paths[P]>[M]] extends [never] ? never : P }[keyof paths];

type Operation<P extends keyof paths, M extends Method> = Required<paths[P]>[M];

type Json<A> = A extends { content: { 'application/json': infer D } } ? D : void;

/** What a call answers, from the API's description. */
export type Answer<P extends PathOf<M>, M extends Method = 'get'> = Operation<P, M> extends { responses: infer R } ? (R extends { 200: infer A } ? Json<A> : R extends { 201: infer A } ? Json<A> : void) : never;

/** What a call is sent. */
export type Body<P extends keyof paths, M extends Method> = Operation<P, M> extends { requestBody?: { content: { 'application/json': infer B } } } ? B : undefined;

type Names<P extends keyof paths, M extends Method> = Operation<P, M> extends { parameters: { path: infer N } } ? { readonly [K in keyof N]: string } : Readonly<Record<string, never>>;

/** A query of an address: names are the API's, values are what a person has typed. Null and '' are left out. */
export type Query<P extends keyof paths, M extends Method = 'get'> = Operation<P, M> extends { parameters: { query?: infer Q } } ? { readonly [K in keyof NonNullable<Q>]?: string | number | null } : Readonly<Record<string, never>>;

/** Thrown when a call was refused. */
export class Refused extends Error {
  readonly code: string;
  readonly status: number;
  /** What the server says about it, in English. */
  readonly detail: string;

  constructor(status: number, problem: unknown) {
    const code = textOf(problem, 'code');
    super(code || String(status));
    this.code = code;
    this.status = status;
    this.detail = textOf(problem, 'detail');
  }
}

interface Request<P extends keyof paths, M extends Method> {
  readonly path?: Names<P, M>;
  readonly query?: Query<P, M>;
  readonly body?: Body<P, M>;
  readonly signal?: AbortSignal;
}

function address(template: string, names: Readonly<Record<string, string>>, query: Readonly<Record<string, string | number | null | undefined>>): string {
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(names[name] ?? ''));
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') words.set(name, String(value));
  }
  return words.size > 0 ? `${path}?${words}` : path;
}

function textOf(problem: unknown, name: 'code' | 'detail'): string {
  if (typeof problem !== 'object' || problem === null || !(name in problem)) return '';
  const value = (problem as Readonly<Record<string, unknown>>)[name];
  return typeof value === 'string' ? value : '';
}

/** Calls the API with the session's cookie. Throws Refused for an error answer and TypeError for none; a 401 ends the session. */
export async function call<M extends Method, P extends PathOf<M>>(method: M, template: P, { path, query, body, signal }: Request<P, M> = {}): Promise<Answer<P, M>> {
  const answer = await fetch(address(template, path ?? {}, query ?? {}), {
    method: method.toUpperCase(),
    credentials: 'same-origin',
    cache: 'no-store',
    ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  });
  if (answer.ok) return (answer.status === 204 ? undefined : await answer.json()) as Answer<P, M>;
  const refused = new Refused(answer.status, await answer.json().catch(() => null));
  if (refused.status === 401 && refused.code !== 'invalid_credentials') session.end();
  throw refused;
}
