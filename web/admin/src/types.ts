/** What the admin API answers. Times are Unix milliseconds, ids are strings. */

export interface Person {
  readonly user_id: string;
  readonly username: string;
  readonly display_name: string;
  readonly avatar_url?: string | null;
}

export interface Session {
  readonly user: User;
  readonly expires_at: number;
}

/** One page of a list. */
export interface Paged {
  readonly next_cursor?: string | null;
  readonly has_more: boolean;
}

/** Part of an answer that asked all nodes. */
export interface Merged {
  /** The nodes that did not answer. */
  readonly missing_nodes?: readonly string[] | null;
}

export interface User {
  readonly id: string;
  readonly username: string;
  readonly display_name: string;
  readonly avatar_url?: string | null;
  readonly role: 'user' | 'admin';
  readonly banned_at?: number | null;
  readonly created_at: number;
}

export interface UserDetails extends Merged {
  readonly user: User;
  readonly mailbox: { readonly head: number; readonly floor: number };
  readonly devices: number;
  readonly conversations: number;
  readonly file_bytes: number;
  readonly online: boolean;
}

export interface Device {
  readonly device_id: string;
  readonly name: string;
  readonly acked: number;
  readonly head: number;
  readonly lag: number;
  readonly last_seen_at?: number | null;
  readonly connected: boolean;
  readonly node?: string | null;
  readonly connection_id?: string | null;
  readonly state?: string | null;
  readonly pending?: number;
  readonly attempts?: number;
  readonly connected_at?: number | null;
}

export interface Node {
  readonly node: string;
  readonly address: string;
  readonly version: string;
  readonly started_at: number;
  readonly lease_expires_at: number;
  readonly state: 'up' | 'draining' | 'down';
  readonly sessions: number;
  readonly self: boolean;
  readonly goroutines: number;
  readonly heap_bytes: number;
  readonly uptime_ms: number;
}

export interface Job {
  readonly name: string;
  readonly node: string;
  readonly every_ms: number;
  readonly running: boolean;
  readonly last_run_at?: number | null;
  readonly last_duration_ms?: number | null;
  readonly last_outcome?: string | null;
  readonly last_error?: string | null;
  readonly runs: number;
  readonly failures: number;
}

export interface Socket {
  readonly node: string;
  readonly user_id: string;
  readonly username: string;
  readonly device_id: string;
  readonly connection_id: string;
  readonly state: string;
  readonly connected_at: number;
  readonly pushed: number;
  readonly acked: number;
  readonly pending: number;
  readonly attempts: number;
}

export interface AckQueue {
  readonly node: string;
  readonly entries: number;
  readonly capacity: number;
  readonly oldest_pushed_at?: number | null;
  readonly by_attempt: readonly number[];
  readonly evictions: number;
  readonly retries: number;
}

/** What one node measured in one step. Rates are per second. */
export interface Sample {
  readonly at: number;
  readonly [measure: string]: number;
}

export interface Series extends Merged {
  readonly step_ms: number;
  readonly nodes: readonly { readonly node: string; readonly samples: readonly Sample[] }[];
}

export interface Setting {
  readonly name: string;
  readonly env: string;
  readonly value: string;
  readonly default: string;
  readonly changed: boolean;
  readonly secret: boolean;
  readonly help: string;
}

export interface LogLevel {
  readonly node: string;
  readonly level: string;
  readonly until?: number | null;
}

export interface AuditEntry {
  readonly id: string;
  readonly at: number;
  readonly actor_id: string;
  readonly actor: string;
  readonly action: string;
  readonly target_kind: string;
  readonly target_id: string;
  readonly detail: unknown;
  readonly address: string;
  readonly node: string;
  readonly outcome: string;
}

export interface Conversation {
  readonly id: string;
  readonly kind: string;
  readonly delivery: string;
  readonly name: string;
  readonly owner_id?: string | null;
  /** The announcements: all belong, and are not counted. */
  readonly everyone?: boolean;
  readonly members: number;
  readonly head: number;
  readonly created_at: number;
  readonly dissolved_at?: number | null;
  readonly last_message_at?: number | null;
  readonly mute_all: boolean;
}

export interface ConversationDetails extends Conversation {
  readonly avatar_url?: string | null;
  readonly announcement?: string | null;
  readonly people?: readonly Person[] | null;
}

export interface Member {
  readonly user_id: string;
  readonly username: string;
  readonly display_name: string;
  readonly role: string;
  readonly joined_at: number;
  readonly muted_until?: number | null;
  readonly delivered: number;
  readonly read: number;
}

export interface Message {
  readonly message_id: string;
  readonly conversation_id: string;
  readonly conversation_seq: number;
  readonly sender_id: string;
  readonly client_msg_id: string;
  readonly type: string;
  readonly body: unknown;
  readonly created_at: string;
  readonly recalled_at?: string | null;
}

export interface Statistics {
  readonly users: number;
  readonly users_banned: number;
  readonly admins: number;
  readonly conversations: { readonly direct: number; readonly group: number; readonly log: number };
  readonly messages: number;
  readonly mailbox_entries: number;
  readonly devices: number;
  readonly files: number;
  readonly file_bytes: number;
  readonly blocks: number;
  readonly registrations_24h: number;
  readonly messages_24h: number;
  readonly database: { readonly dialect: string; readonly version: string; readonly size_bytes: number };
  readonly redis: { readonly state: string; readonly version: string; readonly memory_bytes: number; readonly clients: number };
  /** The fields that are estimates now. */
  readonly estimated: readonly string[];
}

export interface TraceDevice {
  /** Empty, with never_connected, for a user without devices. */
  readonly device_id: string;
  readonly name: string;
  readonly state: 'acked' | 'pushed' | 'waiting' | 'never_connected' | 'history';
  readonly acked: number;
  readonly head: number;
  readonly acked_at: number;
}

export interface Recipient {
  readonly user_id: string;
  readonly username: string;
  readonly seq: number;
  readonly delivered: boolean;
  readonly read: boolean;
  readonly delivered_at: number;
  readonly read_at: number;
  readonly devices: readonly TraceDevice[];
}

export interface TraceEvent {
  readonly at: number;
  /** 0 to 999, after at. */
  readonly micros: number;
  readonly node: string;
  readonly kind: string;
  readonly user_id: string;
  readonly device_id: string;
  readonly connection_id: string;
  readonly seq: number;
  readonly attempt: number;
  readonly detail: string;
}

export interface Trace extends Merged, Paged {
  readonly message_id: string;
  readonly conversation_id: string;
  readonly conversation_seq: number;
  readonly delivery: string;
  readonly sender_id: string;
  readonly client_message_id: string;
  readonly recalled_at: number;
  readonly accepted: {
    readonly at: number;
    readonly node: string;
    readonly batch_id: string;
    readonly batch_size: number;
    readonly commit_ms: number;
    readonly committed_at: number;
    readonly source: 'trace' | 'tables';
  };
  readonly sender: Recipient;
  readonly recipients: readonly Recipient[];
  readonly totals: { readonly recipients: number; readonly delivered: number; readonly read: number };
  readonly events: readonly TraceEvent[];
  readonly more_events: boolean;
  readonly complete: boolean;
  readonly sampled: boolean;
}

export interface StuckDevice {
  readonly user_id: string;
  readonly username: string;
  readonly device_id: string;
  readonly name: string;
  readonly acked: number;
  readonly head: number;
  readonly lag: number;
  readonly oldest_unacked_at?: number | null;
  readonly last_seen_at?: number | null;
  readonly connected: boolean;
  readonly node?: string | null;
  readonly attempts?: number;
}

export interface Stuck extends Merged {
  /** So many devices, the latest seen first, were looked at, and those that are connected. */
  readonly scan_limit: number;
  readonly devices: readonly StuckDevice[];
  readonly retry_histogram: readonly { readonly attempt: number; readonly entries: number }[];
  readonly evictions: number;
  readonly closes: Readonly<Record<string, number>>;
}
