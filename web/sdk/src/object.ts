import type { components } from './schema.gen.js';

type Schemas = components['schemas'];

// The objects of the wire, as the server describes them: snake_case, ids as strings of decimal digits, times as RFC 3339.
export type User = Schemas['User'];
export type Me = Schemas['Me'];
export type Message = Schemas['Message'];
export type MessageType = Message['type'];
export type Mentions = NonNullable<Message['mentions']>;
export type Quote = Schemas['Quote'];
export type Conversation = Schemas['Conversation'];
export type Entry = Schemas['Entry'];
export type MailboxPage = Schemas['MailboxPage'];
export type MemberPosition = Schemas['MemberPosition'];
export type Presence = Schemas['Presence'];
/** A file on the server; as it is it can be the body of a message. */
export type UploadedFile = Schemas['File'];
export type Problem = Schemas['Problem'];
export type Grant = Schemas['Grant'];
export type { Frame } from './schema.gen.js';
export type Hello = Schemas['Hello'];
export type MessageFrame = Schemas['MessageFrame'];
export type Behind = Schemas['Behind'];
export type Bye = Schemas['Bye'];
export type ReceiptFrame = Schemas['Receipt'];
export type TypingFrame = Schemas['Typing'];
export type PresenceFrame = Schemas['PresenceFrame'];
export type ConversationFrame = Schemas['ConversationEvent'];
export type DeletedFrame = Schemas['DeletedFrame'];

/** What a user may send; `recall` and `notice` are written by the server alone. */
export type SendType = Schemas['Send']['type'];
