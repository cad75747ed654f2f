package service

import (
	"encoding/json"
	"strconv"

	"ackbox/model"
)

// The frames that the server pushes: one JSON object a text frame, `type` first.

// Hello is the first frame: who is connected and where the device's mailbox stands.
type Hello struct {
	Type           string         `json:"type" enum:"hello"`
	ConnectionID   string         `json:"connection_id"`
	UserID         model.UserID   `json:"user_id"`
	DeviceID       model.DeviceID `json:"device_id"`
	Node           string         `json:"node"`
	Acked          int64          `json:"acked"`
	Head           int64          `json:"head"`
	Floor          int64          `json:"floor"`
	HeartbeatMS    int64          `json:"heartbeat_ms"`
	AckTimeoutMS   int64          `json:"ack_timeout_ms"`
	TokenExpiresAt model.Millis   `json:"token_expires_at"`
	Reset          bool           `json:"reset,omitempty"`
}

// MessageFrame is a mailbox entry, or without seq a message of a log conversation.
type MessageFrame struct {
	Type    string        `json:"type" enum:"message"`
	Seq     int64         `json:"seq,omitempty"`
	Attempt int           `json:"attempt"`
	Message model.Message `json:"message"`
}

// Behind says that there is more than the server will push.
type Behind struct {
	Type           string               `json:"type" enum:"behind"`
	ConversationID model.ConversationID `json:"conversation_id,omitzero"`
	Head           int64                `json:"head"`
}

// Synced says that everything up to UpTo has been pushed; live from now on.
type Synced struct {
	Type string `json:"type" enum:"synced"`
	UpTo int64  `json:"up_to"`
}

// Receipt says that a member has received or read up to a conversation_seq.
type Receipt struct {
	Type           string               `json:"type" enum:"receipt"`
	Kind           string               `json:"kind" enum:"delivered,read"`
	ConversationID model.ConversationID `json:"conversation_id"`
	UserID         model.UserID         `json:"user_id"`
	UpTo           int64                `json:"up_to"`
	At             model.Millis         `json:"at"`
}

// ConversationEvent says that something about a conversation changed: fetch it.
type ConversationEvent struct {
	Type           string               `json:"type" enum:"conversation"`
	Event          string               `json:"event" enum:"updated,removed"`
	ConversationID model.ConversationID `json:"conversation_id"`
}

// Typing says that somebody is writing. It is kept nowhere; it holds for a few seconds.
type Typing struct {
	Type           string               `json:"type" enum:"typing"`
	ConversationID model.ConversationID `json:"conversation_id"`
	UserID         model.UserID         `json:"user_id"`
}

// PresenceFrame says that somebody has come online, or has gone.
type PresenceFrame struct {
	Type       string       `json:"type" enum:"presence"`
	UserID     model.UserID `json:"user_id"`
	Online     bool         `json:"online"`
	LastSeenAt model.Millis `json:"last_seen_at"`
}

// DeletedFrame says that the user has deleted a message for themselves, on another device.
type DeletedFrame struct {
	Type            string               `json:"type" enum:"deleted"`
	ConversationID  model.ConversationID `json:"conversation_id"`
	MessageID       model.MessageID      `json:"message_id"`
	ConversationSeq int64                `json:"conversation_seq"`
}

// Ping comes every heartbeat: a head above what the device holds means it missed the tail.
type Ping struct {
	Type string       `json:"type" enum:"ping"`
	At   model.Millis `json:"at"`
	Head int64        `json:"head"`
}

// Bye comes before an orderly close: wait that long before connecting again.
type Bye struct {
	Type         string `json:"type" enum:"bye"`
	Code         int    `json:"code"`
	RetryAfterMS int64  `json:"retry_after_ms"`
}

// encodeFrame encodes a frame whose fields always can be.
func encodeFrame(frame any) []byte {
	b, err := json.Marshal(frame)
	if err != nil {
		panic("a frame that cannot be encoded: " + err.Error()) // a field type was changed
	}
	return b
}

// messageFrame puts a message, encoded once, into the frame of one push.
func messageFrame(seq int64, attempt int, message []byte) []byte {
	b := make([]byte, 0, len(message)+64)
	b = append(b, `{"type":"message",`...)
	if seq > 0 {
		b = append(b, `"seq":`...)
		b = strconv.AppendInt(b, seq, 10)
		b = append(b, ',')
	}
	b = append(b, `"attempt":`...)
	b = strconv.AppendInt(b, int64(attempt), 10)
	b = append(b, `,"message":`...)
	b = append(b, message...)
	return append(b, '}')
}
