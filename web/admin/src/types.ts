import type { components } from '@ackbox/client';

/** What the admin API answers, by the names of its description. Times are Unix milliseconds, 0 for never; ids are strings. */
type Schemas = components['schemas'];

export type User = Schemas['AdminUser'];
export type UserDetails = Schemas['AdminUserDetailOutputBody'];
export type Device = Schemas['AdminDevice'];
export type Node = Schemas['AdminNode'];
export type Job = Schemas['AdminJob'];
export type Socket = Schemas['AdminSocket'];
/** What nodes answered of the last minutes. */
export type Series = Schemas['AdminSeriesOutputBody'];
/** What one node measured in one step. */
export type Sample = Schemas['AdminSeries']['samples'][number];
export type Setting = Schemas['AdminSetting'];
export type LogLevel = Schemas['AdminLogLevel'];
export type AuditEntry = Schemas['AuditEntry'];
export type Session = Schemas['AdminSession'];
export type Conversation = Schemas['AnyConversation'];
export type ConversationDetails = Schemas['AnyConversationDetails'];
export type Member = Schemas['AnyMember'];
export type Message = Schemas['Message'];
export type Recipient = Schemas['TraceRecipient'];
export type TraceDevice = Schemas['TraceDevice'];
export type TraceEvent = Schemas['TraceEvent'];
export type Trace = Schemas['AdminTraceOutputBody'];
export type Stuck = Schemas['StuckOutputBody'];
export type StuckDevice = Schemas['StuckDevice'];
