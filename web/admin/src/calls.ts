import { call, type Query } from './call';
import type * as t from './types';

type Signal = AbortSignal | undefined;

const get = <T>(path: string, query?: Query, signal?: Signal) => call<T>('GET', path, { query, signal });
const put = <T = void>(path: string, body?: unknown) => call<T>('PUT', path, { body });
const post = <T = void>(path: string, body?: unknown) => call<T>('POST', path, { body });
const remove = (path: string) => call<void>('DELETE', path);
const root = '/v1/admin';
const at = (...parts: string[]) => [root, ...parts.map(encodeURIComponent)].join('/');

/** Every call of the admin API that the page makes. */
export const api = {
  session: () => get<t.Session>(`${root}/session`),
  signIn: (username: string, password: string) => post<t.Session>(`${root}/session`, { username, password }),
  signOut: () => remove(`${root}/session`),

  series: (minutes: number, signal: Signal) => get<t.Series>(`${root}/series`, { minutes }, signal),
  statistics: (signal: Signal) => get<t.Statistics>(`${root}/statistics`, {}, signal),

  nodes: (signal: Signal) => get<t.Merged & { nodes: t.Node[] }>(`${root}/nodes`, {}, signal),
  drain: (node: string) => post(at('nodes', node, 'drain')),
  undrain: (node: string) => post(at('nodes', node, 'undrain')),

  users: (query: Query, signal: Signal) => get<t.Paged & { users: t.User[] }>(`${root}/users`, query, signal),
  createUser: (body: { username: string; password: string; display_name?: string; role: 'user' | 'admin' }) => post<{ user: t.User }>(`${root}/users`, body),
  user: (id: string, signal: Signal) => get<t.UserDetails>(at('users', id), {}, signal),
  ban: (id: string, reason: string) => put(at('users', id, 'ban'), { reason }),
  unban: (id: string) => remove(at('users', id, 'ban')),
  setRole: (id: string, role: string) => put(at('users', id, 'role'), { role }),
  resetPassword: (id: string, password: string) => put<{ password: string }>(at('users', id, 'password'), password ? { password } : {}),
  signOutUser: (id: string) => post(at('users', id, 'sign-out')),
  devices: (id: string, signal: Signal) => get<t.Merged & { devices: t.Device[] }>(at('users', id, 'devices'), {}, signal),
  forgetDevice: (id: string, device: string) => remove(at('users', id, 'devices', device)),
  closeDevice: (id: string, device: string) => post(at('users', id, 'devices', device, 'close')),
  pushDevice: (id: string, device: string) => post(at('users', id, 'devices', device, 'push')),

  conversations: (query: Query, signal: Signal) => get<t.Paged & { conversations: t.Conversation[] }>(`${root}/conversations`, query, signal),
  conversation: (id: string, signal: Signal) => get<{ conversation: t.ConversationDetails }>(at('conversations', id), {}, signal),
  members: (id: string, query: Query, signal: Signal) => get<t.Paged & { members: t.Member[] }>(at('conversations', id, 'members'), query, signal),
  removeMember: (id: string, user: string) => remove(at('conversations', id, 'members', user)),
  history: (id: string, query: Query, signal: Signal) => get<{ messages: t.Message[]; head: number; has_more: boolean }>(at('conversations', id, 'messages'), query, signal),
  dissolve: (id: string) => post(at('conversations', id, 'dissolve')),
  muteAll: (id: string, muteAll: boolean) => put(at('conversations', id, 'mute'), { mute_all: muteAll }),

  messages: (query: Query, signal: Signal) => get<t.Paged & { messages: t.Message[] }>(`${root}/messages`, query, signal),
  message: (id: string, signal: Signal) => get<{ message: t.Message }>(at('messages', id), {}, signal),
  removeMessage: (id: string, reason: string) => post<{ message: t.Message }>(at('messages', id, 'remove'), { reason }),
  trace: (id: string, query: Query, signal: Signal) => get<t.Trace>(at('messages', id, 'trace'), query, signal),

  stuck: (query: Query, signal: Signal) => get<t.Stuck>(`${root}/stuck`, query, signal),
  sockets: (query: Query, signal: Signal) => get<t.Paged & t.Merged & { sessions: t.Socket[] }>(`${root}/sessions`, query, signal),
  ackQueue: (signal: Signal) => get<t.Merged & { nodes: t.AckQueue[] }>(`${root}/ack-queue`, {}, signal),

  jobs: (signal: Signal) => get<t.Merged & { jobs: t.Job[] }>(`${root}/jobs`, {}, signal),
  runJob: (name: string, node: string) => post(at('jobs', name, 'run'), { node }),

  announcements: (query: Query, signal: Signal) => get<t.Paged & { announcements: t.Message[] }>(`${root}/announcements`, query, signal),
  announce: (text: string, key: string) => post<{ message: t.Message }>(`${root}/announcements`, { text, client_msg_id: key }),

  audit: (query: Query, signal: Signal) => get<t.Paged & { entries: t.AuditEntry[] }>(`${root}/audit`, query, signal),

  settings: (signal: Signal) => get<{ settings: t.Setting[] }>(`${root}/config`, {}, signal),
  logLevels: (signal: Signal) => get<t.Merged & { nodes: t.LogLevel[] }>(`${root}/log-level`, {}, signal),
  setLogLevel: (level: string, node: string, forMs: number) => put(`${root}/log-level`, { level, ...(node ? { node } : {}), ...(forMs > 0 ? { for_ms: forMs } : {}) }),
};
