import { call, type Body, type Query } from './call';

const root = '/v1/admin';
const user = `${root}/users/{user_id}` as const;
const device = `${user}/devices/{device_id}` as const;
const conversation = `${root}/conversations/{conversation_id}` as const;
const message = `${root}/messages/{message_id}` as const;

/** Every call of the admin API that the page makes. */
export const api = {
  session: () => call('get', `${root}/session`),
  signIn: (body: Body<'/v1/admin/session', 'post'>) => call('post', `${root}/session`, { body }),
  signOut: () => call('delete', `${root}/session`),

  series: (minutes: number, signal: AbortSignal) => call('get', `${root}/series`, { query: { minutes }, signal }),
  statistics: (signal: AbortSignal) => call('get', `${root}/statistics`, { signal }),

  nodes: (signal: AbortSignal) => call('get', `${root}/nodes`, { signal }),
  drain: (node: string) => call('post', `${root}/nodes/{node}/drain`, { path: { node } }),
  undrain: (node: string) => call('post', `${root}/nodes/{node}/undrain`, { path: { node } }),

  users: (query: Query<'/v1/admin/users'>, signal: AbortSignal) => call('get', `${root}/users`, { query, signal }),
  createUser: (body: Body<'/v1/admin/users', 'post'>) => call('post', `${root}/users`, { body }),
  user: (user_id: string, signal: AbortSignal) => call('get', user, { path: { user_id }, signal }),
  ban: (user_id: string, reason: string) => call('put', `${user}/ban`, { path: { user_id }, body: { reason } }),
  unban: (user_id: string) => call('delete', `${user}/ban`, { path: { user_id } }),
  setRole: (user_id: string, role: 'user' | 'admin') => call('put', `${user}/role`, { path: { user_id }, body: { role } }),
  resetPassword: (user_id: string, password: string) => call('put', `${user}/password`, { path: { user_id }, body: password ? { password } : {} }),
  signOutUser: (user_id: string) => call('post', `${user}/sign-out`, { path: { user_id } }),
  devices: (user_id: string, signal: AbortSignal) => call('get', `${user}/devices`, { path: { user_id }, signal }),
  forgetDevice: (user_id: string, device_id: string) => call('delete', device, { path: { user_id, device_id } }),
  closeDevice: (user_id: string, device_id: string) => call('post', `${device}/close`, { path: { user_id, device_id } }),
  pushDevice: (user_id: string, device_id: string) => call('post', `${device}/push`, { path: { user_id, device_id } }),

  conversations: (query: Query<'/v1/admin/conversations'>, signal: AbortSignal) => call('get', `${root}/conversations`, { query, signal }),
  conversation: (conversation_id: string, signal: AbortSignal) => call('get', conversation, { path: { conversation_id }, signal }),
  members: (conversation_id: string, cursor: string, signal: AbortSignal) => call('get', `${conversation}/members`, { path: { conversation_id }, query: { cursor }, signal }),
  removeMember: (conversation_id: string, user_id: string) => call('delete', `${conversation}/members/{user_id}`, { path: { conversation_id, user_id } }),
  history: (conversation_id: string, query: Query<'/v1/admin/conversations/{conversation_id}/messages'>, signal: AbortSignal) => call('get', `${conversation}/messages`, { path: { conversation_id }, query, signal }),
  dissolve: (conversation_id: string) => call('post', `${conversation}/dissolve`, { path: { conversation_id } }),
  muteAll: (conversation_id: string, mute_all: boolean) => call('put', `${conversation}/mute`, { path: { conversation_id }, body: { mute_all } }),

  messages: (query: Query<'/v1/admin/messages'>, signal: AbortSignal) => call('get', `${root}/messages`, { query, signal }),
  message: (message_id: string, signal: AbortSignal) => call('get', message, { path: { message_id }, signal }),
  removeMessage: (message_id: string, reason: string) => call('post', `${message}/remove`, { path: { message_id }, body: { reason } }),
  trace: (message_id: string, cursor: string, signal: AbortSignal) => call('get', `${message}/trace`, { path: { message_id }, query: { cursor }, signal }),

  stuck: (query: Query<'/v1/admin/stuck'>, signal: AbortSignal) => call('get', `${root}/stuck`, { query, signal }),
  sockets: (query: Query<'/v1/admin/sessions'>, signal: AbortSignal) => call('get', `${root}/sessions`, { query, signal }),
  ackQueue: (signal: AbortSignal) => call('get', `${root}/ack-queue`, { signal }),

  jobs: (signal: AbortSignal) => call('get', `${root}/jobs`, { signal }),
  runJob: (name: string, node: string) => call('post', `${root}/jobs/{name}/run`, { path: { name }, body: { node } }),

  announcements: (cursor: string, signal: AbortSignal) => call('get', `${root}/announcements`, { query: { cursor }, signal }),
  announce: (text: string, client_msg_id: string) => call('post', `${root}/announcements`, { body: { text, client_msg_id } }),

  audit: (query: Query<'/v1/admin/audit'>, signal: AbortSignal) => call('get', `${root}/audit`, { query, signal }),

  settings: (signal: AbortSignal) => call('get', `${root}/config`, { signal }),
  logLevels: (signal: AbortSignal) => call('get', `${root}/log-level`, { signal }),
  setLogLevel: (body: Body<'/v1/admin/log-level', 'put'>) => call('put', `${root}/log-level`, { body }),
};
