package client

import (
	"encoding/json"
	"time"
)

// UserID names an account: decimal digits in a string.
type UserID string

// ConversationID names a conversation: decimal digits in a string.
type ConversationID string

// MessageID names a message: decimal digits in a string.
type MessageID string

// User is a user object.
type User struct {
	UserID      UserID    `json:"user_id"`
	Username    string    `json:"username"`
	DisplayName string    `json:"display_name"`
	AvatarURL   string    `json:"avatar_url"`
	CreatedAt   time.Time `json:"created_at"`

	// DirectMessages is only in the own object: "everyone" or "contacts".
	DirectMessages string `json:"direct_messages"`
}

// Message is a message object.
type Message struct {
	MessageID       MessageID      `json:"message_id"`
	ConversationID  ConversationID `json:"conversation_id"`
	ConversationSeq int64          `json:"conversation_seq"`
	SenderID        UserID         `json:"sender_id"`
	ClientMsgID     string         `json:"client_msg_id"`
	Type            string         `json:"type"`
	Body            map[string]any `json:"body"`
	Ext             map[string]any `json:"ext"`
	ReplyTo         *MessageID     `json:"reply_to"`
	CreatedAt       time.Time      `json:"created_at"`
	RecalledAt      *time.Time     `json:"recalled_at"`
	DeletedForMe    bool           `json:"deleted_for_me"`
	Mentions        Mentions       `json:"mentions"` // nil when nobody
	Quote           *Quote         `json:"quote"`    // nil when it is no reply
}

// Mentions are the users that a message calls, or "all" alone. On the wire that is a list, or the
// string "all".
type Mentions []UserID

// Everybody in Mentions, alone, is all members of a group.
const Everybody UserID = "all"

// MarshalJSON writes a list, or "all".
func (m Mentions) MarshalJSON() ([]byte, error) {
	if len(m) == 1 && m[0] == Everybody {
		return json.Marshal(m[0])
	}
	return json.Marshal([]UserID(m))
}

// UnmarshalJSON reads a list, or "all".
func (m *Mentions) UnmarshalJSON(text []byte) error {
	if string(text) == `"all"` {
		*m = Mentions{Everybody}
		return nil
	}
	return json.Unmarshal(text, (*[]UserID)(m))
}

// Quote is what a reply shows of the message that it answers.
type Quote struct {
	MessageID       MessageID `json:"message_id"`
	ConversationSeq int64     `json:"conversation_seq"`
	SenderID        UserID    `json:"sender_id"`
	Type            string    `json:"type"`
	Text            string    `json:"text"`
	Recalled        bool      `json:"recalled"`
}

// Entry is a mailbox entry.
type Entry struct {
	Seq     int64   `json:"seq"`
	Message Message `json:"message"`
}

// Page is a stretch of a mailbox, ascending.
type Page struct {
	Entries []Entry `json:"entries"`
	Head    int64   `json:"head"`
	Floor   int64   `json:"floor"`
	HasMore bool    `json:"has_more"`
}

// Summary counts what a device has before it.
type Summary struct {
	Head          int64                 `json:"head"`
	Acked         int64                 `json:"acked"`
	Pending       int64                 `json:"pending"`
	Conversations []ConversationSummary `json:"conversations"`
}

// ConversationSummary is one conversation's line of a Summary.
type ConversationSummary struct {
	ConversationID ConversationID `json:"conversation_id"`
	Unread         int64          `json:"unread"`
	Head           int64          `json:"head"`
	LastMessage    *Message       `json:"last_message"`
}

// Frame is any frame that the server pushes; Type says which fields are meant.
type Frame struct {
	Type string `json:"type"`

	// hello
	ConnectionID   string    `json:"connection_id"`
	UserID         UserID    `json:"user_id"` // receipt too
	DeviceID       string    `json:"device_id"`
	Node           string    `json:"node"`
	Acked          int64     `json:"acked"`
	Head           int64     `json:"head"` // behind and ping too
	Floor          int64     `json:"floor"`
	HeartbeatMS    int64     `json:"heartbeat_ms"`
	AckTimeoutMS   int64     `json:"ack_timeout_ms"`
	TokenExpiresAt time.Time `json:"token_expires_at"`
	Reset          bool      `json:"reset"`

	// message
	Seq     int64   `json:"seq"`
	Attempt int     `json:"attempt"`
	Message Message `json:"message"`

	// deleted
	MessageID       MessageID `json:"message_id"`
	ConversationSeq int64     `json:"conversation_seq"`

	// synced, receipt
	UpTo int64 `json:"up_to"`

	// receipt, behind, conversation, deleted
	Kind           string         `json:"kind"`
	ConversationID ConversationID `json:"conversation_id"`
	Event          string         `json:"event"`
	At             time.Time      `json:"at"` // ping too

	// presence
	Online     bool      `json:"online"`
	LastSeenAt time.Time `json:"last_seen_at"`

	// bye
	Code         int   `json:"code"`
	RetryAfterMS int64 `json:"retry_after_ms"`

	// Raw is the frame as it came.
	Raw []byte `json:"-"`
}
